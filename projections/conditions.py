"""The conditions behind a stage: when each of them held, and will hold if nothing more happens.

Made from a customer's facts by `projections.lifecycle`, which looks only at what holds, and by `projections.reasons`,
which also says why. What holds at t depends on the events until t alone; that is why thresholds of silence are at least
two days (`projections.spells`), and what lies within a day is asked for only after that day.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Final, NamedTuple

from customer_timeline.projections import complaints, contract_standing, days, purchases, satisfaction, spells
from customer_timeline.projections.calendar import DAY_US, BusinessCalendar
from customer_timeline.projections.complaints import ComplaintFacts
from customer_timeline.projections.contract_standing import Standing
from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.days import DayInstants
from customer_timeline.projections.intervals import NEVER, Interval, clipped, minus, union
from customer_timeline.projections.satisfaction import Answer
from customer_timeline.projections.silence import silences
from customer_timeline.projections.spells import Spell
from customer_timeline.projections.stage_rules import StageRules

_FIRST_INSTANT: Final = attrgetter("first_us")


class Return(NamedTuple):
    """After the churned span [churned_us, ended_us) the customer bought or signed, for the first time at `at_us`."""

    churned_us: int
    ended_us: int
    at_us: int


class Conditions(NamedTuple):
    """What the stage is decided from. Instants: microseconds since 1970, NEVER = not so far; lists ascend."""

    first_event_us: int
    spells: list[Spell]
    purchase_days: list[DayInstants]  # in the order of their first instants
    recurring_days: list[DayInstants]
    contracts: Standing
    bought_us: int  # first purchase, recurring charges included
    new_us: int  # first purchase or signature
    known_us: int  # first purchase or contract: a prospect until then
    loyal_us: int
    silent: list[Interval]
    dormant: list[Interval]
    contract_over: list[Interval]
    complaint_open: list[Interval]
    unhappy: list[Interval]
    gone: list[Interval]  # silent for longer than the threshold of churn, and no contract running
    churned: list[Interval]  # gone, or contract over
    returns: list[Return]


def conditions(facts: CustomerFacts, rules: StageRules, calendar: BusinessCalendar) -> Conditions | None:
    """The conditions of one customer; None without an event."""
    first_event_us = facts.activity.get("first_event_us")
    if first_event_us is None:
        return None
    bought = facts.purchases
    alive = spells.unpack(facts.activity.get("life_spells", spells.EMPTY))
    purchase_days = _by_first_instant(bought["day_set"]) if bought else []
    recurring_days = _by_first_instant(bought["recurring_day_set"]) if "recurring_day_set" in bought else []
    contracts = contract_standing.standing(facts.contracts, calendar)
    bought_us = min(_nth_first(purchase_days, 1), _nth_first(recurring_days, 1))
    new_us = min(bought_us, contracts.signed_us[0]) if contracts.signed_us else bought_us
    known_us = min(bought_us, contracts.known_us)
    quiet = silences(first_event_us, alive, purchase_days, rules)
    over = _contract_over(contracts, [*purchase_days, *recurring_days], rules) if contracts.all_over else []
    gone = minus(clipped(quiet.churning, known_us, NEVER), contracts.running)
    churned = union([*gone, *over]) if over else gone
    return Conditions(
        first_event_us,
        alive,
        purchase_days,
        recurring_days,
        contracts,
        bought_us,
        new_us,
        known_us,
        _nth_first(purchase_days, rules.loyal_purchase_days),
        quiet.silent,
        clipped(quiet.dormant, first_event_us, known_us),
        over,
        _complaint_open(facts.complaints, rules) if facts.complaints else [],
        _unhappy(satisfaction.answers(facts.satisfaction), rules) if facts.satisfaction else [],
        gone,
        churned,
        _returns(facts, churned, contracts.signed_us) if churned and churned[0][1] < NEVER else [],
    )


def _by_first_instant(packed: str) -> list[DayInstants]:
    # Not quite the order of the days: a clock set back over midnight shows a day again that has ended.
    found = days.unpack(packed)
    found.sort(key=_FIRST_INSTANT)
    return found


def _nth_first(purchase_days: list[DayInstants], count: int) -> int:
    return purchase_days[count - 1].first_us if len(purchase_days) >= count else NEVER


def _contract_over(contracts: Standing, purchase_days: list[DayInstants], rules: StageRules) -> list[Interval]:
    """All contracts over for the grace, and no purchase since the last end.

    Of a day with a purchase before that end and one after it, the last instant stands for the latter: the grace is
    longer than a day, so it has passed before the question is asked.
    """
    bought_us = sorted({us for day in purchase_days for us in (day.first_us, day.last_us)})
    found = []
    for from_us, until_us, last_end_us in contracts.all_over:
        since = bisect_left(bought_us, last_end_us)
        stop = min(until_us, bought_us[since]) if since < len(bought_us) else until_us
        found.append((max(from_us, last_end_us + rules.contract_grace_days * DAY_US), stop))
    return union(found)


def _complaint_open(cases: ComplaintFacts, rules: StageRules) -> list[Interval]:
    """Some case open for so long, without interruption."""
    return union(
        (span.from_us + rules.complaint_days * DAY_US, NEVER if span.until_us is None else span.until_us)
        for transitions in cases.values()
        for span in complaints.open_spans(transitions)
    )


def _unhappy(answers: list[Answer], rules: StageRules) -> list[Interval]:
    """The last csat or the last nps bad, and not yet long ago."""
    lasting_us = rules.unhappy_days * DAY_US
    found: list[Interval] = []
    for scale in (
        [(answer.at_us, answer.csat <= rules.unhappy_csat) for answer in answers if answer.csat is not None],
        [(answer.at_us, answer.nps <= rules.unhappy_nps) for answer in answers if answer.nps is not None],
    ):
        ends = [*(at_us for at_us, _ in scale[1:]), NEVER]
        for (at_us, bad), next_us in zip(scale, ends, strict=False):
            if bad:
                found.append((at_us, min(next_us, at_us + lasting_us)))
    return union(found)


def _returns(facts: CustomerFacts, churned: list[Interval], signed_us: list[int]) -> list[Return]:
    """Of each churned span that ended, the first purchase or signature from its end on.

    Passive purchases are known to the instant. Of deliberate ones the first of each day is enough: no churned span ends
    within a day after one, as it is a sign of life and a purchase.
    """
    deliberate = [day.first_us for day in days.unpack(purchases.deliberate_day_set(facts.purchases))]
    candidates = sorted([*deliberate, *purchases.passive_instants(facts.purchases), *signed_us])
    found = []
    for churned_us, ended_us in churned:
        index = bisect_left(candidates, ended_us)
        if index < len(candidates):
            found.append(Return(churned_us, ended_us, candidates[index]))
    return found
