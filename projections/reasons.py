"""Why a customer has a stage and its flags: the rule, what it looked at, and the events that stand behind it.

Called when somebody asks, never on the hot path: reasons are worked out from the facts and kept nowhere. Every reason
is that of the instant at which its entry of the schedule begins, so it is a function of the events until then, and the
same for the whole entry. Facts hold the event ids of complaints, contracts and answers; for a sign of life, a purchase
or a first event they hold the instant alone, and the reader finds the event in the timeline by it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from customer_timeline.projections import complaints, days, satisfaction
from customer_timeline.projections.calendar import DAY_US, BusinessCalendar
from customer_timeline.projections.conditions import Conditions, conditions
from customer_timeline.projections.contract_standing import over_from_us
from customer_timeline.projections.contracts import UNKNOWN, Terms, terms_after
from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.lifecycle import Flag, Stage, StageEntry, entry_at, next_change_us, schedule_of
from customer_timeline.projections.silence import Gaps, threshold_us
from customer_timeline.projections.stage_rules import StageRules


class Evidence(NamedTuple):
    """An event behind a reason, by its part in it. `event_id` None: the event of that kind at that instant."""

    role: str
    at_us: int
    event_id: str | None = None


class Reason(NamedTuple):
    """Why the stage or a flag (`of`) holds. `inputs`: JSON values; `_us` instants, `_days` days, else counts."""

    of: str
    rule: str
    inputs: dict[str, Any]
    evidence: tuple[Evidence, ...]


class Explanation(NamedTuple):
    """The entry at an instant: since when, until when, and the reasons, that of the stage first.

    `until_us` is when the entry ends by the facts given: for an instant in the past, when it did; None: never. It is
    the one part that later events change. `rule` is the rule of the stage.
    """

    stage: Stage
    flags: tuple[Flag, ...]
    since_us: int
    until_us: int | None
    rule: str
    reasons: tuple[Reason, ...]


class _Case(NamedTuple):
    """What the rules look at: one customer at the instant at which an entry begins."""

    facts: CustomerFacts
    found: Conditions
    rules: StageRules
    calendar: BusinessCalendar
    at_us: int

    def bought_days(self) -> int:
        """Purchase days so far."""
        found = self.found.purchase_days
        return found.earlier + sum(day.first_us <= self.at_us for day in found.days)


_Because = tuple[dict[str, Any], tuple[Evidence, ...]]


def explain(facts: CustomerFacts, rules: StageRules, calendar: BusinessCalendar, at_us: int) -> Explanation | None:
    """Why the customer is where the schedule says at an instant; None before the first event."""
    found = conditions(facts, rules, calendar)
    if found is None:
        return None
    schedule = schedule_of(found, rules)
    entry = entry_at(schedule, at_us)
    if entry is None:
        return None
    case = _Case(facts, found, rules, calendar, entry.from_us)
    rule, because = _stage_rule(case, entry)
    reasons = [Reason("stage", rule, *because(case))]
    reasons += [Reason(flag, flag, *_FLAG_RULES[flag](case)) for flag in entry.flags]
    return Explanation(entry.stage, entry.flags, entry.from_us, next_change_us(schedule, at_us), rule, tuple(reasons))


def _stage_rule(case: _Case, entry: StageEntry) -> tuple[str, Callable[[_Case], _Because]]:
    """The rule that won, by its name, and what tells its inputs."""
    if entry.stage == "churned":
        # Where both hold, silence is named: it is what the customer did.
        silent = any(start <= case.at_us < until for start, until in case.found.gone)
        return ("churned_silent", _churned_silent) if silent else ("churned_contract_over", _contract_over)
    if entry.stage == "at_risk":
        is_new = case.found.new_us <= case.at_us < case.found.new_us + case.rules.new_days * DAY_US
        if "silent" in entry.flags and not is_new:
            return "at_risk_silent", _silent
        if "complaint_open" in entry.flags:
            return "at_risk_complaint", _complaint_open
        return "at_risk_unhappy", _unhappy
    return entry.stage, _STAGE_RULES[entry.stage]


def _last_sign(case: _Case) -> tuple[dict[str, Any], Evidence]:
    """The last sign of life, of a customer who is silent; else the first event."""
    index = bisect_right(case.found.spells, case.at_us, key=lambda spell: spell[0])
    if index:
        last_us = case.found.spells[index - 1][1]
        return {"last_sign_of_life_us": last_us}, Evidence("sign_of_life", last_us)
    first_us = case.found.first_event_us
    return {"last_sign_of_life_us": None, "first_event_us": first_us}, Evidence("first_event", first_us)


def _quiet(case: _Case, name: str, least_days: int, gaps: int) -> _Because:
    inputs, evidence = _last_sign(case)
    twice_gap = Gaps(case.found.purchase_days).twice_median(case.bought_days())
    longest_us = threshold_us(least_days, gaps, twice_gap)
    inputs |= {
        f"{name}_days": least_days,
        f"{name}_gaps": gaps,
        "median_gap_days": None if twice_gap is None else _halves(twice_gap),
        "threshold_days": _halves(2 * longest_us // DAY_US),
        "threshold_passed_us": evidence.at_us + longest_us,
    }
    return inputs, (evidence,)


def _halves(count: int) -> int | float:
    """Half of a count; exact, as halves are in binary too."""
    return count // 2 if count % 2 == 0 else count / 2


def _silent(case: _Case) -> _Because:
    return _quiet(case, "silent", case.rules.silent_days, case.rules.silent_gaps)


def _churned_silent(case: _Case) -> _Because:
    return _quiet(case, "churn", case.rules.churn_days, case.rules.churn_gaps)


def _dormant(case: _Case) -> _Because:
    inputs, evidence = _last_sign(case)
    return inputs | {"dormant_days": case.rules.dormant_days}, (evidence,)


def _contract_over(case: _Case) -> _Because:
    ended: list[tuple[int, Terms]] = []
    for events in case.facts.contracts.values():
        terms = UNKNOWN
        for event in events:
            if event[0] <= case.at_us:
                terms = terms_after(terms, event)
        if terms != UNKNOWN:
            ended.append((over_from_us(terms, case.calendar), terms))
    last_end_us = max(over_us for over_us, _ in ended)
    evidence = sorted(_end_of(terms, over_us) for over_us, terms in ended if over_us == last_end_us)
    bought = case.facts.purchases
    bought_days = days.unpack(bought.get("day_set", days.EMPTY))
    bought_days += days.unpack(bought.get("recurring_day_set", days.EMPTY))
    bought_us = [day.last_us for day in bought_days if day.first_us <= case.at_us]
    inputs = {
        "contracts": len(ended),
        "last_end_us": last_end_us,
        "last_purchase_us": max(bought_us, default=None),
        "contract_grace_days": case.rules.contract_grace_days,
    }
    return inputs, tuple(evidence)


def _end_of(terms: Terms, over_us: int) -> Evidence:
    """The event that ended the contract, or else the one that agreed on its end."""
    if terms.ended_us == over_us:
        return Evidence("contract_ended", terms.ended_us, terms.ended_event_id)
    return Evidence("contract_agreed", terms.term_us or 0, terms.term_event_id)


def _complaint_open(case: _Case) -> _Because:
    longest_us = case.rules.complaint_days * DAY_US
    spans = sorted(
        (span.from_us, span.event_id, case_id)
        for case_id, transitions in case.facts.complaints.items()
        for span in complaints.open_spans(transitions)
        if span.from_us + longest_us <= case.at_us and (span.until_us is None or case.at_us < span.until_us)
    )
    inputs = {
        "cases": [{"case_id": case_id, "open_since_us": from_us} for from_us, _, case_id in spans],
        "complaint_days": case.rules.complaint_days,
    }
    return inputs, tuple(Evidence("complaint", from_us, event_id) for from_us, event_id, _ in spans)


def _unhappy(case: _Case) -> _Because:
    inputs: dict[str, Any] = {"unhappy_days": case.rules.unhappy_days}
    evidence = []
    answers = satisfaction.answers(case.facts.satisfaction)
    for scale, worst in (("csat", case.rules.unhappy_csat), ("nps", case.rules.unhappy_nps)):
        given = [answer for answer in answers if answer.at_us <= case.at_us and getattr(answer, scale) is not None]
        if not given:
            continue
        value, at_us = getattr(given[-1], scale), given[-1].at_us
        if value <= worst and case.at_us < at_us + case.rules.unhappy_days * DAY_US:
            inputs |= {scale: value, f"{scale}_us": at_us, f"unhappy_{scale}": worst}
            evidence.append(Evidence(scale, at_us, given[-1].event_id))
    return inputs, tuple(evidence)


def _prospect(case: _Case) -> _Because:
    first_us = case.found.first_event_us
    return {"first_event_us": first_us}, (Evidence("first_event", first_us),)


def _won_back(case: _Case) -> _Because:
    back = max((one for one in case.found.returns if one.at_us <= case.at_us), key=lambda one: (one.at_us, one))
    inputs = {
        "churned_us": back.churned_us,
        "churned_until_us": back.ended_us,
        "returned_us": back.at_us,
        "won_back_days": case.rules.won_back_days,
    }
    return inputs, _began(case, back.at_us)


def _began(case: _Case, at_us: int) -> tuple[Evidence, ...]:
    """The signatures at an instant; a purchase where there are none."""
    signed = sorted(
        Evidence("contract_signed", event[0], event[1])
        for events in case.facts.contracts.values()
        for event in events
        if event[2] == "signed" and event[0] == at_us
    )
    return tuple(signed) or (Evidence("purchase", at_us),)


def _first(case: _Case) -> dict[str, Any]:
    signed_us = case.found.contracts.signed_us
    return {
        "first_purchase_us": case.found.bought_us if case.found.bought_us <= case.at_us else None,
        "first_signature_us": signed_us[0] if signed_us and signed_us[0] <= case.at_us else None,
    }


def _new(case: _Case) -> _Because:
    return _first(case) | {"new_days": case.rules.new_days}, _began(case, case.found.new_us)


def _loyal(case: _Case) -> _Because:
    inputs = {"purchase_days": case.bought_days(), "loyal_purchase_days": case.rules.loyal_purchase_days}
    return inputs, (Evidence("purchase", case.found.loyal_us),)


def _active(case: _Case) -> _Because:
    inputs = _first(case) | {"purchase_days": case.bought_days(), "new_days": case.rules.new_days}
    if case.found.new_us <= case.at_us:
        return inputs, _began(case, case.found.new_us)
    # Known by a renewal or an end alone.
    first = min(events[0] for events in case.facts.contracts.values())
    return inputs, (Evidence(f"contract_{first[2]}", first[0], first[1]),)


_STAGE_RULES: Final[dict[str, Callable[[_Case], _Because]]] = {
    "prospect": _prospect,
    "won_back": _won_back,
    "loyal": _loyal,
    "new": _new,
    "active": _active,
}
_FLAG_RULES: Final[dict[str, Callable[[_Case], _Because]]] = {
    "complaint_open": _complaint_open,
    "contract_over": _contract_over,
    "dormant": _dormant,
    "silent": _silent,
    "unhappy": _unhappy,
}
