"""P(alive): the closed form held to another computation, to numbers worked out by hand, and to the published fit."""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_events import History, day
from pydantic import ValidationError

from customer_timeline.projections.alive import Alive, AliveParameters, alive, p_alive
from customer_timeline.runtime.cdnow import cdnow_summary

PUBLISHED = AliveParameters()


def exactly(repeats: int, recency: Decimal, age: Decimal) -> Decimal:
    """The formula as it is printed, 1 / (1 + a/(b+x-1) ((alpha+T)/(alpha+t_x))^(r+x)), with fifty digits."""
    with localcontext() as context:
        context.prec = 50
        r, alpha, a, b = Decimal("0.243"), Decimal("4.414"), Decimal("0.793"), Decimal("2.426")
        return 1 / (1 + a / (b + repeats - 1) * ((alpha + age) / (alpha + recency)) ** (r + repeats))


@given(repeats=st.integers(1, 600), recency_days=st.integers(0, 4000), more_days=st.integers(0, 4000))
def test_the_result_is_that_of_fifty_digits_rounded(repeats: int, recency_days: int, more_days: int) -> None:
    recency, age = Decimal(recency_days) / 7, Decimal(recency_days + more_days) / 7
    told = p_alive(repeats, recency_days / 7, (recency_days + more_days) / 7, PUBLISHED)
    assert abs(Decimal(repr(told)) - exactly(repeats, recency, age)) <= Decimal("0.00000051")
    assert told == round(told, 6)


def test_hand_worked_values() -> None:
    # One repeat, on the day asked about: 1 / (1 + 0.793 / 2.426) = 2.426 / 3.219.
    assert p_alive(1, 10, 10, PUBLISHED) == 0.753650
    # Two repeats at once, alpha = 1, r = 1, a = b = 1: 1 / (1 + 1/2 x (8/4)^3) = 1/5.
    assert p_alive(2, 3, 7, AliveParameters(r=1, alpha=1, a=1, b=1)) == 0.2


def test_without_a_repeat_everybody_is_alive() -> None:
    assert p_alive(0, 0, 10_000, PUBLISHED) == 1.0


def test_six_hundred_purchase_days_and_a_long_silence_are_no_overflow() -> None:
    # ((4.414 + 1000) / (4.414 + 86))^599.243 is beyond any float (10^627).
    assert p_alive(599, 600 / 7, 1000, PUBLISHED) == 0.0
    assert p_alive(599, 1000, 1000, PUBLISHED) == pytest.approx(600.426 / 601.219, abs=1e-6)
    assert p_alive(3650, 521, 5_000_000, PUBLISHED) == 0.0


def test_a_customer_s_p_alive_comes_from_the_purchase_days_until_then() -> None:
    history = History("Europe/Berlin").page(day(0)).purchase(day(1)).purchase(day(1.2)).purchase(day(15))
    history.purchase(day(20), recurring=True).purchase(day(40))
    facts = history.facts()
    assert alive(facts, history.calendar, day(1) - 1, PUBLISHED) is None
    assert alive(facts, history.calendar, day(14), PUBLISHED) == Alive(1.0, 0, 0, 13, PUBLISHED)
    told = alive(facts, history.calendar, day(29), PUBLISHED)
    assert told == Alive(p_alive(1, 2, 4, PUBLISHED), 1, 14, 28, PUBLISHED)
    assert told == alive(history.facts(day(29)), history.calendar, day(29), PUBLISHED)


def test_parameters_are_positive_numbers() -> None:
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            AliveParameters(r=wrong)


def log_likelihood(r: float, alpha: float, a: float, b: float) -> float:
    """Of the 2,357 customers of the sample, by equation (6) of Fader, Hardie and Lee 2005."""
    total = 0.0
    for row in cdnow_summary():
        x, recency, age = int(row.frequency), float(row.recency), float(row.age)
        whole = lgamma(r + x) - lgamma(r) + r * log(alpha) + lgamma(a + b) - lgamma(b)
        whole += lgamma(b + x) - lgamma(a + b + x)
        stayed = -(r + x) * log(alpha + age)
        left = log(a) - log(b + x - 1) - (r + x) * log(alpha + recency) if x else float("-inf")
        most = max(stayed, left)
        total += whole + most + log(sum(2.718281828459045 ** (part - most) for part in (stayed, left)))
    return total


def test_the_published_parameters_fit_the_sample_best() -> None:
    published = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    assert published == PUBLISHED.model_dump()
    best = log_likelihood(**published)
    assert best == pytest.approx(-9582.4, abs=0.05)  # Table 2 of the paper
    for name, value in published.items():
        for factor in (0.97, 1.03):
            assert log_likelihood(**published | {name: value * factor}) < best
