"""What the codec hands over: one record of the log, validated, normalised, and with every id computed.

Everything below the codec (folds, identity, projector) reads this and never the raw JSON. Tuples, because one is made
for every event on the hot path and they are immutable.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from customer_timeline.schemas.touchpoint import TouchpointData

Actor = Literal["customer", "company", "system"]
Direction = Literal["inbound", "outbound", "system"]

DIRECTION: dict[Actor, Direction] = {"customer": "inbound", "company": "outbound", "system": "system"}

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z; exact, no float on the way. `instant` must be aware."""
    since = instant - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int) -> datetime:
    """The aware UTC instant of `to_micros`."""
    return EPOCH + timedelta(microseconds=micros)


class Identifier(NamedTuple):
    """A normalised value that means a person: `kind` such as `email`; its keyed hash is the id (UUID text)."""

    identifier_id: str
    kind: str
    value: str


class Thing(NamedTuple):
    """An order, contract, opportunity, case or follow-up that an event names; it leads to its owner, it never glues."""

    thing_id: str
    kind: str
    value: str


class QualityNote(NamedTuple):
    """Why an identifier of the event was dropped. `value` is left out on purpose: notes are shown and logged."""

    field: str
    kind: str
    reason: Literal["blocked", "not_normalisable", "unknown_kind"]


class Head(NamedTuple):
    """What of a record takes part in choosing among the records of one event. `event_key`: the bytes of its id."""

    event_key: bytes
    type: str
    occurred_us: int
    recorded_at: datetime
    revision: int


class DecodedEvent(NamedTuple):
    """One record of the log, ready to be folded.

    `identifiers` are usable, distinct and strongest first (rank, then least id), so `identifiers[0]` is the one that
    the others are linked to. `things` stand in the order order, contract, opportunity, case, follow-up.
    """

    event_id: str
    type: str  # with its version, `purchase.completed.v1`
    source: str
    id: str
    occurred_at: datetime
    occurred_us: int
    recorded_at: datetime
    revision: int
    actor: Actor
    sign_of_life: bool
    channel: str | None
    identifiers: tuple[Identifier, ...]
    things: tuple[Thing, ...]
    continues_thing: bool
    listed: bool  # False for retractions and identity decisions: in no timeline, count, sighting or link
    data_quality: tuple[QualityNote, ...]
    data: TouchpointData
    value: bytes  # the record's own bytes, as published
    decides: tuple[Identifier, Identifier] | None = None  # the pair that an identity decision is about, stronger first

    @property
    def direction(self) -> Direction:
        """`inbound` where the customer acted, `outbound` where we did, else `system`."""
        return DIRECTION[self.actor]

    @property
    def strongest_id(self) -> str | None:
        """The identifier that the event's other identifiers are linked to."""
        return self.identifiers[0].identifier_id if self.identifiers else None

    @property
    def anchor_id(self) -> str | None:
        """Where the event stands in the timeline: its first thing if it continues one or names nobody, else its
        strongest identifier; None for events that concern no customer."""
        return anchor_of(self.identifiers, self.things, self.continues_thing)


def anchor_of(identifiers: Sequence[Identifier], things: Sequence[Thing], continues_thing: bool) -> str | None:
    """`DecodedEvent.anchor_id` of what an event names."""
    if things and (continues_thing or not identifiers):
        return things[0].thing_id
    return identifiers[0].identifier_id if identifiers else None
