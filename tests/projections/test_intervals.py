"""Arithmetic of intervals, held to sets of instants."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.projections.intervals import Interval, clipped, minus, union

INTERVALS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8)


def instants(intervals: list[Interval]) -> set[int]:
    return {at for start, until in intervals for at in range(start, until)}


def is_canonical(intervals: list[Interval]) -> bool:
    bounds = [bound for interval in intervals for bound in interval]
    return bounds == sorted(set(bounds))


@given(some=INTERVALS)
def test_union_holds_what_any_holds_in_as_few_intervals_as_can_be(some: list[Interval]) -> None:
    joined = union(some)
    assert instants(joined) == instants(some)
    assert is_canonical(joined)


@given(some=INTERVALS, taken=INTERVALS)
def test_minus_leaves_what_the_other_does_not_hold(some: list[Interval], taken: list[Interval]) -> None:
    left = minus(union(some), union(taken))
    assert instants(left) == instants(some) - instants(taken)
    assert is_canonical(left)


@given(some=INTERVALS, bounds=st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_clipping_keeps_what_lies_within(some: list[Interval], bounds: tuple[int, int]) -> None:
    start, until = sorted(bounds)
    assert instants(clipped(union(some), start, until)) == {at for at in instants(some) if start <= at < until}
