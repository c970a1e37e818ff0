"""P(alive): how likely it is that a customer who bought now and then still is one. Reported only, no rule reads it.

The closed form of the BG/NBD model, from the number of repeat purchase days, when the last one was, and how long the
customer has been known: P. S. Fader, B. G. S. Hardie and K. L. Lee, "Counting Your Customers the Easy Way: An
Alternative to the Pareto/NBD Model", Marketing Science 24 (2005); the formula is that of their note "Computing P(alive)
Using the BG/NBD Model" (2008). The one place of the facts' side where floats are right: nothing is summed from it.
"""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from customer_timeline.projections import days

if TYPE_CHECKING:
    # Settings have the parameters in them: who reads settings need not load every fold.
    from customer_timeline.projections.calendar import BusinessCalendar
    from customer_timeline.projections.customer import CustomerFacts

_PLACES: Final = 6
_DAYS_PER_WEEK: Final = 7


class AliveParameters(BaseModel):
    """The four parameters of BG/NBD, for time in weeks. Defaults: those that the paper of 2005 fitted to CDNOW."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    r: float = Field(0.243, gt=0, allow_inf_nan=False, description="Shape of the rates at which customers buy.")
    alpha: float = Field(4.414, gt=0, allow_inf_nan=False, description="Scale of those rates, in weeks.")
    a: float = Field(0.793, gt=0, allow_inf_nan=False, description="With b: the chance to leave after a purchase.")
    b: float = Field(2.426, gt=0, allow_inf_nan=False, description="With a: the chance to leave after a purchase.")


class Alive(NamedTuple):
    """P(alive), six places, with all that it was computed from."""

    p_alive: float
    repeat_days: int  # x: purchase days after the first
    recency_days: int  # t_x: from the first purchase day to the last
    age_days: int  # T: from the first purchase day to the day asked about
    parameters: AliveParameters


def p_alive(repeats: int, recency_weeks: float, age_weeks: float, parameters: AliveParameters) -> float:
    """P(alive | x, t_x, T), six places. In logs: the powers of long histories exceed any float.

    1 without a repeat: in the model a customer leaves right after a purchase that is not the first.
    """
    if repeats == 0:
        return 1.0
    r, alpha, a, b = parameters.r, parameters.alpha, parameters.a, parameters.b
    # log of the odds of having left
    odds = log(a) - log(b + repeats - 1) + (r + repeats) * (log(alpha + age_weeks) - log(alpha + recency_weeks))
    return round(exp(-odds) / (1 + exp(-odds)) if odds > 0 else 1 / (1 + exp(odds)), _PLACES)


def alive(facts: CustomerFacts, calendar: BusinessCalendar, at_us: int, parameters: AliveParameters) -> Alive | None:
    """P(alive) of a customer at an instant, from the purchase days until then; None before the first one."""
    bought_on = [day.day for day in days.unpack(facts.purchases.get("day_set", days.EMPTY)) if day.first_us <= at_us]
    if not bought_on:
        return None
    # Today can be a day before the last purchase's only where a clock was set back over midnight.
    recency, age = bought_on[-1] - bought_on[0], max(calendar.day(at_us), bought_on[-1]) - bought_on[0]
    probability = p_alive(len(bought_on) - 1, recency / _DAYS_PER_WEEK, age / _DAYS_PER_WEEK, parameters)
    return Alive(probability, len(bought_on) - 1, recency, age, parameters)
