"""What records would change for the customers concerned, before they are published or read again.

Called by the command line. Reads the events of the customers concerned and of all that may be glued to them, decides
who is who by the product's own rules as if the records were among them, and folds what each customer would then have.
What the views know beyond these events (who else shares a value) is taken from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import starmap
from typing import Any, Final, NamedTuple

from customer_timeline.api.identity import around
from customer_timeline.projections.component import ComponentMember
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.projections.identity_reading import ComponentTooLargeError
from customer_timeline.projections.reading import CustomerRecord, TimelineReader
from customer_timeline.projections.records import settle
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.runtime.deciding import MOST_EVENTS, Figures, figures_of
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, Identifier, from_micros

MOST_SHOWN: Final = 20
"""Groups of customers whose figures are worked out; more would only be scrolled past."""
_EVENTS_AT_ONCE: Final = 500

Load = Callable[[Sequence[str]], Awaitable[Sequence[DecodedEvent]]]
"""The records that are to be read of these events."""


class Shown(NamedTuple):
    """A customer as it is, or as it would be; no figures where no event is known of it."""

    customer_id: str
    figures: Figures | None


class Effect(NamedTuple):
    """What records do to customers that they concern together: those that change. `before` is empty where they begin a
    customer.

    `records`: how many of them change something here. `after` is None where there are too many events or identifiers
    to be worked out here.
    """

    before: tuple[Shown, ...]
    records: int
    after: tuple[Shown, ...] | None


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


class _Then(NamedTuple):
    """Customers as they would be: their facts and identifiers by id; `joined`: those that records would stand at."""

    facts: Mapping[str, CustomerFacts]
    members: Mapping[str, set[str]]
    joined: set[str]


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
            for named in _named(event):
                nodes.add(await self._customer_of(named.identifier_id) or named.identifier_id)
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
        """Of the customers that the nodes lead to, and of those that would come of them."""
        records = {}
        for node in sorted(nodes):
            customer_id = await self._customer_of(node)
            record = None if customer_id is None else await self._record(customer_id)
            if record is not None:
                records[record.customer_id] = record
        before = {one: Shown(one, self._figures(record, now)) for one, record in records.items()}
        members = {one: {m.identifier_id for m in record.members} for one, record in records.items()}
        then = await self._then(nodes.union(*members.values()), changes)
        if then is None:
            return Effect(tuple(before.values()), len(changes), None)
        after = {
            one: Shown(one, figures_of(facts, self._projection, self._rules, now)) for one, facts in then.facts.items()
        }
        same = {one for one in before.keys() & after.keys() if members[one] == then.members[one]}
        touched = {await self._home_of(change.before) for change in changes} | then.joined
        left_out = {one for one in same - touched if (before[one].figures or after[one].figures) == after[one].figures}
        return Effect(
            tuple(one for customer_id, one in before.items() if customer_id not in left_out),
            len(changes),
            tuple(one for customer_id, one in sorted(after.items()) if customer_id not in left_out),
        )

    def _figures(self, record: CustomerRecord, now: datetime) -> Figures | None:
        if record.facts is None:
            return None
        return figures_of(self._projection.decode(record.facts), self._projection, self._rules, now)

    async def _home_of(self, event: DecodedEvent | None) -> str | None:
        """Whose timeline the event is in now."""
        if event is None or event.anchor_id is None:
            return None
        return await self._reader.owner_of(event.anchor_id) or await self._customer_of(event.anchor_id)

    async def _then(self, ids: set[str], changes: Sequence[_Change]) -> _Then | None:
        """The customers that hold some of the ids once the changes are made; None where that is too much."""
        named = {one.identifier_id: one for change in changes for event in change if event for one in _named(event)}
        unseen = {one.identifier_id: ComponentMember(*one, None, None, False) for one in named.values()}
        try:
            component = await around(self._reader, {one: one for one in sorted(ids | named.keys())}, unseen=unseen)
        except ComponentTooLargeError:
            return None
        inside = {member.identifier_id for member in component.inside}
        stored = await self._reader.events_of(inside, limit=MOST_EVENTS)
        if stored is None:
            return None
        exchanged = {change.after.event_id for change in changes}
        events = [one for one in starmap(self._decoded, stored) if one.event_id not in exchanged]
        changed = [change.after for change in changes]
        identity = HistoryIdentity()
        identity.add_component(component, without=exchanged)
        for change in changes:
            if change.before is not None:
                identity.add_superseded(change.before, change.after.occurred_us)
        for event in (*events, *changed):
            identity.add(event)
        home = identity.customers(self._codec.space.policy)
        members = {home[one]: {i for i in inside if home[i] == home[one]} for one in (ids | named.keys()) & inside}
        joined = {home[event.anchor_id] for event in changed if event.listed and event.anchor_id in home}
        return _Then(self._folded(members, home, (*events, *changed)), members, joined)

    def _folded(
        self, customers: Iterable[str], home: Mapping[str, str], events: Iterable[DecodedEvent]
    ) -> Mapping[str, CustomerFacts]:
        facts = {customer_id: self._projection.initial() for customer_id in customers}
        for event in events:
            folded = facts.get(home.get(event.anchor_id or "", ""))
            if event.listed and folded is not None:
                self._projection.apply(folded, event)
        return facts

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
                "before": _customers(effect.before),
                "records": effect.records,
                "after": None if effect.after is None else _customers(effect.after),
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
        if effect.after is None:
            told.append("after     as a worker decides: too many events or identifiers to be worked out here")
        told += [f"after     customer {one.customer_id}: {_said(one.figures)}" for one in effect.after or ()]
    if effects.customers > len(effects.shown):
        told.append(f"          and {effects.customers - len(effects.shown):,} more customers")
    if not effects.customers:
        told.append("Nothing changes for any customer.")
    return told


def _named(event: DecodedEvent) -> tuple[Identifier, ...]:
    """Whom the event is about."""
    return (*event.identifiers, *(event.decides or ()))


def _customers(shown: Sequence[Shown]) -> list[Mapping[str, Any]]:
    return [{"customer_id": one.customer_id, "figures": one.figures and one.figures._asdict()} for one in shown]


def _said(figures: Figures | None) -> str:
    if figures is None:
        return "no events"
    net = "".join(f", {amount} {currency}" for currency, amount in sorted(figures.net.items()))
    return f"{figures.events} events, {figures.purchases} purchases{net}; {figures.stage or 'no stage'}"
