"""Sums of money are exact and do not depend on order; one value has one text."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.projections import amounts

UNITS = st.integers(min_value=-(10**24), max_value=10**24)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1.5", "1.50"),
        ("1.50", "1.50"),
        ("1.500000", "1.50"),
        ("0", "0.00"),
        ("-0", "0.00"),
        ("0.000001", "0.000001"),
        ("12.345", "12.345"),
        ("-0.5", "-0.50"),
        ("1E+3", "1000.00"),
        ("2500315.63", "2500315.63"),
        ("123456789012345678901234.999999", "123456789012345678901234.999999"),
    ],
)
def test_one_value_has_one_text(amount: str, text: str) -> None:
    assert amounts.text_of(amounts.to_units(Decimal(amount))) == text


@pytest.mark.parametrize("amount", ["0.0000001", "1.0000005", "NaN", "Infinity", "1E-90", "1E+120"])
def test_an_amount_that_cannot_be_summed_exactly_is_refused_not_rounded(amount: str) -> None:
    if amount == "1E+120":  # exact, however large
        assert amounts.to_units(Decimal(amount)) == 10**126
        return
    with pytest.raises(amounts.AmountNotRepresentable):
        amounts.to_units(Decimal(amount))


def test_the_caller_s_decimal_context_changes_nothing() -> None:
    with localcontext() as context:
        context.prec = 3
        assert amounts.to_units(Decimal("123456.789")) == 123_456_789_000


@given(UNITS)
def test_text_and_units_tell_the_same(units: int) -> None:
    text = amounts.text_of(units)
    assert amounts.parse(text) == units
    assert Decimal(text) == Decimal(units) / 10**6
    assert len(text.partition(".")[2]) >= 2


@given(UNITS, UNITS)
def test_sums_and_differences_are_exact(one: int, other: int) -> None:
    assert amounts.parse(amounts.summed(amounts.text_of(one), amounts.text_of(other))) == one + other
    assert amounts.parse(amounts.added(amounts.text_of(one), other)) == one + other
    assert amounts.parse(amounts.difference(amounts.text_of(one), amounts.text_of(other))) == one - other
