"""Repaired copies of dead letters: the event, checked as publishing checks it, and whose timeline it would join.

Called by the command line. The dead letter stays what it is: the copy is another record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import uuid5

from pydantic_core import from_json

from customer_timeline.projections.dead_letters import DeadLetter
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros
from customer_timeline.schemas.envelope import EVENT_NAMESPACE, event_id, shown_identity
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.faults import parse_or_tell_all
from customer_timeline.schemas.rejection import showable_type
from customer_timeline.schemas.storable import refuse_unstorable

Edit = Callable[[dict[str, Any]], Any]
"""From what the record says to what it should say."""

_RECORDED: Final = "recordedtime"


class NotEditableError(CustomerTimelineError):
    """The record is no JSON object, so no place in it can be named."""

    def __init__(self) -> None:
        super().__init__("The record is no JSON object, so nothing can be set in it: give the whole event with --file.")


class OtherEventError(CustomerTimelineError):
    """The repaired copy says that it is another event."""

    def __init__(self) -> None:
        super().__init__(
            "The repaired copy has another id or source than the record shows: keep both, so that it is that event. "
            "What is another event is published with `customer-timeline publish`."
        )


class NoRepairedEventError(CustomerTimelineError):
    """What should be published is no JSON object."""

    def __init__(self) -> None:
        super().__init__("The repaired copy is no JSON object: one CloudEvent in structured mode is expected.")


class Named(NamedTuple):
    """An identifier or a thing that the event names, and the customer that has it now; None: nobody."""

    kind: str
    value: str
    customer_id: str | None


class Repair(NamedTuple):
    """A repaired copy that is ready to be published.

    `new_id`: the record showed none. `stored_revision`: of the event with this id that is in the views already.
    `customer_id`: whose timeline it would join; None: nobody's, or that of a customer who begins with it. `stands_at`:
    the partition and offset of the record that counts, where it says this already: then there is nothing to publish.
    """

    decoded: DecodedEvent
    new_id: bool
    stored_revision: int | None
    identifiers: tuple[Named, ...]
    things: tuple[Named, ...]
    customer_id: str | None
    stands_at: tuple[int, int] | None = None


class Repairer:
    """Plans repaired copies by what the views say now."""

    def __init__(self, reader: TimelineReader, codec: Codec) -> None:
        self._reader = reader
        self._codec = codec

    async def plan(self, letter: DeadLetter, edit: Edit | None, whole: Any, *, now: datetime) -> Repair:
        """The event to publish instead of the record: what `edit` makes of it, or without one `whole`.

        It keeps the record's id and source where it shows them (else its id is made of the record's place), has a
        higher revision than the record and than any stored record of that event, and no `recordedtime`: it is known
        from now on. Where the views hold that very event, as after a run that was cut short, it is that one.
        Raises InvalidEvent where it would be a dead letter again, NotEditableError, NoRepairedEventError,
        OtherEventError, and what readers raise.
        """
        original = _object(letter.value)
        if edit is not None:
            if original is None:
                raise NotEditableError
            whole = edit(original)
        if not isinstance(whole, dict):
            raise NoRepairedEventError
        repaired = {name: value for name, value in whole.items() if name != _RECORDED}
        identity = shown_identity(original or {})
        _keep_identity(repaired, identity, letter)
        source, id_ = shown_identity(repaired) or (None, None)
        stored = await self._reader.stored_revision(event_id(source, id_)) if source and id_ else None
        # Of a record without an id nothing of this event will ever be read, whatever its revision.
        enough = max(0 if identity is None else 1 + _revision(original or {}), _revision(repaired))
        if identity is not None or stored is not None:
            least = 1 + max(_revision(original or {}), -1 if stored is None else stored)
            repaired["revision"] = max(least, _revision(repaired))
        return await self.unless_it_stands(await self.checked(repaired, identity is None, stored, now), enough)

    async def unless_it_stands(self, repair: Repair, least_revision: int) -> Repair:
        """The repair; where the record that counts says the same, that record, if its revision is high enough."""
        found = await self._reader.stored_event(repair.decoded.event_id)
        if found is None:
            return repair
        at = from_micros(found.recorded_us)
        stored = self._codec.decode(found.event.encode(), appended_at=at, recorded_header=at.isoformat())
        says = [(self._codec.canonical_hash(one), one.occurred_us) for one in (stored, repair.decoded)]
        if says[0] != says[1] or stored.revision < least_revision:
            return repair
        return repair._replace(decoded=stored, stands_at=(found.partition, found.offset))

    async def checked(self, repaired: dict[str, Any], new_id: bool, stored: int | None, now: datetime) -> Repair:
        """The event to publish, checked as publishing checks it. Raises InvalidEvent, of all that is invalid."""
        # Plain ASCII: half a surrogate pair is written as an escape, which the codec refuses by name.
        document = json.dumps(repaired).encode()
        parsed = parse_or_tell_all(self._codec, document)
        refuse_unstorable(document, showable_type(parsed.type))
        decoded = self._codec.decode(self._codec.encode(parsed), appended_at=now)
        identifiers = [
            Named(one.kind, one.value, await self._customer_of(one.identifier_id)) for one in decoded.identifiers
        ]
        things = [Named(one.kind, one.value, await self._reader.owner_of(one.thing_id)) for one in decoded.things]
        joins = None
        if decoded.listed and decoded.anchor_id is not None:
            anchored = decoded.anchor_id == decoded.strongest_id
            joins = (identifiers if anchored else things)[0].customer_id
            if joins is None and identifiers:  # a thing that nobody owns yet becomes theirs
                joins = identifiers[0].customer_id
        return Repair(decoded, new_id, stored, tuple(identifiers), tuple(things), joins)

    async def _customer_of(self, identifier_id: str) -> str | None:
        record = await self._reader.customer(identifier_id)
        return None if record is None else record.customer_id


def described(repair: Repair) -> dict[str, Any]:
    """The plan as the command line prints it with `--json`."""
    return {
        "event_id": repair.decoded.event_id,
        "new_id": repair.new_id,
        "type": repair.decoded.type,
        "revision": repair.decoded.revision,
        "stored_revision": repair.stored_revision,
        "stands": repair.stands_at is not None,
        "customer_id": repair.customer_id,
        "identifiers": [one._asdict() for one in repair.identifiers],
        "things": [one._asdict() for one in repair.things],
        "event": from_json(repair.decoded.value),
    }


def _object(value: bytes | None) -> dict[str, Any] | None:
    try:
        found = from_json(value or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _keep_identity(repaired: dict[str, Any], shown: tuple[str, str] | None, letter: DeadLetter) -> None:
    if shown is None:
        if shown_identity({"source": "/", "id": repaired.get("id")}) is None:
            # By the record's place, so that repairing it twice makes one event of it.
            repaired["id"] = str(uuid5(EVENT_NAMESPACE, "\n".join(map(str, letter.summary.place))))
        return
    source, id_ = shown
    if (repaired.setdefault("source", source), repaired.setdefault("id", id_)) != shown:
        raise OtherEventError


def _revision(record: Mapping[str, Any]) -> int:
    found = record.get("revision", 0)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else 0
