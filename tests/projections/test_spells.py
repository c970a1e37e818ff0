"""Spells of life: order-free, canonical, and exact about every silence of 48 hours or more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from customer_timeline.projections import spells
from customer_timeline.projections.calendar import DAY_US, HOUR_US
from customer_timeline.projections.spells import QUIET_US
from customer_timeline.schemas.decoded import to_micros

# Few and far, and with ties at the border of a spell.
INSTANTS = st.one_of(
    st.integers(0, 40).map(lambda hours: hours * 12 * HOUR_US),
    st.builds(lambda days, near: days * DAY_US + near, st.integers(1, 30), st.sampled_from([-1, 0, 1])),
    st.integers(0, 2_000_000_000_000_000),
)


def pack(instants: list[int]) -> str:
    packed = spells.EMPTY
    for us in instants:
        packed = spells.with_sign(packed, us)
    return packed


@given(instants=st.lists(INSTANTS, max_size=30), data=st.data())
def test_set_is_independent_of_arrival_order(instants: list[int], data: st.DataObject) -> None:
    assert pack(instants) == pack(data.draw(st.permutations(instants)))


@given(instants=st.lists(INSTANTS, max_size=30))
@example([0, QUIET_US])
@example([0, QUIET_US - 1])
def test_silences_of_48_hours_are_those_of_the_signs_themselves(instants: list[int]) -> None:
    signs = sorted(instants)
    long = [(last, first) for last, first in pairwise(signs) if first - last >= QUIET_US]
    packed = spells.unpack(pack(instants))
    assert [(last, first) for (_, last), (first, _) in pairwise(packed)] == long
    assert (packed[0][0], packed[-1][1]) == (signs[0], signs[-1]) if signs else packed == []


@given(one=st.lists(INSTANTS, max_size=25), other=st.lists(INSTANTS, max_size=25))
def test_union_is_the_set_of_both_and_commutes(one: list[int], other: list[int]) -> None:
    left, right = pack(one), pack(other)
    assert spells.union(left, right) == spells.union(right, left) == pack(one + other)


@pytest.mark.parametrize("length", [1, 8, 9, 30])
def test_long_sets_and_short_ones_are_joined_alike(length: int) -> None:
    # Short sets are spliced into long ones, longer sets are merged as a whole: the same must come out.
    every_third_day = [day * 3 * DAY_US for day in range(40)]
    between = [day * 3 * DAY_US + 36 * HOUR_US for day in range(5, 5 + length)]
    joined = spells.unpack(spells.union(pack(every_third_day), pack(between)))
    # Each one between, 36 hours from both neighbours, joins these: of 40 spells and `length` joints remain 40 - length.
    assert len(joined) == 40 - length
    assert joined[5] == (15 * DAY_US, (15 + 3 * length) * DAY_US)


def test_ten_years_of_daily_life_are_one_record() -> None:
    start = datetime(2016, 1, 1, 9, tzinfo=UTC)
    packed = pack([to_micros(start + timedelta(days=day)) for day in range(3653)])
    assert len(packed) == 24
    assert spells.count(packed) == 1


@given(instants=st.lists(INSTANTS, max_size=25), us=INSTANTS)
def test_the_spells_since_an_instant_are_the_later_ones_and_the_one_before(instants: list[int], us: int) -> None:
    every = spells.unpack(pack(instants))
    begun = sum(first <= us for first, _ in every)
    assert spells.since(pack(instants), us) == every[max(begun - 1, 0) :]
