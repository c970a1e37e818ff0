"""An own projection: how much revenue came from people who first met us on the phone, on the web, in a store?

    customer-timeline replay --to python --projection examples/revenue_by_first_channel.py:RevenueByFirstChannel

Who is who follows the rules of the live view, with the settings that stand when nobody set any.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from customer_timeline.projections.amounts import text_of, to_units
from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded

First = tuple[int, str, str]
"""When, the event's id (so that equal times are decided alike everywhere), and the channel."""

NOBODY: Final = "(nobody known)"


@dataclass
class State:
    """What has been seen, by the id that an event stands at. Dictionaries of it merge in any order."""

    first: dict[str, First] = field(default_factory=dict)
    revenue: dict[tuple[str, str], int] = field(default_factory=dict)  # by id and currency, in millionths
    identity: HistoryIdentity = field(default_factory=HistoryIdentity)


class RevenueByFirstChannel:
    """Revenue (purchases less refunds) by the channel of the first event of whoever bought, and by currency."""

    name = "revenue-by-first-channel"
    version = 1
    handles = ()  # a first contact may be of any type

    def initial(self) -> State:
        return State()

    def apply(self, state: State, event: DecodedEvent) -> None:
        state.identity.add(event)  # of decisions too, which are listed nowhere
        anchor = event.anchor_id
        if not event.listed or anchor is None:
            return
        if event.channel is not None:
            self._met(state.first, anchor, (event.occurred_us, event.event_id, event.channel))
        data = event.data
        if isinstance(data, PurchaseCompleted):
            self._add(state.revenue, (anchor, data.total.currency), to_units(data.total.amount))
        elif isinstance(data, PurchaseRefunded):
            self._add(state.revenue, (anchor, data.total.currency), -to_units(data.total.amount))

    def combine(self, into: State, other: State) -> None:
        into.identity.combine(other.identity)
        for anchor, first in other.first.items():
            self._met(into.first, anchor, first)
        for place, units in other.revenue.items():
            self._add(into.revenue, place, units)

    def finish(self, state: State) -> dict[str, dict[str, str]]:
        person = state.identity.customers(IdentityPolicy())
        first: dict[str, First] = {}
        for anchor, met in state.first.items():
            self._met(first, person.get(anchor, anchor), met)
        totals: dict[tuple[str, str], int] = {}
        for (anchor, currency), units in state.revenue.items():
            _, _, channel = first.get(person.get(anchor, anchor), (0, "", NOBODY))
            self._add(totals, (channel, currency), units)
        answer: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for (channel, currency), units in sorted(totals.items()):
            answer[channel][currency] = text_of(units)
        return dict(answer)

    @staticmethod
    def _met(first: dict[str, First], who: str, met: First) -> None:
        first[who] = min(met, first.get(who, met))

    @staticmethod
    def _add(sums: dict[tuple[str, str], int], place: tuple[str, str], units: int) -> None:
        sums[place] = sums.get(place, 0) + units
