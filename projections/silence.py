"""Silence: when a customer had given no sign of life for so long that it means something.

How long that is depends on how often the customer buys: a threshold is so many days, or so many times the median gap
between purchase days if that is longer. The gap at t is that of the purchase days known by t, so it changes with every
purchase day, and a purchase need not be a sign of life: a threshold can change within a silence.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import sub
from typing import NamedTuple

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.days import DayInstants
from customer_timeline.projections.intervals import NEVER, Interval, extend
from customer_timeline.projections.spells import Spell
from customer_timeline.projections.stage_rules import StageRules


class Silences(NamedTuple):
    """When the silence was longer than each threshold."""

    silent: list[Interval]
    churning: list[Interval]
    dormant: list[Interval]


class Gaps:
    """The median gap after each purchase day, for ascending counts of purchase days.

    `purchase_days` in the order of their first instants. A private accumulator: it grows with the questions.
    """

    __slots__ = ("_days", "_known", "_ordered")

    def __init__(self, purchase_days: list[DayInstants]) -> None:
        self._days = [found.day for found in purchase_days]
        self._known = 0
        self._ordered: list[int] = []

    def twice_median(self, count: int) -> int | None:
        """Twice the median gap, in days, of the first `count` purchase days; None below two of them."""
        if count < 2:
            return None
        days = self._days[max(self._known - 1, 0) : count]
        new = list(map(sub, days[1:], days))
        if min(new, default=0) < 0:
            # A clock set back over midnight shows a day again that has ended: its first purchase may be the later one.
            days = sorted(self._days[:count])
            return _twice_median(sorted(map(sub, days[1:], days)))
        # Sorting what is sorted but for its end takes one pass over it.
        self._ordered += new
        self._ordered.sort()
        self._known = count
        return _twice_median(self._ordered)


def _twice_median(gaps: list[int]) -> int:
    """Of sorted gaps."""
    middle = len(gaps) // 2
    return 2 * gaps[middle] if len(gaps) % 2 else gaps[middle - 1] + gaps[middle]


def threshold_us(days: int, gaps: int, twice_median_gap: int | None) -> int:
    """`days`, or `gaps` times the median gap if that is longer."""
    if twice_median_gap is None:
        return days * DAY_US
    return max(days * DAY_US, gaps * twice_median_gap * DAY_US // 2)


def silences(first_event_us: int, spells: list[Spell], purchase_days: list[DayInstants], rules: StageRules) -> Silences:
    """All silences since the first event, the one that lasts from the last sign of life on included.

    `purchase_days` in the order of their first instants.
    """
    least_us = min(rules.silent_days, rules.churn_days, rules.dormant_days) * DAY_US
    stretches: list[Interval] = []
    last_us = first_event_us
    for first, last in spells:
        if first - last_us >= least_us:
            stretches.append((last_us, first))
        last_us = last
    stretches.append((last_us, NEVER))
    found = Silences([], [], [])
    bought_us = [day.first_us for day in purchase_days]
    gaps = Gaps(purchase_days)
    for start, until in stretches:
        _add_stretch(found, start, until, bought_us, gaps, rules)
    return found


def _add_stretch(
    found: Silences, last_us: int, until_us: int, bought_us: list[int], gaps: Gaps, rules: StageRules
) -> None:
    """One stretch without a sign of life, in pieces within which the gap is the same."""
    start, known = last_us, bisect_right(bought_us, last_us)
    while start < until_us:
        stop = bought_us[known] if known < len(bought_us) and bought_us[known] < until_us else until_us
        gap = gaps.twice_median(known)
        silent_us = last_us + threshold_us(rules.silent_days, rules.silent_gaps, gap)
        extend(found.silent, max(start, silent_us), stop)
        churned_us = last_us + threshold_us(rules.churn_days, rules.churn_gaps, gap)
        extend(found.churning, max(start, churned_us), stop)
        start, known = stop, known + 1
    extend(found.dormant, last_us + rules.dormant_days * DAY_US, until_us)
