"""Corrections and retractions of accepted events: another record of the same event, with a higher revision.

Called by the command line. The records that stood before are kept, in the log and as superseded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json

from customer_timeline.producers.touchpoints import event_retracted
from customer_timeline.projections.instants import rfc3339
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.runtime.repairing import Edit, NoRepairedEventError, OtherEventError, Repair, Repairer
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.envelope import shown_identity
from customer_timeline.schemas.errors import CustomerTimelineError

_RETRACTED: Final = "event.retracted."


class UnknownEventError(CustomerTimelineError):
    """No event has this id, or it is not applied yet."""

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(
            f"There is no event {event_id}. `customer timeline` shows the ids with --json; a dead letter is repaired "
            "with `dead-letters edit`."
        )


class RetractedError(CustomerTimelineError):
    """The event was retracted, so there is nothing to retract or to set something in."""

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(f"The event {event_id} was retracted. To bring it back give the whole event with --file.")


class StoredRecord(NamedTuple):
    """The record that counts of an event. `revision`: the highest of all its records."""

    event_id: str
    event: Mapping[str, Any]
    recorded_us: int
    revision: int

    @property
    def retracted(self) -> bool:
        """The event did not happen."""
        return str(self.event["type"]).startswith(_RETRACTED)

    def described(self) -> dict[str, Any]:
        """As the command line prints it with `--json`."""
        return {
            "event_id": self.event_id,
            "recorded_at": rfc3339(self.recorded_us),
            "revision": self.revision,
            "retracted": self.retracted,
            "event": dict(self.event),
        }


class Corrector:
    """Plans corrections by what the views say now."""

    def __init__(self, reader: TimelineReader, codec: Codec) -> None:
        self._reader = reader
        self._codec = codec
        self._repairer = Repairer(reader, codec)

    async def stored(self, event_id: str) -> StoredRecord:
        """The event as it stands. Raises UnknownEventError."""
        try:
            wanted = str(UUID(event_id))
        except ValueError as exc:
            raise UnknownEventError(event_id) from exc
        found = await self._reader.stored_event(wanted)
        if found is None:
            raise UnknownEventError(wanted)
        document = from_json(found.event)
        highest = await self._reader.stored_revision(wanted)
        return StoredRecord(wanted, document, found.recorded_us, highest or 0)

    async def retract(self, event_id: str, *, reason: str, operator: str, now: datetime) -> Repair:
        """The record that takes the event back. Raises UnknownEventError, RetractedError, InvalidEvent."""
        stored = await self.stored(event_id)
        if stored.retracted:
            raise RetractedError(event_id)
        source, id_ = _identity(stored)
        event = event_retracted(
            source=source, id=id_, time=now, revision=stored.revision + 1, reason=reason, operator=operator
        )
        return await self._repairer.checked(from_json(self._codec.encode(event)), False, stored.revision, now)

    async def correct(self, event_id: str, edit: Edit | None, whole: Any, *, now: datetime) -> Repair:
        """The record that says it right: what `edit` makes of the one that stands, or without one `whole`.

        It has a higher revision than all records of the event, and no `recordedtime`: it is known from now on. Where
        that is what the event says, there is nothing to publish. Raises UnknownEventError, RetractedError,
        OtherEventError, NoRepairedEventError, InvalidEvent.
        """
        stored = await self.stored(event_id)
        if edit is not None:
            if stored.retracted:
                raise RetractedError(event_id)
            whole = edit(dict(stored.event))
        if not isinstance(whole, dict):
            raise NoRepairedEventError
        source, id_ = _identity(stored)
        corrected = {"source": source, "id": id_, **whole, "revision": stored.revision + 1}
        corrected.pop("recordedtime", None)
        if (corrected["source"], corrected["id"]) != (source, id_):
            raise OtherEventError
        repair = await self._repairer.checked(corrected, False, stored.revision, now)
        return await self._repairer.unless_it_stands(repair, 0)


def _identity(stored: StoredRecord) -> tuple[str, str]:
    found = shown_identity(stored.event)
    if found is None:
        raise UnknownEventError(stored.event_id)
    return found
