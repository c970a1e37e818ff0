"""What late events changed in months that were closed: the differences of customers before and after, counted. Pure.

A month is closed once its books are: whatever happened in it and is recorded later changes figures that somebody has
already reported. Every figure here is a change, so that it can be added to the one that was reported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Context, Decimal, Inexact, localcontext
from typing import Final, Literal, NamedTuple

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.differences import Difference
from customer_timeline.projections.lifecycle import entry_at, stage_schedule
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import EPOCH, DecodedEvent
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded

# More digits than any sum of amounts has; an error rather than a rounded figure.
_EXACT: Final = Context(prec=200, traps=[Inexact])

Measure = Literal["events", "revenue", "new_customers", "stage"]


class Figure(NamedTuple):
    """One figure of one month. `key`: the currency of revenue, the stage of a count by stage, else empty."""

    month: str  # YYYY-MM in the business time zone
    measure: Measure
    key: str


class ClosedMonths:
    """The months that ended by `close_us` (microseconds since 1970), in one calendar."""

    def __init__(self, close_us: int, calendar: BusinessCalendar) -> None:
        self._close_us = close_us
        self._calendar = calendar

    def of(self, us: int) -> str | None:
        """The month of an instant, None where it is not closed."""
        month = self._calendar.month(us)
        return month if self._end_us(month) <= self._close_us else None

    def since(self, first: str) -> Iterator[tuple[str, int]]:
        """The closed months from `first` on, each with the instant that ends it."""
        month = first
        while (end_us := self._end_us(month)) <= self._close_us:
            yield month, end_us
            month = self._calendar.month(end_us)

    def _end_us(self, month: str) -> int:
        year, number = int(month[:4]), int(month[5:])
        following = date(year + number // 12, number % 12 + 1, 1)
        return self._calendar.midnight_us(following.toordinal() - EPOCH.toordinal())


def late_changes(
    differences: Iterable[Difference], close_us: int, projection: CustomerProjection, rules: StageRules
) -> dict[Figure, Decimal]:
    """By how much each figure of the closed months changed; figures that did not change are left out.

    Revenue is gross less refunds, by the month of the purchase or refund; a new customer is one of whom the first
    purchase falls into the month; stages are those at the end of the month.
    """
    closed = ClosedMonths(close_us, projection.calendar)
    changed: defaultdict[Figure, Decimal] = defaultdict(Decimal)
    with localcontext(_EXACT):
        for difference in differences:
            sides = (
                (-1, difference.facts_before(projection), difference.removed),
                (1, difference.facts_after(projection), difference.added),
            )
            for sign, facts, events in sides:
                for figure in _counted(facts, closed, projection.calendar, rules):
                    changed[figure] += sign
                for figure, amount in _sums(facts, events, closed):
                    changed[figure] += sign * amount
    return {figure: amount for figure, amount in sorted(changed.items()) if amount}


def _counted(
    facts: CustomerFacts, closed: ClosedMonths, calendar: BusinessCalendar, rules: StageRules
) -> Iterator[Figure]:
    """Where one customer counts as one."""
    by_month = facts.activity["by_month"]
    if by_month:
        schedule = stage_schedule(facts, rules, calendar)
        for month, end_us in closed.since(min(by_month)):
            entry = entry_at(schedule, end_us - 1)
            if entry is not None:
                yield Figure(month, "stage", entry.stage)
    first_us = facts.purchases.get("first_us")
    month_of_first = None if first_us is None else closed.of(first_us)
    if month_of_first is not None:
        yield Figure(month_of_first, "new_customers", "")


def _sums(
    facts: CustomerFacts, events: Iterable[DecodedEvent], closed: ClosedMonths
) -> Iterator[tuple[Figure, Decimal]]:
    """What a customer adds to sums: events by its facts, revenue by the events that only this side has."""
    by_month = facts.activity["by_month"]
    for month, _ in closed.since(min(by_month)) if by_month else ():
        if month in by_month:
            yield Figure(month, "events", ""), Decimal(by_month[month])
    for event in events:
        month_of_event = closed.of(event.occurred_us)
        if month_of_event is None:
            continue
        if isinstance(event.data, PurchaseCompleted):
            total = event.data.total
            yield Figure(month_of_event, "revenue", total.currency), total.amount
        elif isinstance(event.data, PurchaseRefunded):
            total = event.data.total
            yield Figure(month_of_event, "revenue", total.currency), -total.amount
