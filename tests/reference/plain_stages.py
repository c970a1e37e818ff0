"""Stages of CDNOW at the end of 1998-06-30, counted in plain loops over the text file."""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from datetime import date
from itertools import pairwise
from pathlib import Path

MASTER = Path(__file__).parents[2] / "runtime" / "data" / "cdnow" / "CDNOW_master.txt.gz"
LAST_DAY = date(1998, 6, 30)


def counted_in_plain_loops() -> Counter[str]:
    """The table of stages. Every purchase is at noon and a sign of life, so whole days decide."""
    bought: dict[str, set[int]] = defaultdict(set)
    with gzip.open(MASTER, "rt", encoding="ascii") as lines:
        next(lines)
        for line in lines:
            customer, day, _, _ = line.split()
            bought[customer].add(date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal())
    return Counter(stage(sorted(days)) for days in bought.values())


def stage(days: list[int]) -> str:
    """The stage at the end of the last day, half a day after its noon."""
    now = LAST_DAY.toordinal() + 0.5
    gaps: list[int] = []
    came_back = None
    for earlier, later in pairwise(days):
        # A purchase at the very instant of the limit leaves no span: customer 08735 came back after 4 x 55 days.
        if later - earlier > limit(180, 4, gaps):
            came_back = later
        gaps.append(later - earlier)
    silent = now - days[-1]
    if silent >= limit(180, 4, gaps):
        return "churned"
    if came_back is not None and now - came_back < 90:
        return "won_back"
    if silent >= limit(30, 2, gaps) and now - days[0] >= 90:
        return "at_risk"
    if len(days) >= 4:
        return "loyal"
    return "new" if now - days[0] < 90 else "active"


def limit(days: int, times: int, gaps: list[int]) -> float:
    if not gaps:
        return days
    ordered, middle = sorted(gaps), len(gaps) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return max(days, times * median)
