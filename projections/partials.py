"""Partial states: which spans of an anchor's history get one, and how a state is put together from them. Pure.

A partial state is the fold of the events that stand at one anchor in one span, a business month or day. Called by
whoever builds them (`projections.postgres.partial_builder`) and whoever reads a history (the projector's fold from the
start, reads as of an instant). Spans are spans of instants, so it does not matter for the state where they are cut;
months and days of the business calendar are what readers ask for most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, Literal, NamedTuple

from customer_timeline.projections.calendar import DAY_US, HOUR_US, BusinessCalendar
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.schemas.decoded import EPOCH, DecodedEvent


class Lengths(NamedTuple):
    """From which length on partial states are worth their rows; measured in ADR 0013."""

    history: int = 1_000
    """A customer with this many events gets them."""
    anchor: int = 200
    """An anchor with fewer events that none covers is left alone."""
    month: int = 500
    """A month with more events than this, at one anchor, gets one for each of its days too."""


LENGTHS: Final = Lengths()
SETTLED_AFTER_US: Final = 6 * HOUR_US
"""A span is folded this long after its end: most late events have come by then, and each of them opens it again."""

SpanKind = Literal["month", "day"]


class Span(NamedTuple):
    """A stretch of time that a partial state covers: microseconds since 1970-01-01T00:00Z, `until_us` exclusive."""

    kind: SpanKind
    begins_us: int
    until_us: int


def day_span(us: int, calendar: BusinessCalendar) -> Span:
    """The day of an instant, from midnight to midnight.

    That differs from `calendar.day` only where a clock is set back over midnight: what it shows twice is the new day.
    """
    day = calendar.day(us)
    while us < calendar.midnight_us(day):
        day -= 1
    while us >= calendar.midnight_us(day + 1):
        day += 1
    return Span("day", calendar.midnight_us(day), calendar.midnight_us(day + 1))


def month_span(us: int, calendar: BusinessCalendar) -> Span:
    """The month of an instant, from the midnight at which its first day begins to that of the next month."""
    begins = date.fromordinal(EPOCH.toordinal() + calendar.day(us)).replace(day=1)
    while us < _midnight_us(begins, calendar):
        begins = _month_after(begins, -1)
    while us >= _midnight_us(_month_after(begins, 1), calendar):
        begins = _month_after(begins, 1)
    return Span("month", _midnight_us(begins, calendar), _midnight_us(_month_after(begins, 1), calendar))


def settled_until_us(kind: SpanKind, now_us: int, calendar: BusinessCalendar) -> int:
    """Spans that end by this instant may be folded at `now_us`: the end of the last one that has settled."""
    span_of = month_span if kind == "month" else day_span
    return span_of(now_us - SETTLED_AFTER_US, calendar).begins_us


def look_again_us(now_us: int, calendar: BusinessCalendar) -> int:
    """When there is more to fold although nothing happens to the past: once the month at hand has settled."""
    return month_span(now_us - SETTLED_AFTER_US, calendar).until_us + SETTLED_AFTER_US


def spans_to_fold(
    uncovered: Mapping[int, int], now_us: int, calendar: BusinessCalendar, lengths: Lengths = LENGTHS
) -> list[Span]:
    """The spans of one anchor that should get a partial state at `now_us`.

    `uncovered`: how many events no partial state covers, by UTC day (days since 1970-01-01). Days are cut roughly here:
    a span too many is empty, one too few leaves a few events to be folded one by one.
    """
    if sum(uncovered.values()) < lengths.anchor:
        return []
    days: dict[Span, int] = {}
    months: dict[Span, int] = {}
    for utc_day, events in uncovered.items():
        noon_us = utc_day * DAY_US + DAY_US // 2
        for spans, span in ((days, day_span(noon_us, calendar)), (months, month_span(noon_us, calendar))):
            spans[span] = spans.get(span, 0) + events
    month_settled_us = settled_until_us("month", now_us, calendar)
    day_settled_us = settled_until_us("day", now_us, calendar)
    heavy = [month for month, events in months.items() if events > lengths.month]
    return sorted(
        [month for month in months if month.until_us <= month_settled_us]
        + [
            day
            for day in days
            if day.until_us <= day_settled_us
            and any(month.begins_us <= day.begins_us and day.until_us <= month.until_us for month in heavy)
        ],
        key=lambda span: (span.begins_us, span.kind),
    )


def facts_of(
    projection: CustomerProjection, partials: Iterable[bytes | str], events: Iterable[DecodedEvent]
) -> CustomerFacts:
    """The fold of a history: encoded partial states of disjoint spans, and the events that none of them covers.

    The same facts, to the byte, as the fold of all the events.
    """
    facts = projection.initial()
    for event in events:
        projection.apply(facts, event)
    parts = [facts, *(projection.decode(encoded) for encoded in partials)]
    return _combined(projection, parts)


def _combined(projection: CustomerProjection, parts: Sequence[CustomerFacts]) -> CustomerFacts:
    """All parts in one, pair by pair: one after the other, the growing sets would be gone through once for each."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        left_over = parts[-1:] if len(parts) % 2 else []
        joined = []
        for into, other in pairs:
            projection.combine(into, other)
            joined.append(into)
        parts = [*joined, *left_over]
    return parts[0]


def _midnight_us(day: date, calendar: BusinessCalendar) -> int:
    return calendar.midnight_us(day.toordinal() - EPOCH.toordinal())


def _month_after(first: date, months: int) -> date:
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)
