"""Invented customers with histories worth looking at, for the demo. The same arguments give the same events.

Some people are always there, each with a story that a plain list of records would tell wrongly (`HIGHLIGHTS`); the
others live an ordinary customer's life at random. Together they live through every type of the catalogue. All names,
numbers and addresses are from the ranges reserved for examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from random import Random

from customer_timeline.runtime.personas.business import contract_customer, without_a_customer
from customer_timeline.runtime.personas.diary import AnyEvent
from customer_timeline.runtime.personas.highlights import HIGHLIGHTS, Highlight
from customer_timeline.runtime.personas.ordinary import ordinary_life
from customer_timeline.runtime.personas.service import disappointed, household
from customer_timeline.runtime.personas.shoppers import ann, silent_regular, won_back

__all__ = ["HIGHLIGHTS", "AnyEvent", "Highlight", "persona_events"]

_STORIES = (ann, silent_regular, disappointed, household, contract_customer, won_back, without_a_customer)


def persona_events(*, customers: int, days: int, seed: int, until: datetime) -> Iterator[AnyEvent]:
    """All events of the stories, of the year before `until` (aware), and of `customers` others, of the `days` before.

    The stories do not depend on `days`: where a customer stands is a matter of so many days of silence.
    """
    for write in _STORIES:
        yield from write(until)
    for number in range(customers):
        # A generator of its own for each: more customers do not change those before them.
        yield from ordinary_life(seed, number, Random(f"{seed}:{number}"), days, until)  # noqa: S311 (lives, not keys)
