"""Partial states, the pure part: spans of any calendar lie side by side, and the parts of a history are the history."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_customer_laws import PROJECTIONS, events

from customer_timeline.projections.calendar import DAY_US, HOUR_US, BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.partials import (
    Lengths,
    Span,
    day_span,
    facts_of,
    look_again_us,
    month_span,
    spans_to_fold,
)
from customer_timeline.schemas.decoded import DecodedEvent, to_micros

# Clocks set back over midnight (Beirut, Havana until 2011), forward over it (São Paulo), and a day left out (Apia).
CALENDARS = [
    BusinessCalendar(zone)
    for zone in ("UTC", "Europe/Berlin", "Asia/Beirut", "America/Havana", "America/Sao_Paulo", "Pacific/Apia")
]
INSTANTS = st.one_of(
    st.integers(0, 2_000_000_000_000_000),
    # around the skipped 30 December 2011 in Apia, and around Beirut's end of October
    st.integers(to_micros(datetime(2011, 12, 27, tzinfo=UTC)), to_micros(datetime(2012, 1, 3, tzinfo=UTC))),
    st.integers(to_micros(datetime(2023, 10, 27, tzinfo=UTC)), to_micros(datetime(2023, 11, 2, tzinfo=UTC))),
)
UTC_CALENDAR = CALENDARS[0]


def us(at: str) -> int:
    return to_micros(datetime.fromisoformat(at).replace(tzinfo=UTC))


def utc_day(at: str) -> int:
    return us(at) // DAY_US


@given(calendar=st.sampled_from(CALENDARS), instant=INSTANTS)
def test_every_instant_lies_in_one_day_and_one_month_and_the_next_begin_where_they_end(
    calendar: BusinessCalendar, instant: int
) -> None:
    day, month = day_span(instant, calendar), month_span(instant, calendar)
    for span, span_of, longest in ((day, day_span, 32 * HOUR_US), (month, month_span, 32 * DAY_US)):
        assert span.begins_us <= instant < span.until_us <= span.begins_us + longest
        assert span_of(span.begins_us, calendar) == span == span_of(span.until_us - 1, calendar)
        assert span_of(span.until_us, calendar).begins_us == span.until_us
    assert month.begins_us <= day.begins_us < day.until_us <= month.until_us


@given(
    projection=st.sampled_from(PROJECTIONS),
    log=events(max_size=16),
    parts=st.integers(0, 5),
    data=st.data(),
)
def test_partial_states_and_the_events_between_them_are_the_fold_of_all_events(
    projection: CustomerProjection, log: list[DecodedEvent], parts: int, data: st.DataObject
) -> None:
    where = [data.draw(st.integers(0, parts)) for _ in log]
    groups: list[list[DecodedEvent]] = [[] for _ in range(parts + 1)]
    for one, index in zip(log, where, strict=True):
        groups[index].append(one)
    encoded = [projection.encode(facts_of(projection, (), group)) for group in groups[1:]]
    expected = projection.initial()
    for one in log:
        projection.apply(expected, one)
    assert projection.encode(facts_of(projection, encoded, groups[0])) == projection.encode(expected)


@given(
    calendar=st.sampled_from(CALENDARS),
    uncovered=st.dictionaries(st.integers(15_300, 15_400), st.integers(1, 400), max_size=40),
    now=st.integers(15_300, 15_420),
)
def test_spans_of_a_kind_never_meet_and_have_all_settled(
    calendar: BusinessCalendar, uncovered: dict[int, int], now: int
) -> None:
    spans = spans_to_fold(uncovered, now * DAY_US, calendar)
    for kind in ("month", "day"):
        of_kind = [span for span in spans if span.kind == kind]
        assert all(before.until_us <= after.begins_us for before, after in pairwise(of_kind))
    assert all(span.until_us + 6 * HOUR_US <= now * DAY_US for span in spans)


LENGTHS = Lengths(history=10, anchor=10, month=8)


def test_a_month_is_folded_six_hours_after_its_end() -> None:
    uncovered = {utc_day("2025-01-10"): 5, utc_day("2025-01-20"): 5}
    january = Span("month", us("2025-01-01"), us("2025-02-01"))
    assert spans_to_fold(uncovered, us("2025-02-01T05:59:59"), UTC_CALENDAR, LENGTHS._replace(month=10)) == []
    assert spans_to_fold(uncovered, us("2025-02-01T06:00:00"), UTC_CALENDAR, LENGTHS._replace(month=10)) == [january]


def test_a_heavy_month_is_folded_day_by_day_even_before_it_ends() -> None:
    uncovered = {utc_day("2025-01-10"): 5, utc_day("2025-01-20"): 5}
    assert spans_to_fold(uncovered, us("2025-01-20T12:00:00"), UTC_CALENDAR, LENGTHS) == [
        Span("day", us("2025-01-10"), us("2025-01-11"))
    ]
    assert spans_to_fold(uncovered, us("2025-02-02"), UTC_CALENDAR, LENGTHS) == [
        Span("month", us("2025-01-01"), us("2025-02-01")),
        Span("day", us("2025-01-10"), us("2025-01-11")),
        Span("day", us("2025-01-20"), us("2025-01-21")),
    ]


def test_an_anchor_with_few_events_is_left_alone() -> None:
    assert spans_to_fold({utc_day("2025-01-10"): 9}, us("2025-03-01"), UTC_CALENDAR, LENGTHS) == []


@pytest.mark.parametrize(
    ("now", "again"),
    [
        ("2025-01-31T23:00:00", "2025-02-01T06:00:00"),
        ("2025-02-01T05:00:00", "2025-02-01T06:00:00"),
        ("2025-02-01T06:00:00", "2025-03-01T06:00:00"),
    ],
)
def test_a_history_is_looked_at_again_when_the_month_at_hand_has_settled(now: str, again: str) -> None:
    assert look_again_us(us(now), UTC_CALENDAR) == us(again)
