"""The business calendar cuts days and months in one zone, daylight saving included."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from customer_timeline.projections.calendar import HOUR_US, BusinessCalendar, UnknownTimeZone, tzdata_version
from customer_timeline.schemas.decoded import EPOCH, from_micros, to_micros

ZONES = (
    "UTC",
    "America/Sao_Paulo",  # daylight saving began at midnight until 2018: days of 23 h without 00:00
    "Europe/Berlin",
    "Asia/Kolkata",  # half an hour off: local midnight is never a UTC hour
    "Asia/Kathmandu",  # a quarter off, and changed from a half in 1986
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "America/St_Johns",  # changed its clocks at 00:01 until 2011: back into the day before
    "Africa/Monrovia",  # 44 min 30 s off until 1972
    "Pacific/Apia",
    "Pacific/Kiritimati",
)
CALENDARS = {zone: BusinessCalendar(zone) for zone in ZONES}


def us(text: str) -> int:
    return to_micros(datetime.fromisoformat(text))


def day_number(text: str) -> int:
    return date.fromisoformat(text).toordinal() - EPOCH.toordinal()


# Where the date line moved past, a day has no instant: it begins, and ends, where the next one begins.
SKIPPED_DAYS = {("Pacific/Apia", day_number("2011-12-30")), ("Pacific/Kiritimati", day_number("1994-12-31"))}


@given(
    zone=st.sampled_from(ZONES),
    instant=st.integers(0, 2_208_988_800_000_000).map(from_micros),  # 1970 to 2040
)
@example("Africa/Monrovia", datetime(1972, 1, 7, 0, 44, 29, tzinfo=UTC))
@example("Africa/Monrovia", datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC))
@example("Asia/Kolkata", datetime(2026, 1, 31, 18, 29, 59, 999999, tzinfo=UTC))
@example("Asia/Kolkata", datetime(2026, 1, 31, 18, 30, tzinfo=UTC))
def test_day_and_month_are_those_of_the_local_clock(zone: str, instant: datetime) -> None:
    local = instant.astimezone(ZoneInfo(zone))
    calendar = CALENDARS[zone]
    # Twice: the second answer comes from the cache.
    for _ in range(2):
        assert calendar.day(to_micros(instant)) == local.toordinal() - EPOCH.toordinal()
        assert calendar.month(to_micros(instant)) == f"{local:%Y-%m}"


@pytest.mark.parametrize(
    ("zone", "instant", "day", "month"),
    [
        # Berlin is UTC+1 in winter, UTC+2 from 2026-03-29T01:00Z on.
        ("Europe/Berlin", "2026-03-28T22:59:59.999999Z", "2026-03-28", "2026-03"),
        ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29", "2026-03"),
        ("Europe/Berlin", "2026-03-29T21:59:59.999999Z", "2026-03-29", "2026-03"),
        ("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-30", "2026-03"),
        ("Europe/Berlin", "2025-12-31T23:00:00Z", "2026-01-01", "2026-01"),
        # Sao Paulo went from UTC-3 to UTC-2 at 2018-11-04T03:00Z: 00:00 local did not exist, the day began at 01:00.
        ("America/Sao_Paulo", "2018-11-04T02:59:59.999999Z", "2018-11-03", "2018-11"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04", "2018-11"),
        ("America/Sao_Paulo", "2018-11-05T01:59:59.999999Z", "2018-11-04", "2018-11"),
        ("America/Sao_Paulo", "2018-11-05T02:00:00Z", "2018-11-05", "2018-11"),
        # and back at 2019-02-17T02:00Z: 23:00 to 24:00 of the 16th happened twice.
        ("America/Sao_Paulo", "2019-02-17T01:59:59Z", "2019-02-16", "2019-02"),
        ("America/Sao_Paulo", "2019-02-17T02:30:00Z", "2019-02-16", "2019-02"),
        ("America/Sao_Paulo", "2019-02-17T03:00:00Z", "2019-02-17", "2019-02"),
        # St. John's went back at 00:01 on 1987-10-25, from UTC-2:30 to UTC-3:30: for one minute it had been the 25th.
        ("America/St_Johns", "1987-10-25T02:29:59Z", "1987-10-24", "1987-10"),
        ("America/St_Johns", "1987-10-25T02:30:30Z", "1987-10-25", "1987-10"),
        ("America/St_Johns", "1987-10-25T02:31:00Z", "1987-10-24", "1987-10"),
        ("America/St_Johns", "1987-10-25T02:59:59Z", "1987-10-24", "1987-10"),
        ("America/St_Johns", "1987-10-25T03:30:00Z", "1987-10-25", "1987-10"),
        # The first instant of the epoch is still New Year's Eve in the west.
        ("America/Sao_Paulo", "1970-01-01T00:00:00Z", "1969-12-31", "1969-12"),
    ],
)
def test_days_change_at_local_midnight_around_daylight_saving(zone: str, instant: str, day: str, month: str) -> None:
    assert CALENDARS[zone].day(us(instant)) == day_number(day)
    assert CALENDARS[zone].month(us(instant)) == month


@given(zone=st.sampled_from(ZONES), day=st.integers(0, 25_567))  # 1970 to 2039
@example("America/Sao_Paulo", day_number("2018-11-04"))
@example("Africa/Monrovia", day_number("1972-01-07"))
@example("Pacific/Apia", day_number("2011-12-30"))
@example("Pacific/Kiritimati", day_number("1994-12-31"))
def test_a_day_begins_at_the_first_instant_that_is_not_before_it(zone: str, day: int) -> None:
    calendar = CALENDARS[zone]
    begin = calendar.midnight_us(day)
    assert calendar.midnight_us(day) == begin  # from the cache
    assert calendar.day(begin - 1) < day
    assert calendar.day(begin) == day + ((zone, day) in SKIPPED_DAYS)


@pytest.mark.parametrize(
    ("zone", "day", "instant"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),  # 00:00 did not exist: the day began at 01:00
        (
            "America/St_Johns",
            "1987-10-25",
            "1987-10-25T02:30:00Z",
        ),  # shown again at 03:30Z, after 59 minutes of the 24th
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
        ("Africa/Monrovia", "1972-01-07", "1972-01-07T00:44:30Z"),  # 44 min 30 s off until then
        ("Europe/Berlin", "9999-12-31", "9999-12-30T23:00:00Z"),
    ],
)
def test_midnights_around_changes_of_the_clock(zone: str, day: str, instant: str) -> None:
    assert CALENDARS[zone].midnight_us(day_number(day)) == us(instant)


def test_the_day_after_the_last_of_the_calendar_begins_in_utc() -> None:
    last = day_number("9999-12-31")
    assert CALENDARS["Europe/Berlin"].midnight_us(last + 1) == (last + 1) * 24 * HOUR_US


def test_a_midnight_within_a_skipped_hour_is_where_the_clock_jumped() -> None:
    # Toronto, 1919-03-30: from 23:30 on to 00:30 of the 31st, so no 00:00 and no 23:45 either.
    toronto = BusinessCalendar("America/Toronto")
    begin = toronto.midnight_us(day_number("1919-03-31"))
    assert begin == us("1919-03-31T04:30:00Z")
    assert toronto.day(begin - 1) == day_number("1919-03-30")


def test_a_day_of_23_hours_and_one_of_25_are_one_day_each() -> None:
    def hours(first: str, zone: str) -> int:
        start = us(first)
        day = CALENDARS[zone].day(start)
        return sum(CALENDARS[zone].day(start + hour * HOUR_US) == day for hour in range(48))

    assert hours("2026-03-28T23:00:00Z", "Europe/Berlin") == 23
    assert hours("2026-10-24T22:00:00Z", "Europe/Berlin") == 25
    assert hours("2026-06-30T22:00:00Z", "Europe/Berlin") == 24


def test_an_unknown_zone_is_refused_by_name() -> None:
    with pytest.raises(UnknownTimeZone, match="'Europe/Berlyn' is no time zone"):
        BusinessCalendar("Europe/Berlyn")
    with pytest.raises(UnknownTimeZone):
        BusinessCalendar("../zones")


def test_the_version_of_the_rules_is_told() -> None:
    assert tzdata_version()[:4].isdigit()


def test_more_days_than_the_cache_holds_are_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customer_timeline.projections.calendar._CACHED_DAYS", 3)
    calendar = BusinessCalendar("Europe/Berlin")
    start = datetime(2026, 3, 26, 20, tzinfo=UTC)
    for midnight in range(20_000, 20_010):
        assert calendar.day(calendar.midnight_us(midnight)) == midnight
    for hour in range(12 * 24):
        instant = start + timedelta(hours=hour)
        assert calendar.month(to_micros(instant)) == f"{instant.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m}"
        assert calendar.day(to_micros(instant)) == instant.astimezone(ZoneInfo("Europe/Berlin")).toordinal() - 719163
