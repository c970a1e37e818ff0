"""An own projection: how much revenue came from people who first met us on the phone, on the web, in a store?

    customer-timeline replay --to python --projection examples/revenue_by_first_channel.py:RevenueByFirstChannel

Who is who is kept simple: identifiers that one event names are one person's. The live view knows more (values that many
share, limits, decisions of operators); where that matters, ask it for the customer.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from customer_timeline.projections.amounts import text_of, to_units
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded

First = tuple[int, str, str]
"""When, the event's id (so that equal times are decided alike everywhere), and the channel."""

NOBODY: Final = "(nobody known)"


@dataclass
class State:
    """What has been seen, by the id that an event stands at. Dictionaries and sets of it merge in any order."""

    first: dict[str, First] = field(default_factory=dict)
    revenue: dict[tuple[str, str], int] = field(default_factory=dict)  # by id and currency, in millionths
    same: set[tuple[str, str]] = field(default_factory=set)  # pairs of ids that are one person's


class RevenueByFirstChannel:
    """Revenue (purchases less refunds) by the channel of the first event of whoever bought, and by currency."""

    name = "revenue-by-first-channel"
    version = 1
    handles = ()  # a first contact may be of any type

    def initial(self) -> State:
        return State()

    def apply(self, state: State, event: DecodedEvent) -> None:
        if not event.listed or event.anchor_id is None:
            return
        anchor = event.anchor_id
        if event.channel is not None:
            self._met(state, anchor, (event.occurred_us, event.event_id, event.channel))
        ids = [*(one.identifier_id for one in event.identifiers), *(one.thing_id for one in event.things)]
        state.same.update((anchor, other) for other in ids if other != anchor)
        data = event.data
        if isinstance(data, PurchaseCompleted):
            self._add(state, anchor, data.total.currency, to_units(data.total.amount))
        elif isinstance(data, PurchaseRefunded):
            self._add(state, anchor, data.total.currency, -to_units(data.total.amount))

    def combine(self, into: State, other: State) -> None:
        for anchor, first in other.first.items():
            self._met(into, anchor, first)
        for (anchor, currency), units in other.revenue.items():
            self._add(into, anchor, currency, units)
        into.same |= other.same

    def finish(self, state: State) -> dict[str, dict[str, str]]:
        person = _people(state.same)
        first: dict[str, First] = {}
        for anchor, met in state.first.items():
            who = person.get(anchor, anchor)
            first[who] = min(met, first.get(who, met))
        totals: defaultdict[tuple[str, str], int] = defaultdict(int)
        for (anchor, currency), units in state.revenue.items():
            who = person.get(anchor, anchor)
            channel = first[who][2] if who in first else NOBODY
            totals[channel, currency] += units
        answer: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for (channel, currency), units in sorted(totals.items()):
            answer[channel][currency] = text_of(units)
        return dict(answer)

    @staticmethod
    def _met(state: State, anchor: str, first: First) -> None:
        state.first[anchor] = min(first, state.first.get(anchor, first))

    @staticmethod
    def _add(state: State, anchor: str, currency: str, units: int) -> None:
        state.revenue[anchor, currency] = state.revenue.get((anchor, currency), 0) + units


def _people(same: set[tuple[str, str]]) -> dict[str, str]:
    """Of every id that was named together with another, the least id of the same person."""
    leader: dict[str, str] = {}

    def find(one: str) -> str:
        while leader.setdefault(one, one) != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for left, right in same:
        a, b = find(left), find(right)
        leader[max(a, b)] = min(a, b)
    return {one: find(one) for one in list(leader)}
