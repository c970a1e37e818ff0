"""The pure core as a system: folds and identity without any store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from stateful.plain_customers import FOR_EVER, Customer
from stateful.system import CODEC, POLICY, PROJECTION, RULES, Stages, cents_of, recorded_at

from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.identity import Decision, Link, Member, Resolution, resolve
from customer_timeline.projections.lifecycle import entry_at, stage_schedule
from customer_timeline.projections.records import settle
from customer_timeline.projections.things import named_things, owner_of
from customer_timeline.schemas.decoded import DecodedEvent, Identifier


class _View(NamedTuple):
    """What the pure core makes of a set of records."""

    winners: Sequence[DecodedEvent]
    resolution: Resolution
    holder: dict[str, str]
    facts: dict[str, CustomerFacts]


class PureCore:
    """Folds and identity without any store. What the stores add to them (who is shared) is counted here."""

    knows_when = True

    def __init__(self) -> None:
        self.log: list[DecodedEvent] = []

    def append(self, value: bytes) -> None:
        self.log.append(CODEC.decode(value, appended_at=recorded_at(len(self.log))))

    def close(self) -> None:
        self.log = []

    def customers(self, as_of_us: int = FOR_EVER, known_at: int = FOR_EVER) -> dict[str, Customer]:
        view = self._view(as_of_us, known_at)
        events: dict[str, set[str]] = defaultdict(set)
        for event in view.winners:
            customer = self._customer_of(event, view)
            if customer is not None:
                events[customer].add(event.event_id)
        return {
            customer: Customer(
                frozenset(members),
                frozenset(events[customer]),
                PROJECTION.columns(view.facts[customer]).purchases,
                _gross(view.facts[customer]),
            )
            for customer, members in view.resolution.customers.items()
        }

    def stages(self, at_us: int) -> Stages:
        found: Stages = {}
        for customer, facts in self._view(FOR_EVER, FOR_EVER).facts.items():
            entry = entry_at(stage_schedule(facts, RULES, PROJECTION.calendar), at_us)
            found[customer] = None if entry is None else (entry.stage, entry.flags)
        return found

    def _view(self, as_of_us: int, known_at: int) -> _View:
        by_event: dict[str, list[DecodedEvent]] = defaultdict(list)
        for event in self.log[: min(known_at + 1, len(self.log))]:
            by_event[event.event_id].append(event)
        settled = [settle(records, CODEC.canonical_hash) for records in by_event.values()]
        left = [one for one in settled if one.event.occurred_us <= as_of_us]
        winners = [one.event for one in left]
        lost = [each.event for one in left for each in one.superseded]
        resolution = _resolution(winners, [*winners, *lost])
        holder = {name: customer for customer, members in resolution.customers.items() for name in members}
        view = _View(winners, resolution, holder, {customer: PROJECTION.initial() for customer in resolution.customers})
        for event in winners:
            customer = self._customer_of(event, view)
            if customer is not None:
                PROJECTION.apply(view.facts[customer], event)
        return view

    def _customer_of(self, event: DecodedEvent, view: _View) -> str | None:
        if not event.listed or event.anchor_id is None:
            return None
        if event.anchor_id in view.holder:
            return view.holder[event.anchor_id]
        owner = owner_of(event.anchor_id, named_things(view.winners))
        return None if owner is None else view.holder[owner]


def _resolution(winners: Sequence[DecodedEvent], told: Sequence[DecodedEvent]) -> Resolution:
    """The product's decision on the facts that its tables would hold."""
    names: dict[str, Identifier] = {}
    first: dict[str, int] = {}
    least: dict[tuple[str, str], tuple[int, str]] = {}
    stronger: dict[tuple[str, str], set[str]] = defaultdict(set)
    for event in told:
        names.update({i.identifier_id: i for i in (*event.identifiers, *(event.decides or ()))})
        for other in event.identifiers[1:]:
            anchor = event.identifiers[0]
            if _rank(anchor) > _rank(other):
                stronger[other.identifier_id, anchor.kind].add(anchor.identifier_id)
    for event in winners:
        for i in event.identifiers:
            first[i.identifier_id] = min(first.get(i.identifier_id, event.occurred_us), event.occurred_us)
        for other in event.identifiers[1:]:
            pair = (event.identifiers[0].identifier_id, other.identifier_id)
            least[pair] = min(least.get(pair, (FOR_EVER, "")), (event.occurred_us, event.event_id))
    shared = {n for (n, _), others in stronger.items() if len(others) > POLICY.kinds[names[n].kind].share_limit}
    members = {name: Member(name, i.kind, first.get(name), name in shared) for name, i in names.items()}
    decisions = [
        Decision(
            (event.decides[0].identifier_id, event.decides[1].identifier_id),
            "unlinked" if event.type == "identity.unlinked.v1" else "linked",
            event.occurred_us,
            event.event_id,
        )
        for event in winners
        if event.decides is not None
    ]
    return resolve(members, [Link(pair, *when) for pair, when in least.items()], decisions, POLICY)


def _rank(identifier: Identifier) -> int:
    return POLICY.kinds[identifier.kind].rank


def _gross(facts: CustomerFacts) -> int:
    by_currency = facts.purchases.get("by_currency", {})
    return cents_of(by_currency["USD"]["gross"]) if "USD" in by_currency else 0
