"""A set of local days, each with its first and last instant, packed into one string.

Called by the folds that need "on how many days, and when": purchase days now. Two sets merge by union, an instant more
or less on a known day only moves that day's bounds, so order does not matter and equal sets are equal strings. Both
instants are kept because the set must also answer "as it was at t", exactly, for a t within a day.

Packing (`projections.packing`): one record of 12 bytes a day, big-endian, oldest first, so 16 characters a day:

    20 bits  day           days since 1970-01-01 in the business zone, plus 1
    38 bits  first instant microseconds after the day's UTC midnight less 16 h
    38 bits  last instant  the same

Ten years of daily purchases are 58,448 characters. A variable-length packing was smaller (11 bytes) and needed a full
decode for every insertion.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable
from functools import partial
from operator import attrgetter, sub
from struct import Struct
from typing import Final, NamedTuple

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.packing import SPLICED_RECORDS, position, text_of
from customer_timeline.schemas.errors import CustomerTimelineError

EMPTY = ""

_RECORD = 16  # characters
_INSTANT_BITS = 38
_INSTANT_MASK = (1 << _INSTANT_BITS) - 1
_DAY_SHIFT = 2 * _INSTANT_BITS
# For reading many: a record as two integers, the first one of 8 bytes, and what stands where in that one.
_RECORD_HALVES = Struct(">QI")
_DAY_SHIFT_IN_8 = _DAY_SHIFT - 32
_LAST_BITS_IN_8 = _INSTANT_BITS - 32
_LAST_MASK_IN_8 = (1 << _LAST_BITS_IN_8) - 1
# For the days alone: the first 4 bytes.
_DAY_HEAD = Struct(">I8x")
_DAY_SHIFT_IN_4 = 12
_DAY_BIAS = 1  # 1970-01-01T00:00Z is still 1969-12-31, day -1, west of Greenwich
# Local midnight is never more than 14 h (Line Islands) before UTC midnight; 16 h leaves a margin and 2^38 us are 76 h.
_LEAD_US = 16 * 3_600_000_000
_MAX_DAY = (1 << 20) - 1 - _DAY_BIAS


class InstantOutsideDay(CustomerTimelineError):  # noqa: N818 - the name of the domain
    """An instant cannot belong to the local day it was filed under; `day` came from another calendar."""

    def __init__(self, day: int, us: int) -> None:
        self.day = day
        self.us = us
        super().__init__(f"instant {us} us cannot lie on local day {day}: take the day from the business calendar")

    def __reduce__(self) -> tuple[object, ...]:
        return (InstantOutsideDay, (self.day, self.us))


class DayInstants(NamedTuple):
    """A local day (days since 1970-01-01) and its first and last instant (microseconds since 1970-01-01T00:00Z)."""

    day: int
    first_us: int
    last_us: int


# As the constructor, which is a Python frame each time.
_made: Final[Callable[[tuple[int, int, int]], DayInstants]] = partial(tuple.__new__, DayInstants)
_first_us: Final = attrgetter("first_us")


class LaterDays(NamedTuple):
    """Days of a set from about an instant on, in the order of their first instants; `earlier` days come before them."""

    packed: str
    earlier: int
    days: list[DayInstants]


def _pack(day: int, first_us: int, last_us: int) -> bytes:
    zero = day * DAY_US - _LEAD_US
    first, last = first_us - zero, last_us - zero
    if not (-_DAY_BIAS <= day <= _MAX_DAY and 0 <= first <= last <= _INSTANT_MASK):
        raise InstantOutsideDay(day, first_us)
    return ((day + _DAY_BIAS) << _DAY_SHIFT | first << _INSTANT_BITS | last).to_bytes(12, "big")


def _read(number: int) -> DayInstants:
    day = (number >> _DAY_SHIFT) - _DAY_BIAS
    zero = day * DAY_US - _LEAD_US
    return DayInstants(day, zero + (number >> _INSTANT_BITS & _INSTANT_MASK), zero + (number & _INSTANT_MASK))


def count(packed: str) -> int:
    """How many days the set holds."""
    return len(packed) // _RECORD


def at(packed: str, index: int) -> DayInstants:
    """The day at a position, oldest first."""
    return _read(int.from_bytes(a2b_base64(packed[index * _RECORD : index * _RECORD + _RECORD]), "big"))


def unpack(packed: str) -> list[DayInstants]:
    """All days, oldest first."""
    found = []
    for high, low in _RECORD_HALVES.iter_unpack(a2b_base64(packed)):
        day = (high >> _DAY_SHIFT_IN_8) - _DAY_BIAS
        zero = day * DAY_US - _LEAD_US
        first = zero + (high >> _LAST_BITS_IN_8 & _INSTANT_MASK)
        found.append(_made((day, first, zero + ((high & _LAST_MASK_IN_8) << 32 | low))))
    return found


def day_numbers(packed: str) -> list[int]:
    """The days alone, oldest first; days since 1970-01-01."""
    return first_numbers(packed, count(packed))


def first_numbers(packed: str, number: int) -> list[int]:
    """The `number` oldest days alone, oldest first; days since 1970-01-01."""
    records = a2b_base64(packed[: number * _RECORD])
    return [(head >> _DAY_SHIFT_IN_4) - _DAY_BIAS for (head,) in _DAY_HEAD.iter_unpack(records)]


def day_at(packed: str, index: int) -> int:
    """The day alone at a position, oldest first."""
    head = a2b_base64(packed[index * _RECORD : index * _RECORD + 4])
    return (int.from_bytes(head, "big") >> 4) - _DAY_BIAS


def since(packed: str, us: int, last_us: int) -> LaterDays:
    """All days whose first instant comes after `us` are among the later ones, and perhaps up to three others.

    `last_us`: no instant of the set comes after it.
    """
    if last_us <= us:
        return LaterDays(packed, count(packed), [])
    start = _near(packed, us)
    found = unpack(packed[start * _RECORD :])
    if len(found) > 1:
        # Not quite the order of the days: a clock set back over midnight shows a day again that has ended.
        found.sort(key=_first_us)
    return LaterDays(packed, start, found)


def first_from(packed: str, us: int) -> int | None:
    """The least first instant of a day at or after an instant."""
    return min((day.first_us for day in _around(packed, us) if day.first_us >= us), default=None)


def bound_from(packed: str, us: int) -> int | None:
    """The least of all first and last instants at or after an instant."""
    return min((bound for day in _around(packed, us) for bound in day[1:] if bound >= us), default=None)


def _near(packed: str, us: int) -> int:
    """The index of the first day that may have an instant after `us`."""
    # A zone is less than a day off, so a local day is over one UTC day later.
    day = us // DAY_US - 1
    # Nearly every question is about the end of the set.
    stop = count(packed)
    for index in range(stop, max(stop - 3, 0), -1):
        if day_at(packed, index - 1) < day:
            return index
    return position(packed, _RECORD, (max(day + _DAY_BIAS, 0) << _DAY_SHIFT).to_bytes(12, "big"))


def _around(packed: str, us: int) -> list[DayInstants]:
    """The days that hold what comes next after `us`: three that may be over, one that cannot be, and one more, as a
    clock may be set back over midnight."""
    start = _near(packed, us)
    return unpack(packed[start * _RECORD : (start + 5) * _RECORD])


def with_instant(packed: str, day: int, us: int) -> str:
    """The set with one more instant. `us` must lie on `day`, else InstantOutsideDay."""
    return _with_day(packed, day, us, us)


def _with_day(packed: str, day: int, first_us: int, last_us: int) -> str:
    index = count(packed) - 1
    found = at(packed, index) if packed else None
    if found is None or day > found.day:
        return packed + text_of(_pack(day, first_us, last_us))
    if day < found.day:
        index = position(packed, _RECORD, ((day + _DAY_BIAS) << _DAY_SHIFT).to_bytes(12, "big"))
        found = at(packed, index)
    start = index * _RECORD
    if found.day != day:
        return packed[:start] + text_of(_pack(day, first_us, last_us)) + packed[start:]
    if found.first_us <= first_us and last_us <= found.last_us:
        return packed
    record = text_of(_pack(day, min(first_us, found.first_us), max(last_us, found.last_us)))
    return packed[:start] + record + packed[start + _RECORD :]


def union(packed: str, other: str) -> str:
    """The days of both sets; a day of both keeps its first and last instant of both."""
    if len(packed) < len(other):
        packed, other = other, packed
    if count(other) <= SPLICED_RECORDS:
        for found in unpack(other):
            packed = _with_day(packed, *found)
        return packed
    records = {record >> _DAY_SHIFT: record for record in _records(packed)}
    for theirs in _records(other):
        day = theirs >> _DAY_SHIFT
        mine = records.setdefault(day, theirs)
        if mine != theirs:
            # Both instants count from the same midnight, so they compare as they are packed.
            first = min(mine >> _INSTANT_BITS & _INSTANT_MASK, theirs >> _INSTANT_BITS & _INSTANT_MASK)
            last = max(mine & _INSTANT_MASK, theirs & _INSTANT_MASK)
            records[day] = day << _DAY_SHIFT | first << _INSTANT_BITS | last
    return text_of(b"".join(records[day].to_bytes(12, "big") for day in sorted(records)))


def _records(packed: str) -> list[int]:
    raw = a2b_base64(packed)
    return [int.from_bytes(raw[start : start + 12], "big") for start in range(0, len(raw), 12)]


def twice_median_gap(packed: str) -> int | None:
    """Twice the median number of days between neighbouring days of the set; None below two days.

    Twice, because the median of an even number of whole gaps may end in a half, and halves of integers stay exact.
    """
    if count(packed) < 2:
        return None
    days = day_numbers(packed)
    gaps: list[int] = sorted(map(sub, days[1:], days))
    middle = len(gaps) // 2
    return 2 * gaps[middle] if len(gaps) % 2 else gaps[middle - 1] + gaps[middle]
