"""Intervals of time: ascending, disjoint lists of [from, until) in microseconds since 1970. Pure arithmetic.

Called by the rules of the lifecycle, which say of each condition when it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Interval = tuple[int, int]
"""From (included) and until (excluded)."""

# 9999-12-31T00:00Z, the last day of the calendar: what would come later never comes. Contracts without an end are
# written with that day, and text could not show a later instant.
NEVER: Final = 253_402_214_400_000_000


def extend(intervals: list[Interval], start: int, until: int) -> None:
    """Add one that begins no earlier than the last one; where they meet they become one. Nothing where it is empty."""
    if until <= start:
        return
    if intervals and start <= intervals[-1][1]:
        if until > intervals[-1][1]:
            intervals[-1] = (intervals[-1][0], until)
    else:
        intervals.append((start, until))


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The instants that lie in any of the intervals, which may overlap and stand in any order."""
    joined: list[Interval] = []
    for start, until in sorted(intervals):
        extend(joined, start, until)
    return joined


def minus(intervals: list[Interval], taken: list[Interval]) -> list[Interval]:
    """The instants of the one list that are not in the other."""
    if not taken:
        return intervals
    left: list[Interval] = []
    index = 0
    for start, until in intervals:
        while index < len(taken) and taken[index][1] <= start:
            index += 1
        at = index
        while at < len(taken) and taken[at][0] < until:
            if start < taken[at][0]:
                left.append((start, taken[at][0]))
            start = max(start, taken[at][1])
            at += 1
        if start < until:
            left.append((start, until))
    return left


def clipped(intervals: list[Interval], start: int, until: int) -> list[Interval]:
    """The instants that lie in [start, until) too."""
    return [(max(first, start), min(last, until)) for first, last in intervals if first < until and start < last]
