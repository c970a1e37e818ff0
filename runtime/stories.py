"""A customer's story in a few lines, told from what the API answers and from nothing else: where they stand, why, what
was, and what will be if nothing happens. Pure: answers in, text out; `demo` asks and prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

Answer = Mapping[str, Any]


class Told(NamedTuple):
    """What the API answers about a reference: `GET /v1/customers/{ref}`, and `/lifecycle` below it."""

    ref: str
    customer: Answer
    lifecycle: Answer


def story(told: Told, beside: Sequence[Told] = ()) -> list[str]:
    """The lines about one customer, and one about each of the others that belong to the story."""
    lifecycle = told.lifecycle
    lines = [_known(told.customer), _standing(lifecycle)]
    if lifecycle["stage"] is None:
        return lines
    lines += [f"Evidence: {_evidence(event)}." for event in lifecycle["reasons"][0]["events"]]
    lines += [f"Flag {reason['of']}: {_because(reason)}." for reason in _flags(lifecycle["reasons"])]
    lines += _things(lifecycle)
    lines.append(f"So far: {_path(lifecycle['history'])}.")
    ahead = _path(lifecycle["schedule"], after=lifecycle["stage"])
    lines.append(f"If nothing happens: {ahead}." if ahead else f"If nothing happens: stays {lifecycle['stage']}.")
    alive = lifecycle["p_alive"]
    if alive is not None and alive["repeat_days"]:
        lines.append(f"P(alive) {alive['p_alive']:.2f}, after {_counted(alive['repeat_days'], 'repeat purchase day')}.")
    return [*lines, *(_beside(told, other) for other in beside)]


def _known(customer: Answer) -> str:
    kinds = ", ".join(identifier["kind"] for identifier in customer["identifiers"])
    bought, events = customer["purchases"], customer["activity"]["events"]
    gap = bought["median_gap_days"]
    rhythm = "" if gap is None else f", {gap:g} days apart"
    purchases = f"{_counted(bought['count'], 'purchase')} on {_counted(bought['days'], 'day')}{rhythm}"
    return f"One customer by {kinds}: {_counted(events, 'event')}, {purchases}."


def _standing(lifecycle: Answer) -> str:
    stage = lifecycle["stage"]
    if stage is None:
        return "No event yet, so no stage."
    return f"{stage} since {_day(lifecycle['stage_since'])}: {_because(lifecycle['reasons'][0])}."


def _flags(reasons: Sequence[Answer]) -> list[Answer]:
    """The reasons of flags that say more than that of the stage."""
    return [reason for reason in reasons[1:] if reason["inputs"] != reasons[0]["inputs"]]


def _evidence(event: Answer) -> str:
    return f"{event['role'].replace('_', ' ')} at {event['at']}, event {', '.join(event['event_ids'])}"


def _things(lifecycle: Answer) -> Iterator[str]:
    for contract in lifecycle["contracts"]:
        if contract["ended_at"] is None:
            yield f"Contract {contract['contract_id']} runs until {contract['ends_on']}."
    for case in lifecycle["complaints"]["open_cases"]:
        yield f"Complaint {case['case_id']} is open since {_day(case['since'])}."


def _path(entries: Sequence[Answer], after: str | None = None) -> str:
    """`new 2026-01-02 -> active 2026-04-02`: entries that change nothing but flags are left out."""
    steps = []
    for entry in entries:
        if entry["stage"] != after:
            steps.append(f"{entry['stage']} {_day(entry['from'])}")
        after = entry["stage"]
    return " -> ".join(steps)


def _beside(told: Told, other: Told) -> str:
    if other.customer["customer_id"] == told.customer["customer_id"]:
        return f"{other.ref} leads to the same customer."
    return f"{other.ref} is another customer: {_standing(other.lifecycle)}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _day(instant: str) -> str:
    return instant[:10]


# -- why -------------------------------------------------------------------------------------------------------------


def _because(reason: Answer) -> str:
    """The reason as half a sentence. A rule that is not known here is told by its name and inputs."""
    say = _SENTENCES.get(reason["rule"])
    inputs: Answer = reason["inputs"]
    return f"{reason['rule']} ({', '.join(f'{k} {v}' for k, v in inputs.items())})" if say is None else say(inputs)


def _quiet_since(inputs: Answer) -> str:
    last = inputs["last_sign_of_life_at"]
    return (
        f"no sign of life since {_day(last)}"
        if last
        else f"never a sign of life since {_day(inputs['first_event_at'])}"
    )


def _silent(inputs: Answer) -> str:
    threshold, gap = inputs["threshold_days"], inputs["median_gap_days"]
    times = inputs.get("silent_gaps") or inputs.get("churn_gaps") or 0
    usual = f", {times} times the usual gap" if gap is not None and threshold == times * gap else ""
    return f"{_quiet_since(inputs)}, and {threshold:g} days is the limit{usual}"


def _dormant(inputs: Answer) -> str:
    return f"{_quiet_since(inputs)}, and {inputs['dormant_days']} days is the limit"


def _complaint(inputs: Answer) -> str:
    cases = " and ".join(f"{case['case_id']} since {_day(case['open_since_at'])}" for case in inputs["cases"])
    return f"complaint open for {inputs['complaint_days']} days or longer, {cases}"


def _unhappy(inputs: Answer) -> str:
    bad = [
        f"{scale} {inputs[scale]} on {_day(inputs[f'{scale}_at'])}, {inputs[f'unhappy_{scale}']} or less is unhappy"
        for scale in ("csat", "nps")
        if scale in inputs
    ]
    return f"{'; '.join(bad)}; for {inputs['unhappy_days']} days"


def _contract_over(inputs: Answer) -> str:
    grace = inputs["contract_grace_days"]
    return f"no contract since {_day(inputs['last_end_at'])}, and no purchase in the {grace} days after"


def _prospect(inputs: Answer) -> str:
    return f"no purchase and no contract since the first event on {_day(inputs['first_event_at'])}"


def _began(inputs: Answer) -> str:
    bought, signed = inputs["first_purchase_at"], inputs["first_signature_at"]
    first = min(instant for instant in (bought, signed) if instant) if bought or signed else None
    if first is None:
        return "known by a contract"
    return f"first {'signature' if first == signed else 'purchase'} on {_day(first)}"


def _new(inputs: Answer) -> str:
    return f"{_began(inputs)}, new for {inputs['new_days']} days"


def _active(inputs: Answer) -> str:
    return f"{_began(inputs)}, and nothing that is amiss"


def _loyal(inputs: Answer) -> str:
    return f"bought on {inputs['purchase_days']} days by then, and {inputs['loyal_purchase_days']} make loyal"


def _won_back(inputs: Answer) -> str:
    return (
        f"had churned on {_day(inputs['churned_at'])}, bought or signed again on {_day(inputs['returned_at'])}; "
        f"won back for {inputs['won_back_days']} days"
    )


_SENTENCES: Final[Mapping[str, Callable[[Answer], str]]] = {
    "prospect": _prospect,
    "new": _new,
    "active": _active,
    "loyal": _loyal,
    "won_back": _won_back,
    "at_risk_silent": _silent,
    "at_risk_complaint": _complaint,
    "at_risk_unhappy": _unhappy,
    "churned_silent": _silent,
    "churned_contract_over": _contract_over,
    "silent": _silent,
    "dormant": _dormant,
    "complaint_open": _complaint,
    "unhappy": _unhappy,
    "contract_over": _contract_over,
}
