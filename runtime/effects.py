"""What records would change for the customers concerned, before they are published or read again.

Called by the command line. Folds the customers' events with the records among them; it does not decide again who is
who: where a record names identifiers of several customers, it shows them together, as they will be unless a limit or a
decision keeps them apart.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
_EVENTS_AT_ONCE: Final = 500

Load = Callable[[Sequence[str]], Awaitable[Sequence[DecodedEvent]]]
"""The records that are to be read of these events."""


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


class _Groups:
    """Events whose customers belong together, by union and find: each node leads to the least one of its group."""

    def __init__(self) -> None:
        self._towards: dict[str, str] = {}
        self._events: dict[str, list[str]] = {}

    def add(self, nodes: set[str], event_id: str) -> None:
        """The event concerns all the nodes."""
        roots = {self._root(node) for node in nodes}
        least = min(roots)
        events = [event_id]
        for root in roots:
            self._towards[root] = least
            found = self._events.pop(root, [])
            events, found = (found, events) if len(found) > len(events) else (events, found)
            events += found
        self._events[least] = events

    def first(self, count: int) -> list[tuple[set[str], list[str]]]:
        """The nodes and events of the first groups, by their least node."""
        wanted: dict[str, set[str]] = {root: set() for root in sorted(self._events)[:count]}
        for node in self._towards:
            if (root := self._root(node)) in wanted:
                wanted[root].add(node)
        return [(nodes, self._events[root]) for root, nodes in wanted.items()]

    def _root(self, node: str) -> str:
        above = self._towards.setdefault(node, node)
        while above != node:
            self._towards[node] = node = self._towards[above]  # half as far the next time
            above = self._towards[node]
        return node

    def __len__(self) -> int:
        return len(self._events)


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
        by_event: dict[str, list[DecodedEvent]] = {}
        for record in records:
            by_event.setdefault(record.event_id, []).append(record)

        async def load(event_ids: Sequence[str]) -> list[DecodedEvent]:
            return [record for event_id in event_ids for record in by_event[event_id]]

        return await self.effects_of(list(by_event), load, now=now)

    async def effects_of(
        self,
        event_ids: Sequence[str],
        load: Load,
        *,
        now: datetime,
        step: Callable[[int], object] = lambda events: None,
    ) -> Effects:
        """The same for records of these events, loaded some at a time. `step`: how many events more are done."""
        groups, without = _Groups(), 0
        for start in range(0, len(event_ids), _EVENTS_AT_ONCE):
            part = event_ids[start : start + _EVENTS_AT_ONCE]
            changes = await self._changes(await load(part))
            without += len(part) - len(changes)
            for change in changes:
                nodes = await self._concerned(change)
                if nodes:
                    groups.add(nodes, change.after.event_id)
                else:
                    without += 1
            self._customers.clear()  # whole facts; those that are shown are read again
            step(len(part))
        shown = [await self._shown(nodes, found, load, now) for nodes, found in groups.first(MOST_SHOWN)]
        return Effects(tuple(shown), len(groups), without)

    async def _shown(self, nodes: set[str], event_ids: Sequence[str], load: Load, now: datetime) -> Effect:
        if len(event_ids) > MOST_EVENTS:
            return (await self._effect(nodes, [], now))._replace(records=len(event_ids), after=None)
        return await self._effect(nodes, await self._changes(await load(event_ids)), now)

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

    async def _record(self, customer_id: str) -> CustomerRecord | None:
        return self._customers.get(customer_id) or await self._reader.customer(customer_id)

    async def _effect(self, nodes: set[str], changes: Sequence[_Change], now: datetime) -> Effect:
        ids, before = set(nodes), []
        for node in sorted(nodes):
            customer_id = await self._customer_of(node)
            record = None if customer_id is None else await self._record(customer_id)
            if record is not None:
                ids |= {member.identifier_id for member in record.members}
                before.append(Before(record.customer_id, self._figures(record, now)))
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
