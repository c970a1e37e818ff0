"""Stages by examples: every rule, its border to the microsecond, what wins over what. Instants are worked out by hand.

`day(n)` is n days of 24 hours after 2026-01-01T00:00Z; the zone is UTC unless told.
"""

from __future__ import annotations

from datetime import datetime

from lifecycle_events import History, day, facts_of

from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.lifecycle import (
    Schedule,
    StageEntry,
    entry_at,
    next_change_us,
    stage_schedule,
    stage_since_us,
)
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import to_micros

RULES = StageRules()


def schedule(history: History, rules: StageRules = RULES) -> Schedule:
    return stage_schedule(history.facts(), rules, history.calendar)


def told(history: History, rules: StageRules = RULES) -> list[tuple[float, str, tuple[str, ...]]]:
    """The schedule in days after 2026-01-01T00:00Z."""
    return [
        ((from_us - day(0)) / (day(1) - day(0)), stage, flags) for from_us, stage, flags in schedule(history, rules)
    ]


# -- silence --


def test_a_customer_without_events_has_no_schedule() -> None:
    assert schedule(History()) == ()
    assert entry_at((), day(0)) is None
    assert next_change_us((), day(0)) is None


def test_a_prospect_who_gives_no_sign_of_life_is_silent_and_then_dormant() -> None:
    assert told(History().page(day(0)).mail(day(20))) == [
        (0, "prospect", ()),
        (30, "prospect", ("silent",)),
        (180, "prospect", ("dormant", "silent")),
    ]


def test_without_any_sign_of_life_silence_counts_from_the_first_event() -> None:
    assert told(History().mail(day(1)).mail(day(9)))[1] == (31, "prospect", ("silent",))


def test_one_purchase_makes_new_then_active_then_at_risk_then_churned() -> None:
    assert told(History().purchase(day(0))) == [
        (0, "new", ()),
        (30, "new", ("silent",)),  # silent, but new customers are given 90 days
        (90, "at_risk", ("silent",)),
        (180, "churned", ("silent",)),
    ]
    assert told(History().purchase(day(0)).page(day(80))) == [
        (0, "new", ()),
        (30, "new", ("silent",)),
        (80, "new", ()),
        (90, "active", ()),
        (110, "at_risk", ("silent",)),
        (260, "churned", ("silent",)),
    ]


def test_longer_than_n_days_holds_from_the_instant_of_n_times_24_hours_on() -> None:
    entries = schedule(History().purchase(day(0)))
    for change_us in (day(30), day(90), day(180)):
        before, after = entry_at(entries, change_us - 1), entry_at(entries, change_us)
        assert before != after
        assert after is not None
        assert after.from_us == change_us
        assert next_change_us(entries, change_us - 1) == change_us
    assert entry_at(entries, day(0) - 1) is None
    assert next_change_us(entries, day(0) - 1) == day(0)
    assert entry_at(entries, day(10**6)) == StageEntry(day(180), "churned", ("silent",))
    assert next_change_us(entries, day(180)) is None


def test_who_buys_rarely_is_given_more_time() -> None:
    # Purchase days 0, 20 and 80: gaps 20 and 60, median 40. Silent after max(30, 2 x 40) = 80 days of 24 hours from the
    # last sign of life, which is on day 80; churned after max(180, 4 x 40) = 180.
    assert told(History().purchase(day(0)).purchase(day(20)).purchase(day(80)))[-3:] == [
        (90, "active", ()),
        (160, "at_risk", ("silent",)),
        (260, "churned", ("silent",)),
    ]
    # Days 0 and 100: the gap of 100 counts from day 100 on. Silent from 30 to 100, then after 200, churned after 400.
    assert told(History().purchase(day(0)).purchase(day(100))) == [
        (0, "new", ()),
        (30, "new", ("silent",)),
        (90, "at_risk", ("silent",)),
        (100, "active", ()),
        (300, "at_risk", ("silent",)),
        (500, "churned", ("silent",)),
    ]


def test_a_purchase_that_is_no_sign_of_life_changes_the_threshold_within_a_silence() -> None:
    # From day 40 on the gap is 40 days, so the silence since day 0 counts from 80 days on. It had counted since day 30.
    assert told(History().purchase(day(0)).purchase(day(40), automated=True)) == [
        (0, "new", ()),
        (30, "new", ("silent",)),
        (40, "new", ()),
        (80, "new", ("silent",)),
        (90, "at_risk", ("silent",)),
        (180, "churned", ("silent",)),
    ]


def test_half_a_day_of_gap_counts() -> None:
    # Days 0, 20, 41: gaps 20 and 21, median 20.5. Silent after 2 x 20.5 = 41 days, three times it 61.5.
    history = History().purchase(day(0)).purchase(day(20)).purchase(day(41))
    rules = StageRules(silent_gaps=3, new_days=1)
    assert (41 + 61.5, "at_risk", ("silent",)) in told(history, rules)


def test_recurring_charges_make_a_customer_but_are_no_sign_of_life() -> None:
    history = History().page(day(0))
    for month in range(1, 5):
        history.purchase(day(30 * month), recurring=True)
    assert told(history) == [
        (0, "prospect", ()),
        (30, "new", ("silent",)),
        (120, "at_risk", ("silent",)),
        (180, "churned", ("silent",)),
    ]


# -- loyal, won back --


def test_four_purchase_days_make_loyal() -> None:
    history = History().purchase(day(0)).purchase(day(10)).purchase(day(20)).purchase(day(20.5)).purchase(day(30))
    # Gaps of 10 days: silent 30 days after the last, at risk because more than 90 days have passed or not: day 60 < 90.
    assert told(history) == [
        (0, "new", ()),
        (30, "loyal", ()),
        (60, "loyal", ("silent",)),
        (90, "at_risk", ("silent",)),
        (210, "churned", ("silent",)),
    ]


def test_a_purchase_after_a_churned_span_wins_back_for_90_days() -> None:
    history = History().purchase(day(0)).page(day(200)).page(day(215)).purchase(day(220)).page(day(300))
    assert told(history) == [
        (0, "new", ()),
        (30, "new", ("silent",)),
        (90, "at_risk", ("silent",)),
        (180, "churned", ("silent",)),
        (200, "active", ()),  # a sign of life ends the span, and alone wins nobody back
        (220, "won_back", ()),
        (310, "active", ()),
        (740, "at_risk", ("silent",)),  # the gap is 220 days: 300 + 2 x 220
        (1180, "churned", ("silent",)),  # 300 + 4 x 220
    ]


def test_a_charge_wins_nobody_back_and_a_signature_does() -> None:
    history = History().purchase(day(0)).page(day(200)).purchase(day(201), recurring=True)
    assert [stage for _, stage, _ in told(history)][-3:] == ["active", "at_risk", "churned"]
    signed = history.signed(day(202), "2027-01-01", "2027-12-31")  # day 365 to 730
    assert (202, "won_back", ()) in told(signed)


def test_what_wins_back_is_told_to_the_instant_on_a_day_that_began_with_a_passive_purchase() -> None:
    # Day 200: a machine buys while the customer is churned, a page ends the span, the customer buys twice. As a set of
    # days alone, the day would say from when to when somebody bought, and not when the customer returned.
    rules = StageRules(churn_gaps=1, silent_gaps=1)
    history = History().purchase(day(0)).purchase(day(200.1), automated=True).page(day(200.2))
    history.purchase(day(200.3)).purchase(day(200.4))
    assert (200.3, "won_back", ()) in [(round(at, 6), stage, flags) for at, stage, flags in told(history, rules)]


# -- complaints, answers --


def test_a_complaint_that_is_open_for_a_week_is_a_risk_until_it_is_resolved() -> None:
    history = History().purchase(day(0)).case("opened", day(10)).case("opened", day(12)).case("resolved", day(20))
    history.case("reopened", day(25)).case("closed", day(31)).case("reopened", day(31))
    assert told(history)[:5] == [
        (0, "new", ()),
        (17, "at_risk", ("complaint_open",)),  # the second opening does not restart it
        (20, "new", ()),
        (38, "at_risk", ("complaint_open",)),  # closed and opened again at one instant: it starts anew
        (61, "at_risk", ("complaint_open", "silent")),
    ]


def test_a_bad_answer_is_a_risk_for_90_days_or_until_a_better_one() -> None:
    history = History().purchase(day(0)).answered(day(5), csat=2, nps=7).answered(day(9), csat=3)
    assert told(history)[:3] == [(0, "new", ()), (5, "at_risk", ("unhappy",)), (9, "new", ())]
    each_its_own = History().purchase(day(0)).answered(day(5), csat=5, nps=6).answered(day(9), csat=5)
    assert told(each_its_own)[1:4] == [
        (5, "at_risk", ("unhappy",)),
        (39, "at_risk", ("silent", "unhappy")),
        (95, "at_risk", ("silent",)),
    ]


def test_an_nps_of_zero_is_an_answer() -> None:
    assert told(History().purchase(day(0)).answered(day(5), nps=0))[1] == (5, "at_risk", ("unhappy",))


# -- contracts --


def test_nobody_churns_by_silence_while_a_contract_runs() -> None:
    # Signed on day 0, from 2026-01-11 (day 10) to 2026-12-31 (until day 365): signing is no sign of life.
    history = History().signed(day(0), "2026-01-11", "2026-12-31")
    assert told(history) == [
        (0, "new", ()),
        (30, "new", ("silent",)),
        (90, "at_risk", ("silent",)),
        (365, "churned", ("silent",)),
        (395, "churned", ("contract_over", "silent")),
    ]


def test_all_contracts_over_for_30_days_churn_whoever_is_still_about() -> None:
    history = History().signed(day(0), "2026-01-01", "2026-04-10").signed(day(0), "2026-01-01", "2026-03-01", "k-2")
    for number in range(0, 160, 10):
        history.page(day(number))
    # The later one is over with the end of 2026-04-10: day 100.
    assert told(history)[:3] == [(0, "new", ()), (90, "active", ()), (130, "churned", ("contract_over",))]
    assert told(history.renewed(day(120), "2026-12-31"))[:3] == [
        (0, "new", ()),
        (90, "active", ()),
        (180, "at_risk", ("silent",)),
    ]


def test_a_purchase_after_the_last_end_is_a_customer_still() -> None:
    history = History().signed(day(0), "2026-01-01", "2026-04-10").page(day(120))
    charged = History().signed(day(0), "2026-01-01", "2026-04-10").page(day(120)).purchase(day(100), recurring=True)
    assert (130, "churned", ("contract_over",)) in told(history)
    assert (150, "at_risk", ("silent",)) in told(charged)
    bought = history.purchase(day(140))
    assert told(bought)[3:6] == [
        (120, "active", ()),
        (130, "churned", ("contract_over",)),
        (140, "won_back", ()),
    ]


def test_a_purchase_on_the_day_of_the_last_end_counts_by_its_instant() -> None:
    def flags(*bought_us: int) -> set[str]:
        history = History().signed(day(0), "2026-01-01", "2026-12-31").ended(day(50.5))
        for us in bought_us:
            history.purchase(us)
        return {flag for _, _, flags in told(history) for flag in flags}

    assert "contract_over" in flags(day(50.1), day(50.4))
    assert "contract_over" not in flags(day(50.1), day(50.9))
    assert "contract_over" not in flags(day(50.1), day(50.5))


def test_an_end_before_the_agreed_one_counts_from_its_instant_unless_renewed() -> None:
    history = History().signed(day(0), "2026-01-01", "2026-12-31").ended(day(10.5)).page(day(30))
    assert told(history)[:2] == [(0, "new", ()), (40.5, "churned", ("contract_over",))]
    assert told(history.renewed(day(20), "2026-12-31"))[:2] == [(0, "new", ()), (60, "new", ("silent",))]


def test_a_contract_that_has_not_begun_is_neither_running_nor_over() -> None:
    # One ended on day 0, one to begin on 2026-03-02, day 60: not all are over before the second is, on day 365.
    history = History().ended(day(0), "k-2").signed(day(0), "2026-03-02", "2026-12-31")
    assert [flags for _, _, flags in told(history)] == [
        (),
        ("silent",),
        ("silent",),
        ("silent",),
        ("contract_over", "silent"),
    ]


def test_contracts_begin_and_end_at_midnight_of_the_business_zone() -> None:
    # Berlin, summer time: 2026-06-30 ends at 22:00Z.
    history = History("Europe/Berlin").signed(day(0), "2026-01-01", "2026-06-30").page(day(180))
    end_us = to_micros(datetime.fromisoformat("2026-06-30T22:00:00Z"))
    assert StageEntry(end_us + (day(30) - day(0)), "churned", ("contract_over", "silent")) in schedule(history)


def test_a_contract_without_an_end_is_written_with_the_last_day_of_the_calendar() -> None:
    history = History().signed(day(0), "2026-01-01", "9999-12-31")
    assert told(history)[-1] == (90, "at_risk", ("silent",))
    assert told(History().signed(day(0), "0001-01-01", "9999-12-30"))[-1] == (90, "at_risk", ("silent",))


# -- the past does not depend on the future: histories that once broke that or could --


def test_a_day_shown_again_after_the_next_one_began_keeps_the_law() -> None:
    # St. John's, 1987-10-25: at 02:30:30Z it is the 25th, at 02:45Z the 24th again. The day's number falls.
    history = History("America/St_Johns")
    first, early, again, last = (
        to_micros(datetime.fromisoformat(text))
        for text in ("1987-10-20T12:00:00Z", "1987-10-25T02:30:30Z", "1987-10-25T02:45:00Z", "1987-10-29T12:00:00Z")
    )
    for at_us in (first, early, again, last):
        history.purchase(at_us)
    rules = StageRules(loyal_purchase_days=2, silent_gaps=10)
    # The 20th and the 25th are two days. In the end gaps of 4, 1 and 4 days: silent after 40.
    assert schedule(history, rules)[:3] == (
        StageEntry(first, "new", ()),
        StageEntry(early, "loyal", ()),
        StageEntry(last + (day(40) - day(0)), "loyal", ("silent",)),
    )
    for at_us in (early, again - 1, again, last, last + (day(40) - day(0))):
        until = stage_schedule(history.facts(at_us), rules, history.calendar)
        assert entry_at(schedule(history, rules), at_us) == entry_at(until, at_us)


def test_a_combined_customer_has_the_schedule_of_all_events() -> None:
    one, other = History().purchase(day(0)).page(day(200)), History().purchase(day(220)).case("opened", day(221))
    projection = CustomerProjection(one.calendar)
    facts = one.facts()
    projection.combine(facts, other.facts())
    together = [event for history in (one, other) for event in history.events]
    assert stage_schedule(facts, RULES, one.calendar) == stage_schedule(
        facts_of(together, one.calendar), RULES, one.calendar
    )


def test_a_stage_holds_since_it_began_whatever_the_flags() -> None:
    # Silent from day 30, dormant from day 180, and a prospect all the time.
    found = schedule(History().page(day(0)))
    assert [stage_since_us(found, day(at)) for at in (0, 31, 200)] == [day(0)] * 3
    assert stage_since_us(found, day(0) - 1) is None
    bought = schedule(History().page(day(0)).purchase(day(10)))
    assert [stage_since_us(bought, day(at)) for at in (9, 10, 99)] == [day(0), day(10), day(10)]
