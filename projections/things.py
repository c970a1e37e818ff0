"""Whose an order, contract, opportunity, case or follow-up is. Pure; a function of the set of events that name it.

A thing belongs to the strongest identifier of the earliest event that names it together with a person. Where no event
does, it follows the first thing of the earliest event that names both. Things never glue identifiers: see ADR 0005.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from customer_timeline.schemas.decoded import DecodedEvent, Thing


class Evidence(NamedTuple):
    """Who or what a thing was first named with. Compares by (occurred_at, event_id), then target: least counts."""

    occurred_at: datetime
    event_id: str
    target_id: str


class ThingRow(NamedTuple):
    """What is known of a thing. `anchored`: events stand at it, so whoever owns it has them in the timeline."""

    thing: Thing
    owner: Evidence | None
    via: Evidence | None
    anchored: bool


class Target(Protocol):
    """What evidence names."""

    @property
    def target_id(self) -> str: ...


class Known(Protocol):
    """What `owner_of` asks of a thing."""

    @property
    def owner(self) -> Target | None: ...

    @property
    def via(self) -> Target | None: ...


Said = TypeVar("Said", bound=tuple[Any, ...])


def named_things(events: Iterable[DecodedEvent]) -> dict[str, ThingRow]:
    """What `events` say of the things that they name, by thing_id."""
    rows: dict[str, ThingRow] = {}
    for event in events:
        if not event.things or not event.listed:
            continue
        strongest = event.strongest_id
        first = event.things[0]
        anchor_id = event.anchor_id
        for thing in event.things:
            owner_id, via_id = said_of(thing.thing_id, first.thing_id, strongest)
            owner = Evidence(event.occurred_at, event.event_id, owner_id) if owner_id else None
            via = Evidence(event.occurred_at, event.event_id, via_id) if via_id else None
            row = ThingRow(thing, owner, via, thing.thing_id == anchor_id)
            known = rows.get(thing.thing_id)
            rows[thing.thing_id] = row if known is None else combined(known, row)
    return rows


def said_of(thing_id: str, first_id: str, strongest: str | None) -> tuple[str | None, str | None]:
    """What one event says of one thing: who owns it, or else which thing it follows. `first_id`: of the first thing
    that the event names; `strongest`: of its identifiers.
    """
    if strongest is not None:
        return strongest, None
    return None, None if thing_id == first_id else first_id


def combined(known: ThingRow, more: ThingRow) -> ThingRow:
    """What two sets of events say of one thing together."""
    return ThingRow(
        known.thing, least(known.owner, more.owner), least(known.via, more.via), known.anchored or more.anchored
    )


def owner_of(thing_id: str, rows: Mapping[str, Known]) -> str | None:
    """The identifier that owns the thing, None where nobody is known. `rows` must hold what it follows."""
    # A thing follows one of an earlier kind, so the way ends after as many steps as there are kinds.
    row = rows.get(thing_id)
    while row is not None:
        if row.owner is not None:
            return row.owner.target_id
        row = rows.get(row.via.target_id) if row.via is not None else None
    return None


def least(left: Said | None, right: Said | None) -> Said | None:
    """The evidence that counts, of two about one thing."""
    if left is None or right is None:
        return left or right
    return min(left, right)
