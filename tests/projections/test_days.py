"""A packed set of days: order-free, canonical, exact to the microsecond, small after ten years."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.projections import days
from customer_timeline.projections.calendar import DAY_US, HOUR_US, BusinessCalendar
from customer_timeline.schemas.decoded import to_micros

CALENDARS = [BusinessCalendar(zone) for zone in ("UTC", "America/Sao_Paulo", "Pacific/Kiritimati", "Pacific/Midway")]
# Few days, so that several instants share one.
INSTANTS = st.one_of(st.integers(0, 40 * DAY_US), st.integers(0, 2_000_000_000_000_000))

# The clock is set back over midnight on 1987-10-25, so that two days take turns; a day is left out on 2011-12-30.
SHIFTED = [*CALENDARS, BusinessCalendar("America/St_Johns"), BusinessCalendar("Pacific/Apia")]
_SHIFTS_US = [to_micros(datetime(1987, 10, 25, 2, tzinfo=UTC)), to_micros(datetime(2011, 12, 30, 10, tzinfo=UTC))]
NEAR = st.builds(
    lambda shift_us, hours, less_us: shift_us + hours * HOUR_US // 4 - less_us,
    st.sampled_from(_SHIFTS_US),
    st.one_of(st.integers(-400, 400), st.integers(-8, 8)),
    st.integers(0, 1),
)


def pack(calendar: BusinessCalendar, instants: list[int]) -> str:
    packed = days.EMPTY
    for us in instants:
        packed = days.with_instant(packed, calendar.day(us), us)
    return packed


@given(calendar=st.sampled_from(CALENDARS), instants=st.lists(INSTANTS, max_size=30), data=st.data())
def test_set_is_independent_of_arrival_order(
    calendar: BusinessCalendar, instants: list[int], data: st.DataObject
) -> None:
    assert pack(calendar, instants) == pack(calendar, data.draw(st.permutations(instants)))


@given(calendar=st.sampled_from(CALENDARS), instants=st.lists(INSTANTS, max_size=30))
def test_each_day_keeps_its_first_and_last_instant(calendar: BusinessCalendar, instants: list[int]) -> None:
    by_day: dict[int, list[int]] = {}
    for us in instants:
        by_day.setdefault(calendar.day(us), []).append(us)
    packed = pack(calendar, instants)
    assert days.unpack(packed) == [(day, min(by_day[day]), max(by_day[day])) for day in sorted(by_day)]
    assert days.count(packed) == len(by_day)


@given(calendar=st.sampled_from(CALENDARS), one=st.lists(INSTANTS, max_size=20), other=st.lists(INSTANTS, max_size=20))
def test_union_is_the_set_of_both_and_commutes(calendar: BusinessCalendar, one: list[int], other: list[int]) -> None:
    left, right = pack(calendar, one), pack(calendar, other)
    assert days.union(left, right) == days.union(right, left) == pack(calendar, one + other)


@pytest.mark.parametrize("length", [1, 8, 9, 30])
def test_days_of_both_sets_keep_the_first_and_last_instant_of_both(length: int) -> None:
    # Short sets are spliced into long ones, longer sets are merged as a whole: the same must come out.
    utc = CALENDARS[0]
    forenoons = [day * DAY_US + 9 * HOUR_US for day in range(40)]
    early = [day * DAY_US + 1 * HOUR_US for day in range(5, 5 + length)]
    late = [day * DAY_US + 23 * HOUR_US for day in range(5, 5 + length)]
    long = pack(utc, forenoons)
    for further in (early, late, early + late):
        short = pack(utc, further)
        merged = days.unpack(days.union(long, short))
        assert days.unpack(days.union(short, long)) == merged
        assert len(merged) == 40
        for found in merged:
            touched = 5 <= found.day < 5 + length
            first_hour = 1 if touched and further is not late else 9
            last_hour = 23 if touched and further is not early else 9
            assert found == (
                found.day,
                found.day * DAY_US + first_hour * HOUR_US,
                found.day * DAY_US + last_hour * HOUR_US,
            )


def test_ten_years_of_daily_purchases_stay_below_64_kb() -> None:
    berlin = BusinessCalendar("Europe/Berlin")
    start = datetime(2016, 1, 1, tzinfo=UTC)
    instants = []
    for day in range(3653):  # 2016-01-01 to 2025-12-31: ten years, three of them leap years
        # Two purchases a day, as far apart as the day allows and with odd microseconds: nothing to save on.
        instants += [
            to_micros(start + timedelta(days=day, microseconds=1_234_567)),
            to_micros(start + timedelta(days=day, hours=20, microseconds=7)),
        ]
    random.Random(7).shuffle(instants)
    packed = pack(berlin, instants)
    assert days.count(packed) == 3653
    assert len(packed) == 3653 * 16 == 58_448  # 12 bytes a day in base64
    assert len(packed) < 64 * 1024


@pytest.mark.parametrize(
    ("day_numbers", "twice_median"),
    [
        ([], None),
        ([5], None),
        ([5, 12], 14),  # one gap of 7
        ([1, 3, 10], 9),  # gaps 2, 7: median 4.5
        ([1, 2, 4, 10], 4),  # gaps 1, 2, 6: median 2
        ([1, 2, 3, 7, 17], 5),  # gaps 1, 1, 4, 10: median 2.5
    ],
)
def test_median_gap_is_that_of_neighbouring_days(day_numbers: list[int], twice_median: int | None) -> None:
    packed = pack(CALENDARS[0], [day * DAY_US + HOUR_US for day in day_numbers])
    assert days.twice_median_gap(packed) == twice_median


def test_an_instant_that_cannot_lie_on_the_day_is_refused() -> None:
    with pytest.raises(days.InstantOutsideDay, match="cannot lie on local day 100"):
        days.with_instant(days.EMPTY, 100, 104 * DAY_US)
    with pytest.raises(days.InstantOutsideDay):
        days.with_instant(days.EMPTY, 100, 99 * DAY_US)
    with pytest.raises(days.InstantOutsideDay):
        days.with_instant(days.EMPTY, -2, -2 * DAY_US)


@given(calendar=st.sampled_from(SHIFTED), instants=st.lists(NEAR, max_size=12), us=NEAR)
def test_what_comes_next_is_found_from_the_packed_set(calendar: BusinessCalendar, instants: list[int], us: int) -> None:
    packed = pack(calendar, instants)
    every = sorted(days.unpack(packed), key=lambda found: found.first_us)
    later = days.since(packed, us, max(instants, default=0))
    assert later.days == every[later.earlier :]
    assert all(found.first_us <= us for found in every[: later.earlier])
    firsts = [found.first_us for found in every]
    bounds = firsts + [found.last_us for found in every]
    assert days.first_from(packed, us) == min((one for one in firsts if one >= us), default=None)
    assert days.bound_from(packed, us) == min((one for one in bounds if one >= us), default=None)
    for index, number in enumerate(days.day_numbers(packed)):
        assert days.day_at(packed, index) == number
        assert days.first_numbers(packed, index) == days.day_numbers(packed)[:index]
