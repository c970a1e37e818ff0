"""Explanations by examples: which rule, what it looked at, and the events behind it."""

from __future__ import annotations

from typing import Any

import orjson
from folding import event_id
from lifecycle_events import History, day

from customer_timeline.projections.reasons import Evidence, Explanation, explain
from customer_timeline.projections.stage_rules import StageRules

RULES = StageRules()


def explained(history: History, at_us: int) -> Explanation:
    told = explain(history.facts(), RULES, history.calendar, at_us)
    assert told is not None
    assert orjson.dumps([reason.inputs for reason in told.reasons])  # JSON values
    return told


def reasons(told: Explanation) -> dict[str, tuple[str, dict[str, Any], tuple[Evidence, ...]]]:
    return {reason.of: (reason.rule, reason.inputs, reason.evidence) for reason in told.reasons}


def test_nothing_is_explained_before_the_first_event() -> None:
    history = History().page(day(1))
    assert explain(history.facts(), RULES, history.calendar, day(1) - 1) is None
    assert explain(History().facts(), RULES, history.calendar, day(1)) is None


def test_a_prospect_is_explained_by_the_first_event_and_dormant_by_the_last_sign_of_life() -> None:
    told = explained(History().mail(day(0)).page(day(10)), day(500))
    assert (told.stage, told.since_us, told.until_us, told.rule) == ("prospect", day(190), None, "prospect")
    assert reasons(told)["stage"] == (
        "prospect",
        {"first_event_us": day(0)},
        (Evidence("first_event", day(0)),),
    )
    assert reasons(told)["dormant"] == (
        "dormant",
        {"last_sign_of_life_us": day(10), "dormant_days": 180},
        (Evidence("sign_of_life", day(10)),),
    )


def test_at_risk_by_silence_names_the_last_sign_the_gap_and_the_threshold() -> None:
    # Gaps of 20 and 61 days, median 40.5: silent after 81 days, on day 162.
    told = explained(History().purchase(day(0)).purchase(day(20)).purchase(day(81)), day(170))
    assert (told.stage, told.flags, told.rule) == ("at_risk", ("silent",), "at_risk_silent")
    assert (told.since_us, told.until_us) == (day(162), day(81 + 180))
    assert reasons(told)["stage"] == (
        "at_risk_silent",
        {
            "last_sign_of_life_us": day(81),
            "silent_days": 30,
            "silent_gaps": 2,
            "median_gap_days": 40.5,
            "threshold_days": 81,
            "threshold_passed_us": day(162),
        },
        (Evidence("sign_of_life", day(81)),),
    )
    assert reasons(told)["silent"][1:] == reasons(told)["stage"][1:]


def test_at_risk_by_a_complaint_names_the_cases_and_the_events_that_opened_them() -> None:
    history = History().purchase(day(0)).case("opened", day(2), "c-9").case("opened", day(1), "c-1")
    history.case("opened", day(8), "c-3")
    told = explained(history, day(10))
    assert told.rule == "at_risk_complaint"
    # As of the instant at which the entry began: c-9 had been open for a week one day later.
    assert told.since_us == day(8)
    assert reasons(told)["stage"] == (
        "at_risk_complaint",
        {"cases": [{"case_id": "c-1", "open_since_us": day(1)}], "complaint_days": 7},
        (Evidence("complaint", day(1), event_id(3)),),
    )


def test_at_risk_by_an_answer_names_the_scale_the_value_and_the_event() -> None:
    told = explained(History().purchase(day(0)).answered(day(3), csat=2, nps=9), day(4))
    assert told.rule == "at_risk_unhappy"
    assert reasons(told)["unhappy"] == (
        "unhappy",
        {"csat": 2, "csat_us": day(3), "unhappy_csat": 2, "unhappy_days": 90},
        (Evidence("csat", day(3), event_id(2)),),
    )


def test_churned_by_silence_and_by_contracts_are_told_apart() -> None:
    silent = explained(History().purchase(day(0)), day(200))
    assert silent.rule == "churned_silent"
    assert reasons(silent)["stage"][1]["threshold_days"] == 180
    # Agreed until 2026-03-31, day 90; a purchase on day 50 is before that.
    history = History().signed(day(0), "2026-01-01", "2026-03-31").purchase(day(50)).page(day(110))
    agreed = explained(history, day(125))
    assert agreed.rule == "churned_contract_over"
    assert reasons(agreed)["stage"][1:] == (
        {
            "contracts": 1,
            "last_end_us": day(90),
            "last_purchase_us": day(50),
            "contract_grace_days": 30,
        },
        (Evidence("contract_agreed", day(0), event_id(1)),),
    )
    ended = explained(history.ended(day(85)), day(125))
    assert reasons(ended)["contract_over"][2] == (Evidence("contract_ended", day(85), event_id(4)),)


def test_won_back_names_the_churned_span_and_the_return() -> None:
    told = explained(History().purchase(day(0)).page(day(200)).purchase(day(220)), day(230))
    assert (told.rule, told.since_us) == ("won_back", day(220))
    assert reasons(told)["stage"][1:] == (
        {
            "churned_us": day(180),
            "churned_until_us": day(200),
            "returned_us": day(220),
            "won_back_days": 90,
        },
        (Evidence("purchase", day(220)),),
    )


def test_new_loyal_and_active_name_the_purchases_or_signatures_behind_them() -> None:
    signed = explained(History().signed(day(0), "2026-01-01", "2026-12-31").purchase(day(1)), day(0))
    assert reasons(signed)["stage"] == (
        "new",
        {"first_purchase_us": None, "first_signature_us": day(0), "new_days": 90},
        (Evidence("contract_signed", day(0), event_id(1)),),
    )
    often = History()
    for number in range(5):
        often.purchase(day(10 * number))
    assert reasons(explained(often, day(45)))["stage"] == (
        "loyal",
        {"purchase_days": 4, "loyal_purchase_days": 4},
        (Evidence("purchase", day(30)),),
    )
    active = explained(History().purchase(day(0)).page(day(85)), day(95))
    assert reasons(active)["stage"][2] == (Evidence("purchase", day(0)),)
    renewed = explained(History().renewed(day(0), "2026-12-31"), day(0))
    assert reasons(renewed)["stage"][2] == (Evidence("contract_renewed", day(0), event_id(1)),)


def test_the_reasons_of_an_entry_do_not_change_with_what_comes_after_it_began() -> None:
    history = History().purchase(day(0)).page(day(95))
    before = explained(history, day(100))
    after = explained(history.purchase(day(101)), day(100))
    assert after._replace(until_us=None) == before._replace(until_us=None)
