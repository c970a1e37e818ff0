"""Whose an order, contract, opportunity, case or follow-up is. Pure; a function of the set of events that name it.

A thing belongs to the strongest identifier of the earliest event that names it together with a person. Where no event
does, it follows the first thing of the earliest event that names both. Things never glue identifiers: see ADR 0005.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

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
            owner, via = said_of(thing.thing_id, first.thing_id, strongest, event.occurred_at, event.event_id)
            row = ThingRow(thing, owner, via, thing.thing_id == anchor_id)
            known = rows.get(thing.thing_id)
            rows[thing.thing_id] = row if known is None else combined(known, row)
    return rows


def said_of(
    thing_id: str, first_id: str, strongest: str | None, occurred_at: datetime, event_id: str
) -> tuple[Evidence | None, Evidence | None]:
    """What one event says of one thing: who owns it, or else which thing it follows. `first_id`: of the first thing
    that the event names; `strongest`: of its identifiers.
    """
    if strongest is not None:
        return Evidence(occurred_at, event_id, strongest), None
    return None, None if thing_id == first_id else Evidence(occurred_at, event_id, first_id)


def combined(known: ThingRow, more: ThingRow) -> ThingRow:
    """What two sets of events say of one thing together."""
    return ThingRow(
        known.thing, _least(known.owner, more.owner), _least(known.via, more.via), known.anchored or more.anchored
    )


def owner_of(thing_id: str, rows: Mapping[str, ThingRow]) -> str | None:
    """The identifier that owns the thing, None where nobody is known. `rows` must hold what it follows."""
    # A thing follows one of an earlier kind, so the way ends after as many steps as there are kinds.
    row = rows.get(thing_id)
    while row is not None:
        if row.owner is not None:
            return row.owner.target_id
        row = rows.get(row.via.target_id) if row.via is not None else None
    return None


def _least(left: Evidence | None, right: Evidence | None) -> Evidence | None:
    if left is None or right is None:
        return left or right
    return min(left, right)
