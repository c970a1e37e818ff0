"""The second implementation of the reader of the past: over the records of a log, by the slow reference."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from reference.log_model import Record, Then, log_then
from view_rows import CODEC, PROJECTION

from customer_timeline.projections.component import (
    Component,
    ComponentDecision,
    ComponentLink,
    ComponentMember,
    LinkEvidence,
)
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cut_graph import pairs_of
from customer_timeline.projections.cut_reading import Horizon, Window
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.projections.differences import Difference, Side
from customer_timeline.projections.identity import Pair
from customer_timeline.projections.lifecycle import Stage, entry_at, next_change_us, stage_schedule
from customer_timeline.projections.reading import (
    CustomerFilter,
    CustomerKey,
    CustomerPage,
    CustomerRecord,
    CustomerRow,
    EventAt,
    Member,
    TimelineFilter,
    TimelineKey,
    TimelinePage,
    TimelineRow,
)
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy


class MemoryCutReader:
    """A `CutReader` over the records that `records` gives at each call; none: an empty log."""

    def __init__(
        self,
        records: Callable[[], Sequence[Record]] = tuple,
        *,
        codec: Codec = CODEC,
        policy: IdentityPolicy | None = None,
        projection: CustomerProjection = PROJECTION,
        rules: StageRules | None = None,
        passed_us: int | None = None,
    ) -> None:
        self._records = records
        self._codec = codec
        self._policy = policy or IdentityPolicy()
        self._projection = projection
        self._rules = rules or StageRules()
        self._passed_us = passed_us
        self._known: dict[tuple[Past, int], Then] = {}

    async def horizon(self) -> Horizon:
        return Horizon(self._passed_us)

    async def customer(self, identifier_id: str, past: Past) -> CustomerRecord | None:
        then = self.then(past)
        customer_id = then.customer_of.get(identifier_id)
        return None if customer_id is None else _record(then, customer_id)

    async def identity(self, identifier_id: str, past: Past) -> Component | None:
        then = self.then(Past(past.cut, "cut"))
        return _whole_log(then) if identifier_id in then.customer_of else None

    async def timeline(
        self,
        identifier_id: str,
        past: Past,
        wanted: TimelineFilter,
        *,
        limit: int,
        before: TimelineKey | None = None,
    ) -> TimelinePage | None:
        then = self.then(past)
        customer_id = then.customer_of.get(identifier_id)
        if customer_id is None:
            return None
        rows = [_row(event) for event in then.events[customer_id] if _matches(event, wanted)]
        rows = sorted((r for r in rows if before is None or r.key < before), key=lambda r: r.key, reverse=True)
        return TimelinePage(tuple(rows[:limit]), more=len(rows) > limit)

    async def events_at(self, identifier_id: str, past: Past, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        then = self.then(past)
        events = then.events.get(then.customer_of.get(identifier_id, ""), [])
        found = [EventAt(e.occurred_us, e.event_id, e.type, e.sign_of_life) for e in events]
        return tuple(sorted(one for one in found if one.occurred_us in instants_us))

    async def customers(
        self,
        wanted: CustomerFilter,
        past: Past,
        *,
        rules: str,
        at_us: int,
        limit: int,
        after: CustomerKey | None = None,
    ) -> CustomerPage:
        then = self.then(past)
        rows, counts = [], Counter[Stage]()
        for customer_id in then.facts:
            row = self._listed(then, customer_id, at_us)
            if row is not None and wanted.flag in (None, *row.flags):
                counts[row.stage] += 1
                if wanted.stage in (None, row.stage):
                    rows.append(row)

        def place(key: CustomerKey) -> tuple[int, str]:
            return (-key.value_us if wanted.order.startswith("-") else key.value_us, key.customer_id)

        rows.sort(key=lambda row: place(row.key(wanted.order)))
        rows = [row for row in rows if after is None or place(row.key(wanted.order)) > place(after)]
        return CustomerPage(tuple(rows[:limit]), more=len(rows) > limit, counts=counts)

    async def difference(self, identifier_id: str, before: Past, after: Past) -> Difference | None:
        sides = [self._side(identifier_id, past) for past in (before, after)]
        if sides == [None, None]:
            return None
        earlier, later = ({} if side is None else side[1] for side in sides)
        common = self._projection.initial()
        for value in earlier.keys() & later.keys():
            self._projection.apply(common, later[value])
        return Difference(
            None if sides[0] is None else sides[0][0],
            None if sides[1] is None else sides[1][0],
            self._projection.encode(common).decode(),
            _in_order(event for value, event in earlier.items() if value not in later),
            _in_order(event for value, event in later.items() if value not in earlier),
        )

    async def changed_customers(self, recorded: Window, occurred_before_us: int) -> tuple[str, ...]:
        before, after = (Past(Cut(None, us - 1), "current") for us in recorded)
        found = []
        for customer_id in self.then(after).facts:
            changed = await self.difference(customer_id, before, after)
            events = () if changed is None else (*changed.removed, *changed.added)
            if any(event.occurred_us < occurred_before_us for event in events):
                found.append(customer_id)
        return tuple(found)

    def _telling(self, event: DecodedEvent) -> tuple[object, ...]:
        """What makes a record of an event another one: not its spelling."""
        return event.event_id, event.revision, event.occurred_us, self._codec.canonical_hash(event.value)

    def _side(self, identifier_id: str, past: Past) -> tuple[Side, dict[tuple[object, ...], DecodedEvent]] | None:
        then = self.then(past)
        customer_id = then.customer_of.get(identifier_id)
        if customer_id is None:
            return None
        events = {self._telling(event): event for event in then.events[customer_id]}
        return Side(customer_id, _record(then, customer_id).members), events

    async def aclose(self) -> None:
        pass

    def then(self, past: Past) -> Then:
        """The log at a cut."""
        records = self._records()
        found = self._known.get((past, len(records)))
        if found is None:
            found = log_then(records, self._codec, self._policy, self._projection, past)
            self._known[past, len(records)] = found
        return found

    def _listed(self, then: Then, customer_id: str, at_us: int) -> CustomerRow | None:
        facts = self._projection.decode(then.facts[customer_id])
        schedule = stage_schedule(facts, self._rules, self._projection.calendar)
        entry, columns = entry_at(schedule, at_us), self._projection.columns(facts)
        if entry is None or columns.first_event_us is None or columns.last_event_us is None:
            return None
        return CustomerRow(
            customer_id,
            entry.stage,
            entry.flags,
            entry.from_us,
            next_change_us(schedule, at_us),
            columns.events,
            columns.purchases,
            columns.first_event_us,
            columns.last_event_us,
            columns.last_sign_of_life_us,
        )


def _record(then: Then, customer_id: str) -> CustomerRecord:
    members = [
        Member(*then.identifiers[i], then.first_seen[i])
        for i, owner in then.customer_of.items()
        if owner == customer_id
    ]
    members.sort(key=lambda m: (m.first_seen_us is None, m.first_seen_us or 0, m.identifier_id))
    return CustomerRecord(customer_id, tuple(members), then.facts[customer_id] if then.events[customer_id] else None)


def _whole_log(then: Then) -> Component:
    """All raw components at once, which is as right as one of them."""
    first: dict[str, tuple[int, str]] = {}
    evidence: dict[Pair, list[LinkEvidence]] = {}
    decisions = []
    for event in then.winners:
        sighting = (event.occurred_us, event.event_id)
        recorded_us = to_micros(event.recorded_at)
        if event.decides is not None:
            a, b = sorted(identifier.identifier_id for identifier in event.decides)
            verdict = "linked" if event.type == "identity.linked.v1" else "unlinked"
            words = (event.data.reason, event.data.operator)  # type: ignore[attr-defined]
            decisions.append(ComponentDecision(event.event_id, (a, b), verdict, sighting[0], recorded_us, *words))  # type: ignore[arg-type]
        for identifier in event.identifiers if event.listed else ():
            first[identifier.identifier_id] = min(first.get(identifier.identifier_id, sighting), sighting)
        for pair in pairs_of(event):
            evidence.setdefault(pair, []).append(LinkEvidence(*sighting, recorded_us, event.source, event.type))
    members = []
    for identifier_id, kind, value in (then.identifiers[i] for i in sorted(then.customer_of)):
        first_us, first_event_id = first.get(identifier_id, (None, None))
        shared = identifier_id in then.shared
        members.append(ComponentMember(identifier_id, kind, value, first_us, first_event_id, shared))
    links = [ComponentLink(pair, tuple(sorted(found))) for pair, found in sorted(evidence.items())]
    return Component(tuple(members), (), tuple(links), tuple(sorted(decisions)))


def _in_order(events: Iterable[DecodedEvent]) -> tuple[DecodedEvent, ...]:
    return tuple(sorted(events, key=lambda event: (event.occurred_us, event.event_id)))


def _matches(event: DecodedEvent, wanted: TimelineFilter) -> bool:
    return (
        wanted.type in (None, event.type, event.type.rpartition(".v")[0])
        and wanted.channel in (None, event.channel)
        and (wanted.from_us is None or event.occurred_us >= wanted.from_us)
        and (wanted.until_us is None or event.occurred_us < wanted.until_us)
    )


def _row(event: DecodedEvent) -> TimelineRow:
    notes = json.dumps([note._asdict() for note in event.data_quality]) if event.data_quality else None
    recorded_us = to_micros(event.recorded_at)
    return TimelineRow(event.event_id, event.occurred_us, recorded_us, None, None, notes, event.value.decode())
