"""Reading days and instants from the notations of tables: ISO 8601, seconds since 1970, patterns of strptime.

What comes out is the notation of the log: `2024-01-31`, `2024-01-31T08:30:00Z`. Pure: no zone but the one given, and
never the machine's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from customer_timeline.producers.tables.errors import Unconvertible
from customer_timeline.producers.tables.specs import ISO, UNIX, UNIX_MS, DateSpec, InstantFields, tells_clock
from customer_timeline.schemas.decoded import EPOCH

_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    r" ?(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_UNIX: Final = re.compile(r"(-?[0-9]{1,15})(?:\.([0-9]{1,6})[0-9]*)?")

_Moment = datetime | date
_Read = Callable[[str], _Moment | None]
"""Gives the moment, or None where the cell is not written that way: then the next format is tried."""


def date_reader(spec: DateSpec) -> Callable[[str], str]:
    """The function from a cell to `YYYY-MM-DD`."""
    readers = [_reader(pattern) for pattern in spec.formats]
    expected = _expected("a date", spec.formats)

    def convert(cell: str) -> str:
        found = _first(readers, cell)
        if found is None or isinstance(found, datetime):
            raise Unconvertible(expected)
        return found.isoformat()

    return convert


def instant_reader(spec: InstantFields, zone: str | None) -> Callable[[str], str]:
    """The function from a cell to an instant in UTC; `zone` counts where the spec has none of its own."""
    readers = [_reader(pattern) for pattern in spec.formats]
    name = spec.zone or zone
    local = ZoneInfo(name) if name else None
    at, expected = spec.at, _expected("a time", spec.formats)

    def convert(cell: str) -> str:
        found = _first(readers, cell)
        if found is None:
            raise Unconvertible(expected)
        moment = found if isinstance(found, datetime) else _on_that_day(found, at)
        if moment.tzinfo is None:
            if local is None:
                raise Unconvertible("the time does not say its zone: the option zone says which is meant")
            moment = moment.replace(tzinfo=local)
        try:
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except OverflowError:
            raise Unconvertible(expected) from None

    return convert


def _on_that_day(day: date, at: time | None) -> datetime:
    if at is None:
        raise Unconvertible("it is only a date: the option at says which time of that day is meant")
    return datetime.combine(day, at)


def _first(readers: list[_Read], cell: str) -> _Moment | None:
    for read in readers:
        found = read(cell)
        if found is not None:
            return found
    return None


def _expected(what: str, formats: tuple[str, ...]) -> str:
    return f"expected {what} written as {' or '.join(formats)}"


def _reader(pattern: str) -> _Read:
    if pattern == ISO:
        return _iso
    if pattern in (UNIX, UNIX_MS):
        return lambda cell: _since_1970(cell, 1 if pattern == UNIX_MS else 1000)
    with_clock = tells_clock(pattern)

    def read(cell: str) -> _Moment | None:
        try:
            found = datetime.strptime(cell, pattern)  # noqa: DTZ007 - the zone comes with `zone`, or with the cell
        except ValueError:
            return None
        return found if with_clock else found.date()

    return read


def _iso(cell: str) -> _Moment | None:
    try:
        if _ISO_DATE.fullmatch(cell):
            return date.fromisoformat(cell)
        match = _ISO_INSTANT.fullmatch(cell)
        if match is None:
            return None
        day, clock, zone = match.groups()
        return datetime.fromisoformat(f"{day}T{clock.replace(',', '.')}{zone.upper() if zone else ''}")
    except ValueError:
        return None


def _since_1970(cell: str, ms_in_unit: int) -> datetime | None:
    match = _UNIX.fullmatch(cell)
    if match is None:
        return None
    whole, fraction = match.groups()
    # Integers all the way: the floats of seconds since 1970 lose microseconds.
    micros = int((fraction or "").ljust(6, "0")) * ms_in_unit // 1000
    try:
        since = timedelta(milliseconds=int(whole) * ms_in_unit)
        return EPOCH + since + timedelta(microseconds=-micros if whole.startswith("-") else micros)
    except OverflowError:
        return None
