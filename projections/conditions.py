"""The conditions behind a stage: when each of them held, and will hold if nothing more happens.

Made from a customer's facts by `projections.lifecycle`, which looks only at what holds, and by `projections.reasons`,
which also says why. What holds at t depends on the events until t alone; that is why thresholds of silence are at least
two days (`projections.spells`), and what lies within a day is asked for only after that day.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from customer_timeline.projections import complaints, contract_standing, days, purchases, satisfaction, spells
from customer_timeline.projections.calendar import DAY_US, BusinessCalendar
from customer_timeline.projections.complaints import ComplaintFacts
from customer_timeline.projections.contract_standing import NO_CONTRACT, Standing
from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.days import LaterDays
from customer_timeline.projections.intervals import NEVER, Interval, clipped, minus, union
from customer_timeline.projections.purchases import PurchaseFacts
from customer_timeline.projections.silence import silences
from customer_timeline.projections.spells import Spell
from customer_timeline.projections.stage_rules import StageRules


class Return(NamedTuple):
    """After the churned span [churned_us, ended_us) the customer bought or signed, for the first time at `at_us`."""

    churned_us: int
    ended_us: int
    at_us: int


class Conditions(NamedTuple):
    """What the stage is decided from. Instants: microseconds since 1970, NEVER = not so far; lists ascend.

    They hold for `from_us` and later. What had ended before it may be missing, but for `churned`; what had begun before
    it may be told as begun then. From the first event on, nothing is missing.
    """

    from_us: int
    first_event_us: int
    spells: list[Spell]
    purchase_days: LaterDays
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


# As the constructor, which is a Python frame each time.
_made: Final[Callable[[tuple[Any, ...]], Conditions]] = partial(tuple.__new__, Conditions)


def conditions(facts: CustomerFacts, rules: StageRules, calendar: BusinessCalendar) -> Conditions | None:
    """The conditions of one customer; None without an event."""
    first_event_us = facts.activity.get("first_event_us")
    return None if first_event_us is None else conditions_from(first_event_us, [], facts, rules, calendar)


def conditions_from(
    from_us: int, churned_before: list[Interval], facts: CustomerFacts, rules: StageRules, calendar: BusinessCalendar
) -> Conditions:
    """The conditions from an instant on, of a customer who has an event; none of its parts walks what lies before.

    `churned_before`: when the customer had churned before that instant, one that lasts beyond it cut there.
    """
    first_event_us = facts.activity["first_event_us"]
    bought = facts.purchases
    alive = spells.since(facts.activity.get("life_spells", spells.EMPTY), from_us)
    purchase_days = days.since(bought.get("day_set", days.EMPTY), from_us, bought.get("last_us", from_us))
    contracts = contract_standing.standing(facts.contracts, calendar) if facts.contracts else NO_CONTRACT
    bought_us = bought.get("first_us", NEVER)
    new_us = min(bought_us, contracts.signed_us[0]) if contracts.signed_us else bought_us
    known_us = min(bought_us, contracts.known_us)
    quiet = silences(from_us, first_event_us, alive, purchase_days, rules)
    over = _contract_over(contracts, bought, rules) if contracts.all_over else []
    # Known for long, most customers have nothing to clip.
    gone = quiet.churning if known_us <= from_us else clipped(quiet.churning, known_us, NEVER)
    if contracts.running:
        gone = minus(gone, contracts.running)
    churned = union([*churned_before, *gone, *over]) if churned_before or over else gone
    return _made(
        (
            from_us,
            first_event_us,
            alive,
            purchase_days,
            contracts,
            bought_us,
            new_us,
            known_us,
            _nth_first(purchase_days, rules.loyal_purchase_days, from_us),
            quiet.silent,
            clipped(quiet.dormant, first_event_us, known_us) if from_us < known_us else [],
            over,
            _complaint_open(facts.complaints, from_us, rules) if facts.complaints else [],
            _unhappy(facts, from_us, rules) if facts.satisfaction else [],
            gone,
            churned,
            _returns(bought, churned, contracts.signed_us, from_us) if churned and churned[0][1] < NEVER else [],
        )
    )


def _nth_first(purchase_days: LaterDays, count: int, from_us: int) -> int:
    """When the purchase days became so many; `from_us` for any instant until then."""
    index = count - purchase_days.earlier - 1
    if index < 0:
        return from_us
    return purchase_days.days[index].first_us if index < len(purchase_days.days) else NEVER


def _contract_over(contracts: Standing, bought: PurchaseFacts, rules: StageRules) -> list[Interval]:
    """All contracts over for the grace, and no purchase since the last end.

    Of a day with a purchase before that end and one after it, the last instant stands for the latter: the grace is
    longer than a day, so it has passed before the question is asked.
    """
    found = []
    for from_us, until_us, last_end_us in contracts.all_over:
        since_us = purchases.bought_from_us(bought, last_end_us)
        stop = until_us if since_us is None else min(until_us, since_us)
        found.append((max(from_us, last_end_us + rules.contract_grace_days * DAY_US), stop))
    return union(found)


def _complaint_open(cases: ComplaintFacts, from_us: int, rules: StageRules) -> list[Interval]:
    """Some case open for so long, without interruption."""
    return union(
        (span.from_us + rules.complaint_days * DAY_US, NEVER if span.until_us is None else span.until_us)
        for transitions in cases.values()
        if not complaints.ended_before(transitions, from_us)
        for span in complaints.open_spans(transitions)
    )


def _unhappy(facts: CustomerFacts, from_us: int, rules: StageRules) -> list[Interval]:
    """The last csat or the last nps bad, and not yet long ago."""
    lasting_us = rules.unhappy_days * DAY_US
    found: list[Interval] = []
    # Until when an answer counts is said by the next one of its scale, so those of before are not missed.
    csat_until = nps_until = NEVER
    for at_us, csat, nps in satisfaction.values_since(facts.satisfaction, max(from_us - lasting_us, 0)):
        if csat is not None:
            if csat <= rules.unhappy_csat:
                found.append((at_us, min(csat_until, at_us + lasting_us)))
            csat_until = at_us
        if nps is not None:
            if nps <= rules.unhappy_nps:
                found.append((at_us, min(nps_until, at_us + lasting_us)))
            nps_until = at_us
    return union(found) if found else found


def _returns(bought: PurchaseFacts, churned: list[Interval], signed_us: list[int], from_us: int) -> list[Return]:
    """Of each churned span that ended, the first purchase or signature from its end on.

    Told from the latest span back, until one is met after which the customer came back before `from_us`: for being won
    back, from then on, the latest return until then is enough. No churned span ends within a day after a deliberate
    purchase, as it is a sign of life and a purchase, so `came_back_us` is exact.
    """
    found: list[Return] = []
    for churned_us, ended_us in reversed(churned):
        if ended_us < NEVER:
            signed = bisect_left(signed_us, ended_us)
            back_us = purchases.came_back_us(bought, ended_us)
            at_us = min(signed_us[signed] if signed < len(signed_us) else NEVER, NEVER if back_us is None else back_us)
            if at_us < NEVER:
                found.append(Return(churned_us, ended_us, at_us))
                if at_us < from_us:
                    break
    found.reverse()
    return found
