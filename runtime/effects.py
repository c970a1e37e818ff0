"""What records would change for the customers concerned, before they are published or read again.

Called by the command line. Folds the customers' events with the records among them; it does not decide again who is
who: where a record names identifiers of several customers, it shows them together, as they will be unless a limit or a
decision keeps them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.reading import CustomerRecord, TimelineReader
from customer_timeline.projections.records import settle
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.runtime.deciding import MOST_EVENTS, Figures, figures_of
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros

MOST_SHOWN: Final = 20
"""Groups of customers whose figures are worked out; more would only be scrolled past."""


class Before(NamedTuple):
    """A customer as it is; no figures where no event is known of it."""

    customer_id: str
    figures: Figures | None


class Effect(NamedTuple):
    """What records do to customers that they concern together. `before` is empty where they begin a customer.

    `records`: how many of them change something here. `after` is None where there are too many events to be folded
    here, or where a decision about who is who is among the records.
    """

    before: tuple[Before, ...]
    records: int
    after: Figures | None


class Effects(NamedTuple):
    """The effects, by the first customer's id. `customers`: how many groups there are, `without`: records that change
    nothing or concern nobody.
    """

    shown: tuple[Effect, ...]
    customers: int
    without: int


class _Change(NamedTuple):
    """The record of an event that counts now, and the one that would."""

    before: DecodedEvent | None
    after: DecodedEvent


class EffectPlanner:
    """Works out effects by what the views say now."""

    def __init__(self, reader: TimelineReader, codec: Codec, projection: CustomerProjection, rules: StageRules) -> None:
        self._reader = reader
        self._codec = codec
        self._projection = projection
        self._rules = rules
        self._customers: dict[str, CustomerRecord] = {}
        self._home: dict[str, str | None] = {}

    async def effects(self, records: Sequence[DecodedEvent], *, now: datetime) -> Effects:
        """What the records, as further ones of the log, would change."""
        changes = await self._changes(records)
        groups: list[tuple[set[str], list[_Change]]] = []
        without = len({one.event_id for one in records}) - len(changes)
        for change in changes:
            nodes = await self._concerned(change)
            if not nodes:
                without += 1
                continue
            merged = (nodes, [change])
            apart = []
            for group in groups:
                if group[0] & merged[0]:
                    merged = (merged[0] | group[0], group[1] + merged[1])
                else:
                    apart.append(group)
            groups = [*apart, merged]
        groups.sort(key=lambda group: min(group[0]))
        shown = [await self._effect(nodes, found, now) for nodes, found in groups[:MOST_SHOWN]]
        return Effects(tuple(shown), len(groups), without)

    async def _changes(self, records: Iterable[DecodedEvent]) -> list[_Change]:
        """Those of the records that would count, each against the one that counts now."""
        by_event: dict[str, list[DecodedEvent]] = {}
        for record in records:
            by_event.setdefault(record.event_id, []).append(record)
        changes = []
        for event_id, found in by_event.items():
            stored = await self.stored(event_id)
            winner = settle([*found, *([stored] if stored else [])], self._codec.canonical_hash).event
            if stored is None or winner.value != stored.value:
                changes.append(_Change(stored, winner))
        return changes

    async def stored(self, event_id: str) -> DecodedEvent | None:
        """The record that counts of an event now."""
        found = await self._reader.stored_event(event_id)
        return None if found is None else self._decoded(found.event, found.recorded_us)

    async def _concerned(self, change: _Change) -> set[str]:
        """The customers that a change concerns, and identifiers that nobody has yet."""
        nodes: set[str] = set()
        for event in change:
            if event is None:
                continue
            named = [one.identifier_id for one in (*event.identifiers, *(event.decides or ()))]
            for identifier_id in named:
                nodes.add(await self._customer_of(identifier_id) or identifier_id)
            for thing in event.things:
                owner = await self._reader.owner_of(thing.thing_id)
                nodes |= {owner} if owner else set()
        return nodes

    async def _customer_of(self, identifier_id: str) -> str | None:
        if identifier_id not in self._home:
            record = await self._reader.customer(identifier_id)
            self._home[identifier_id] = None if record is None else record.customer_id
            if record is not None:
                self._customers[record.customer_id] = record
        return self._home[identifier_id]

    async def _effect(self, nodes: set[str], changes: Sequence[_Change], now: datetime) -> Effect:
        ids, before = set(nodes), []
        for node in sorted(nodes):
            customer_id = await self._customer_of(node)
            if customer_id is not None:
                record = self._customers[customer_id]
                ids |= {member.identifier_id for member in record.members}
                before.append(Before(customer_id, self._figures(record, now)))
        return Effect(tuple(before), len(changes), await self._after(ids, changes, now))

    def _figures(self, record: CustomerRecord, now: datetime) -> Figures | None:
        if record.facts is None:
            return None
        return figures_of(self._projection.decode(record.facts), self._projection, self._rules, now)

    async def _after(self, ids: set[str], changes: Sequence[_Change], now: datetime) -> Figures | None:
        if any(event is not None and event.decides for change in changes for event in change):
            return None
        stored = await self._reader.events_of(ids, limit=MOST_EVENTS)
        if stored is None:
            return None
        folded = self._projection.initial()
        exchanged = {change.after.event_id for change in changes}
        for event, recorded_us in stored:
            decoded = self._decoded(event, recorded_us)
            if decoded.event_id not in exchanged:
                self._projection.apply(folded, decoded)
        return self._with(folded, changes, now)

    def _with(self, folded: CustomerFacts, changes: Sequence[_Change], now: datetime) -> Figures:
        for change in changes:
            if change.after.listed:
                self._projection.apply(folded, change.after)
        return figures_of(folded, self._projection, self._rules, now)

    def _decoded(self, event: str, recorded_us: int) -> DecodedEvent:
        recorded_at = from_micros(recorded_us)
        return self._codec.decode(event.encode(), appended_at=recorded_at, recorded_header=recorded_at.isoformat())


def described(effects: Effects) -> dict[str, Any]:
    """The effects as the command line prints them with `--json`."""
    return {
        "customers": effects.customers,
        "without_effect": effects.without,
        "effects": [
            {
                "before": [{"customer_id": one.customer_id, "figures": _figures(one.figures)} for one in effect.before],
                "records": effect.records,
                "after": _figures(effect.after),
            }
            for effect in effects.shown
        ],
    }


def lines(effects: Effects) -> list[str]:
    """The effects as text."""
    told = []
    for effect in effects.shown:
        told += [f"before    customer {one.customer_id}: {_said(one.figures)}" for one in effect.before]
        if not effect.before:
            told.append("before    nobody has these identifiers yet")
        after = "as a worker decides, or too many events to be folded here" if effect.after is None else ""
        told.append(f"after     {after or _said(effect.after)}")
    if effects.customers > len(effects.shown):
        told.append(f"          and {effects.customers - len(effects.shown):,} more customers")
    if not effects.customers:
        told.append("Nothing changes for any customer.")
    return told


def _figures(figures: Figures | None) -> Mapping[str, Any] | None:
    return None if figures is None else figures._asdict()


def _said(figures: Figures | None) -> str:
    if figures is None:
        return "no events"
    net = "".join(f", {amount} {currency}" for currency, amount in sorted(figures.net.items()))
    return f"{figures.events} events, {figures.purchases} purchases{net}; {figures.stage or 'no stage'}"
