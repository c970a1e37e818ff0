"""The codec: bytes of the log to events, and back. The one place where a record becomes an event or is refused.

`decode` is what the projector calls for every record: one pass of the JSON parser validates everything, identifiers
are normalised, ids computed. `parse` is the same without the checks of time, for publishing. Pure: the time at which
a record was appended is an argument. Whatever the bytes, the only exception is `InvalidEvent`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Final, NamedTuple

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import Actor, DecodedEvent, Head, Identifier, QualityNote, Thing, to_micros
from customer_timeline.schemas.envelope import (
    MAX_EVENT_BYTES,
    Event,
    build_adapter,
    event_adapter,
    event_id,
    event_key,
    event_model,
)
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason
from customer_timeline.schemas.identifiers import IdentifierSpace
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.record_times import occurred_at, recorded_at
from customer_timeline.schemas.rejection import from_validation, unknown_type
from customer_timeline.schemas.touchpoint import CHANNELS, IdentityDecision, Touchpoint, TouchpointData
from customer_timeline.schemas.upcasters import UPCASTERS, Upcasters

DEFAULT_MAX_FUTURE: Final = timedelta(minutes=5)

_SAID: Final = {
    "blocked": "a value that means nobody",
    "not_normalisable": "no valid value of its kind",
    "unknown_kind": "a kind that the settings do not know",
}


class _TypeFacts(NamedTuple):
    """What a type declares, looked up once. `declares_more`: something is to be checked beside the channel. `usual`:
    who acts, and whether it is a sign of life, where neither the event's own fields nor `actor` and `automated` have a
    say in it."""

    concerns_customer: bool
    customer_optional: bool
    listed: bool
    continues_thing: bool
    thing_fields: tuple[tuple[str, str], ...]
    declares_more: bool
    usual: tuple[Actor, bool] | None


# Whom and what an event names: identifiers, things, notes on what was dropped, and the two that a decision is about. A
# plain tuple, because one is made for every event.
_Named = tuple[tuple[Identifier, ...], tuple[Thing, ...], tuple[QualityNote, ...], tuple[Identifier, Identifier] | None]
_NOBODY: Final[_Named] = ((), (), (), None)

# As the constructor, which is a Python frame each time.
_head: Final[Callable[[tuple[Any, ...]], Head]] = partial(tuple.__new__, Head)


class Codec:
    """Reads and writes events for one deployment: its identity policy, its secret, its channels.

    Build one and keep it: the caches are what makes it fast. Safe to share between threads.
    """

    def __init__(
        self,
        policy: IdentityPolicy,
        secret: bytes,
        *,
        max_future: timedelta = DEFAULT_MAX_FUTURE,
        extra_channels: frozenset[str] = frozenset(),
        upcasters: Upcasters = UPCASTERS,
        catalogue: Mapping[str, type[TouchpointData]] = CATALOGUE,
    ) -> None:
        self.space = IdentifierSpace(policy, secret)
        self.max_future = max_future
        self.channels = CHANNELS | extra_channels
        self._upcasters = upcasters
        self._catalogue = catalogue
        self._facts = {data: _facts(data) for data in catalogue.values()}

    @cached_property
    def _validate(self) -> Callable[[bytes], Event[Any]]:
        adapter = event_adapter() if self._catalogue is CATALOGUE else build_adapter(self._catalogue.values())
        # The validator itself: the adapter's method first checks options that are never given here.
        validate: Callable[[bytes], Event[Any]] = adapter.validator.validate_json
        return validate

    def decode(self, value: bytes | None, *, appended_at: datetime, recorded_header: str | None = None) -> DecodedEvent:
        """The event in `value`, a record that the log took in at `appended_at` (aware).

        `recorded_header` is the Kafka header `recordedtime` where there is one. Raises InvalidEvent, and nothing else.
        """
        event, data, facts = self._read(value)
        # Straight from where pydantic keeps them: by its `__getattr__` every look takes three times as long.
        fields, given = event.__dict__, data.__dict__
        identifiers, things, notes, decides = self._name(event, data, facts)
        recorded, occurred = self._when(event, appended_at, recorded_header)
        if facts.usual is not None and given["actor"] is None and not given["automated"]:
            actor, life = facts.usual
        else:
            actor, life = data.acting(), data.is_sign_of_life()
        source, own_id = fields["source"], fields["id"]
        # Not through the class's own constructor: its Python frame would cost every event another microsecond.
        return tuple.__new__(
            DecodedEvent,
            (
                event_id(source, own_id),
                fields["type"],
                source,
                own_id,
                occurred,
                to_micros(occurred),
                recorded,
                fields["revision"],
                actor,
                life,
                given.get("channel"),
                identifiers,
                things,
                facts.continues_thing,
                facts.listed,
                notes,
                data,
                value or b"",
                decides,
            ),
        )

    def head(self, value: bytes | None, *, appended_at: datetime, recorded_header: str | None = None) -> Head:
        """What `decode` says of the event that takes part in choosing among its records; a fifth of the work less.

        Raises InvalidEvent where `decode` does.
        """
        event, data, facts = self._read(value)
        fields = event.__dict__
        # One that can be used is enough to be accepted.
        named = facts.concerns_customer and data.__dict__["identifiers"]
        if not named or not self.space.is_usable(named[0]):
            self._name(event, data, facts)
        recorded, occurred = self._when(event, appended_at, recorded_header)
        key = event_key(fields["source"], fields["id"])
        return _head((key, fields["type"], to_micros(occurred), recorded, fields["revision"]))

    def parse(self, value: bytes) -> Event[Any]:
        """The event in `value`, at the newest version of its type. Everything is checked but the times.

        Raises InvalidEvent, and nothing else.
        """
        event, data, facts = self._read(value)
        self._name(event, data, facts)
        return event

    def encode(self, event: Event[Any]) -> bytes:
        """The bytes to publish: UTF-8 JSON, fields equal to their default left out, instants in UTC."""
        return event.model_dump_json(exclude_defaults=True).encode()

    def partition_key(self, event: Event[Any]) -> bytes | None:
        """The record's key: id of the event's anchor, never a raw value. None where the event names nobody and nothing.

        Speed rests on it, correctness does not.
        """
        facts = self._facts[type(event.data)]
        identifiers, things, _, decides = self._name(event, event.data, facts)
        if decides is not None:
            return decides[0].identifier_id.encode()
        if things and (facts.continues_thing or not identifiers):
            return things[0].thing_id.encode()
        return identifiers[0].identifier_id.encode() if identifiers else None

    def canonical_hash(self, content: bytes | Event[Any] | DecodedEvent) -> bytes:
        """SHA-256 (32 bytes) of the canonical content: the event at its newest version, without time and revision.

        Two records of one event with equal hashes say the same: fields equal to their default, the order of keys, the
        notation of decimals and instants make no difference.
        """
        event = self._read(content)[0] if isinstance(content, bytes) else content
        canonical = {
            "type": event.type,
            "source": event.source,
            "id": event.id,
            "data": event.data.model_dump(mode="json", exclude_defaults=True),
        }
        return hashlib.sha256(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).digest()

    def unknown_channel(self, type_name: str, field: str) -> InvalidEvent:
        """What is wrong with an event of this type whose `field` names a channel that this deployment does not have."""
        detail = f"expected one of {', '.join(sorted(self.channels))} (more by the setting extra_channels)"
        return InvalidEvent(RejectionReason.INVALID_FIELD, detail, type=type_name, field=f"data.{field}")

    # Reading

    def _read(self, value: bytes | None) -> tuple[Event[Any], TouchpointData, _TypeFacts]:
        """The event, its data, and what its type declares."""
        if not value:
            raise InvalidEvent(RejectionReason.NOT_JSON, "the record is empty")
        if len(value) > MAX_EVENT_BYTES:
            raise InvalidEvent(RejectionReason.TOO_LARGE, f"expected at most {MAX_EVENT_BYTES} bytes")
        try:
            event = self._validate(value)
        except ValidationError as exc:
            event = self._read_otherwise(value, exc)
        data: TouchpointData = event.__dict__["data"]
        facts = self._facts[type(data)]
        if facts.declares_more or data.__dict__.get("channel") not in self.channels:
            self._check_declared(event, data)
        return event, data, facts

    def _read_otherwise(self, value: bytes, error: ValidationError) -> Event[Any]:
        """Lift an old version; for everything else raise what is wrong with the record."""
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "union_tag_not_found":
            raise InvalidEvent(
                RejectionReason.INVALID_ENVELOPE, "expected a type such as purchase.completed.v1", field="type"
            ) from error
        if first["type"] != "union_tag_invalid":
            type_name = first["loc"][0] if first["loc"] else None
            raise from_validation(error, type_name, tagged=True) from error
        # Of a key given twice the last counts: for this parser, for pydantic's and for Postgres' jsonb alike.
        record = from_json(value)
        type_name = record["type"]
        if not isinstance(type_name, str):
            raise InvalidEvent(RejectionReason.INVALID_ENVELOPE, "expected a string", field="type") from error
        if self._upcasters.step(type_name) is None:
            raise unknown_type(type_name) from error
        return self._lift(record, type_name)

    def _lift(self, record: dict[str, Any], type_name: str) -> Event[Any]:
        published_as = type_name
        while (step := self._upcasters.step(type_name)) is not None:
            old = _validated(event_model(step.old), record, published_as)
            record = {**record, "type": step.to_type, "data": dict(step.lift(old.data))}
            type_name = step.to_type
        newest = self._catalogue.get(type_name)
        if newest is None:
            raise unknown_type(published_as)
        return _validated(event_model(newest), record, published_as)

    def _check_declared(self, event: Event[Any], data: TouchpointData) -> None:
        """What a deployment or a type declares beyond the shape: channels, and the least revision."""
        channel = getattr(data, "channel", None)
        if channel is None:
            if getattr(data, "identifiers", ()):
                detail = "expected a channel, because the event names a customer"
                raise InvalidEvent(RejectionReason.INVALID_FIELD, detail, type=event.type, field="data.channel")
        elif channel not in self.channels:
            raise self.unknown_channel(event.type, "channel")
        for field in data.channel_fields:
            if (named := getattr(data, field)) is not None and named not in self.channels:
                raise self.unknown_channel(event.type, field)
        least = data.least_revision
        if event.revision < least:
            detail = f"expected at least {least}: it must be higher than that of the event it retracts"
            raise InvalidEvent(RejectionReason.INVALID_ENVELOPE, detail, type=event.type, field="revision")

    def _when(self, event: Event[Any], appended_at: datetime, recorded_header: str | None) -> tuple[datetime, datetime]:
        """When the log first took the event in, and when it happened."""
        recorded = appended_at
        if recorded_header is not None or event.__dict__["recordedtime"] is not None:
            recorded = recorded_at(event, appended_at, recorded_header)
        return recorded, occurred_at(event, recorded, self.max_future)

    # Who and what is named

    def _name(self, event: Event[Any], data: TouchpointData, facts: _TypeFacts) -> _Named:
        if not facts.concerns_customer:
            return ((), (), (), self._pair(data)) if isinstance(data, IdentityDecision) else _NOBODY
        given = data.__dict__
        identifiers, notes = self.space.usable(given["identifiers"])
        things: tuple[Thing, ...] = ()
        for field, kind in facts.thing_fields:
            named = given[field]
            if named is not None:
                things += (self.space.thing(kind, named),)
        if not identifiers and not things and not facts.customer_optional:
            detail = "expected an identifier that can be used, or a thing such as order_id" + _why(notes)
            raise InvalidEvent(RejectionReason.NO_USABLE_IDENTIFIER, detail, type=event.type, field="data.identifiers")
        return identifiers, things, notes, None

    def _pair(self, data: IdentityDecision) -> tuple[Identifier, Identifier]:
        for field in ("a", "b"):
            given = getattr(data, field)
            outcome = self.space.normalise(given.kind, given.value)
            if isinstance(outcome, str):
                detail = f"expected an identifier that can be used; this one is {_SAID[outcome]}"
                raise InvalidEvent(
                    RejectionReason.NO_USABLE_IDENTIFIER, detail, type=data.type_name, field=f"data.{field}"
                )
        pair, _ = self.space.usable((data.a, data.b))
        if len(pair) != 2:
            detail = "expected another identifier than a: both are the same once normalised"
            raise InvalidEvent(RejectionReason.INVALID_FIELD, detail, type=data.type_name, field="data.b")
        return pair[0], pair[1]


def _facts(data: type[TouchpointData]) -> _TypeFacts:
    usual: tuple[Actor, bool] | None = None
    # A type that looks into its own fields has a rule of its own instead of the shared one.
    if issubclass(data, Touchpoint) and data.who != "direction" and data._would_be_life is Touchpoint._would_be_life:
        usual = (data.who, data.life)
    return _TypeFacts(
        data.concerns_customer,
        data.customer_optional,
        data.listed,
        data.continues_thing(),
        data.thing_fields(),
        bool(data.channel_fields or data.least_revision),
        usual,
    )


def _validated(model: type[BaseModel], record: Mapping[str, Any], published_as: str) -> Event[Any]:
    # Through JSON again, because values are validated as JSON: strings for instants and decimals, lists for tuples.
    try:
        validated = model.model_validate_json(json.dumps(record))
    except ValidationError as exc:
        raise from_validation(exc, published_as, tagged=False) from exc
    return validated  # type: ignore[return-value]


def _why(notes: Iterable[QualityNote]) -> str:
    told = ", ".join(f"{note.kind} is {_SAID[note.reason]}" for note in notes)
    return f"; {told}" if told else ""
