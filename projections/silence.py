"""Silence: when a customer had given no sign of life for so long that it means something.

How long that is depends on how often the customer buys: a threshold is so many days, or so many times the median gap
between purchase days if that is longer. The gap at t is that of the purchase days known by t, so it changes with every
purchase day, and a purchase need not be a sign of life: a threshold can change within a silence.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import sub
from typing import Final, NamedTuple

from customer_timeline.projections import days
from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.days import LaterDays
from customer_timeline.projections.intervals import NEVER, Interval, extend
from customer_timeline.projections.spells import Spell
from customer_timeline.projections.stage_rules import StageRules


class Silences(NamedTuple):
    """When the silence was longer than each threshold."""

    silent: list[Interval]
    churning: list[Interval]
    dormant: list[Interval]


# The median of so few gaps is found as fast as the two days that may make it needless.
_ASKED_AT_ONCE: Final = 12


class Gaps:
    """The median gap after each purchase day, for ascending counts of purchase days.

    A private accumulator: it grows with the questions, and reads the earlier days only when a question needs them.
    """

    __slots__ = ("_all_days", "_known", "_later", "_ordered", "earlier")

    def __init__(self, purchase_days: LaterDays) -> None:
        self.earlier = purchase_days.earlier
        self._later = purchase_days
        self._all_days: list[int] | None = None
        self._known = 0
        self._ordered: list[int] = []

    def thresholds_us(self, count: int, rules: StageRules) -> tuple[int, int]:
        """How long a silence after `count` purchase days lasts to be one, and to be that of a churned customer."""
        if count < 2 or (count > _ASKED_AT_ONCE and self._surely_short(count, rules)):
            return rules.silent_days * DAY_US, rules.churn_days * DAY_US
        gap = self.twice_median(count)
        return (
            threshold_us(rules.silent_days, rules.silent_gaps, gap),
            threshold_us(rules.churn_days, rules.churn_gaps, gap),
        )

    def _surely_short(self, count: int, rules: StageRules) -> bool:
        """True only where the median gap makes no threshold longer, told by the first and the last day alone.

        More than half of the gaps are as long as the median or longer, the others a day or longer, and together they
        are the span.
        """
        packed, earlier, later = self._later
        last = later[count - earlier - 1].day if count > earlier else days.day_at(packed, count - 1)
        long = (count - 1) // 2 + 1
        # A clock set back over midnight shows a day again: the last but one to begin may be the day after the last.
        longest = last + 1 - days.day_at(packed, 0) - (count - 1 - long)
        return (
            rules.silent_gaps * longest <= rules.silent_days * long
            and rules.churn_gaps * longest <= rules.churn_days * long
        )

    def twice_median(self, count: int) -> int | None:
        """Twice the median gap, in days, of the first `count` purchase days; None below two of them."""
        if count < 2:
            return None
        packed, earlier, later = self._later
        if self._all_days is None:
            if count == days.count(packed):
                return days.twice_median_gap(packed)
            self._all_days = days.first_numbers(packed, earlier)
            self._all_days += [found.day for found in later]
        new_days = self._all_days[max(self._known - 1, 0) : count]
        new = list(map(sub, new_days[1:], new_days))
        if min(new, default=0) < 0:
            # A clock set back over midnight shows a day again that has ended: its first purchase may be the later one.
            new_days = sorted(self._all_days[:count])
            return _twice_median(sorted(map(sub, new_days[1:], new_days)))
        if new:
            # Sorting what is sorted but for its end takes one pass over it.
            self._ordered += new
            self._ordered.sort()
            self._known = count
        return _twice_median(self._ordered)


def _twice_median(gaps: list[int]) -> int:
    """Of sorted gaps."""
    middle = len(gaps) // 2
    return 2 * gaps[middle] if len(gaps) % 2 else gaps[middle - 1] + gaps[middle]


def threshold_us(least_days: int, gaps: int, twice_median_gap: int | None) -> int:
    """`least_days`, or `gaps` times the median gap if that is longer."""
    if twice_median_gap is None:
        return least_days * DAY_US
    return max(least_days * DAY_US, gaps * twice_median_gap * DAY_US // 2)


def silences(
    from_us: int, first_event_us: int, spells: list[Spell], purchase_days: LaterDays, rules: StageRules
) -> Silences:
    """All silences from an instant on, the one that lasts from the last sign of life on included.

    `spells` and `purchase_days` are those since that instant (`spells.since`, `days.since`). A silence that began
    before it may be told as from that instant.
    """
    if not purchase_days.days and (not spells or spells[-1][0] <= from_us):
        return _last_silence(from_us, spells[-1][1] if spells else first_event_us, purchase_days, rules)
    least_us = min(rules.silent_days, rules.churn_days, rules.dormant_days) * DAY_US
    found = Silences([], [], [])
    gaps = Gaps(purchase_days)
    bought_us = [day.first_us for day in purchase_days.days]
    last_us = first_event_us
    if spells and spells[0][0] <= from_us:
        last_us = spells[0][0]
    for first, last in spells:
        if first - last_us >= least_us:
            _add_stretch(found, (last_us, first), from_us, bought_us, gaps, rules)
        last_us = last
    _add_stretch(found, (last_us, NEVER), from_us, bought_us, gaps, rules)
    return found


def _last_silence(from_us: int, last_us: int, purchase_days: LaterDays, rules: StageRules) -> Silences:
    """The silence after the last sign of life, where no purchase day begins after `from_us`: what is usually asked."""
    silent_us, churned_us = Gaps(purchase_days).thresholds_us(purchase_days.earlier, rules)
    return Silences(
        _from(max(from_us, last_us + silent_us)),
        _from(max(from_us, last_us + churned_us)),
        _from(last_us + rules.dormant_days * DAY_US),
    )


def _from(start: int) -> list[Interval]:
    return [(start, NEVER)] if start < NEVER else []


def _add_stretch(
    found: Silences, stretch: Interval, from_us: int, bought_us: list[int], gaps: Gaps, rules: StageRules
) -> None:
    """One stretch without a sign of life, in pieces within which the gap is the same."""
    last_us, until_us = stretch
    start = max(last_us, from_us)
    known = bisect_right(bought_us, start)
    while start < until_us:
        stop = bought_us[known] if known < len(bought_us) and bought_us[known] < until_us else until_us
        silent_us, churned_us = gaps.thresholds_us(gaps.earlier + known, rules)
        extend(found.silent, max(start, last_us + silent_us), stop)
        extend(found.churning, max(start, last_us + churned_us), stop)
        start, known = stop, known + 1
    extend(found.dormant, last_us + rules.dormant_days * DAY_US, until_us)
