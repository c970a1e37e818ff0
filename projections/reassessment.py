"""The schedule of a customer to whom events were added, without walking the whole history again. Pure.

Called by whoever folds new events into a customer whose schedule is known. What holds at t depends on the events until
t alone (the law of `projections.lifecycle`). So what the schedule says of the time before the earliest new event
stands, and only the conditions from then on are looked at, at a cost that does not grow with the length of the history.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.conditions import conditions_from
from customer_timeline.projections.customer import FOLDS, CustomerFacts
from customer_timeline.projections.intervals import Interval
from customer_timeline.projections.lifecycle import Schedule, schedule_of, stage_schedule
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.touchpoints.profile import ProfileUpdated
from customer_timeline.schemas.touchpoints.purchase import PurchaseRefunded

_STAGE: Final = attrgetter("stage")

# Types whose facts a condition looks at, besides signs of life and the first event.
_STAGE_TYPES: Final[frozenset[type[TouchpointData]]] = frozenset(FOLDS) - {ProfileUpdated, PurchaseRefunded}


def schedule_after(
    before: Schedule, facts: CustomerFacts, rules: StageRules, calendar: BusinessCalendar, earliest_us: int
) -> Schedule:
    """`stage_schedule(facts, rules, calendar)`, exactly.

    `before`: the schedule of the facts without the new events, () where there were none, by the same rules and
    calendar: what other rules said of the past would stay, so compare `StageRules.version` first. `earliest_us`: no
    later than any of the new events.
    """
    if not before or before[0].from_us >= earliest_us:
        return stage_schedule(facts, rules, calendar)
    # An entry that begins at that instant is greater than the tuple of it.
    standing = before[: bisect_left(before, (earliest_us,))]
    found = conditions_from(earliest_us, _churned(standing, earliest_us), facts, rules, calendar)
    fresh = schedule_of(found, rules)
    return standing + (fresh[1:] if fresh[0][1:] == standing[-1][1:] else fresh)


def stands_after(before: Schedule, events: Iterable[DecodedEvent], earliest_us: int) -> bool:
    """True where `schedule_after` would surely give `before` again: what came is only counted. `earliest_us` is the
    earliest instant of `events`. A mail that we sent moves no stage, and no machine that opens it.
    """
    return bool(before) and before[0].from_us <= earliest_us and not any(map(_moves_stages, events))


def _moves_stages(event: DecodedEvent) -> bool:
    return event.sign_of_life or type(event.data) in _STAGE_TYPES


def _churned(standing: Schedule, until_us: int) -> list[Interval]:
    """When the customer had churned; the stage tells, as only that of a prospect wins over it, who cannot churn."""
    if "churned" not in map(_STAGE, standing):
        return []
    spans: list[Interval] = []
    since_us: int | None = None
    for from_us, stage, _ in standing:
        if stage == "churned":
            if since_us is None:
                since_us = from_us
        elif since_us is not None:
            spans.append((since_us, from_us))
            since_us = None
    if since_us is not None:
        spans.append((since_us, until_us))
    return spans
