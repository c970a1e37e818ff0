"""The thresholds of silence: told by two days where that is enough, else by all gaps, with the same result."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_events import RULES

from customer_timeline.projections import days
from customer_timeline.projections.calendar import DAY_US, HOUR_US, BusinessCalendar
from customer_timeline.projections.days import DayInstants, LaterDays
from customer_timeline.projections.silence import Gaps, threshold_us
from customer_timeline.projections.stage_rules import StageRules

# Many days, so that two of them may be enough; short and long gaps mixed, so that it is often just not so.
GAPS = st.lists(st.one_of(st.integers(1, 3), st.sampled_from((15, 16, 30, 45, 46))), min_size=1, max_size=40)


@settings(max_examples=300)
@given(gaps=GAPS, rules=RULES, later=st.integers(0, 41), turned=st.booleans())
def test_a_threshold_is_the_same_whether_two_days_or_all_are_asked(
    gaps: list[int], rules: StageRules, later: int, turned: bool
) -> None:
    packed, utc, day = days.EMPTY, BusinessCalendar("UTC"), 10_000
    for gap in (0, *gaps):
        day += gap
        packed = days.with_instant(packed, utc.day(day * DAY_US), day * DAY_US + 9 * HOUR_US)
    every = days.unpack(packed)
    if turned:
        # The last two take turns, as where a clock is set back over midnight.
        every[-2:] = reversed(every[-2:])
    earlier = max(len(every) - later, 0)
    earlier = len(every) - 2 if turned and earlier == len(every) - 1 else earlier
    asked = Gaps(LaterDays(packed, earlier, every[earlier:]))
    for count in range(max(earlier, 1), len(every) + 1):
        gap_after = _twice_median(every[:count])
        assert asked.thresholds_us(count, rules) == (
            threshold_us(rules.silent_days, rules.silent_gaps, gap_after),
            threshold_us(rules.churn_days, rules.churn_gaps, gap_after),
        )


def _twice_median(known: list[DayInstants]) -> int | None:
    numbers = sorted(found.day for found in known)
    gaps = sorted(numbers[index + 1] - numbers[index] for index in range(len(numbers) - 1))
    if not gaps:
        return None
    return gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]
