"""The facts that stages rest on, by examples: complaints, contracts, answers, passive purchases."""

from __future__ import annotations

from folding import event_id
from lifecycle_events import History, day

from customer_timeline.projections import complaints, contracts, days, purchases, satisfaction


def test_a_case_is_open_from_its_opening_until_it_is_resolved_or_closed() -> None:
    history = History()
    history.case("opened", day(1)).case("opened", day(2)).case("resolved", day(3)).case("closed", day(4))
    history.case("reopened", day(5))
    spans = complaints.open_spans(history.facts().complaints["c-1"])
    assert spans == [(day(1), day(3), event_id(1)), (day(5), None, event_id(5))]


def test_cases_are_counted_and_the_open_ones_listed_since_when() -> None:
    history = History()
    history.case("opened", day(3), "c-1").case("opened", day(1), "c-2").case("opened", day(2), "c-3")
    history.case("closed", day(4), "c-3").case("resolved", day(5), "c-4")  # c-4's opening has not arrived
    assert complaints.describe(history.facts().complaints) == {
        "open": 2,
        "opened_total": 3,
        "open_cases": [
            {"case_id": "c-2", "since": "2026-01-02T00:00:00Z"},
            {"case_id": "c-1", "since": "2026-01-04T00:00:00Z"},
        ],
    }


def test_of_transitions_at_one_instant_the_greater_event_id_is_the_later() -> None:
    closed_last = History().case("opened", day(1)).case("closed", day(1))
    opened_last = History().case("closed", day(1)).case("opened", day(1))
    assert complaints.describe(closed_last.facts().complaints)["open"] == 0
    assert complaints.describe(opened_last.facts().complaints)["open"] == 1


def test_requests_are_no_complaints() -> None:
    fields = {"case_id": "c-1", "theme": "delivery", "kind": "question"}
    assert History().add("request.opened", day(1), **fields).facts().complaints == {}


def test_a_renewal_moves_the_end_and_undoes_an_earlier_one() -> None:
    history = History().signed(day(0), "2026-01-10", "2026-06-30").ended(day(20)).renewed(day(30), "2027-06-30")
    history.ended(day(40), "k-2")
    assert contracts.describe(history.facts().contracts) == [
        {
            "contract_id": "k-1",
            "signed_at": "2026-01-01T00:00:00Z",
            "starts_on": "2026-01-10",
            "ends_on": "2027-06-30",
            "ended_at": None,
        },
        {
            "contract_id": "k-2",
            "signed_at": None,
            "starts_on": None,
            "ends_on": None,
            "ended_at": "2026-02-10T00:00:00Z",
        },
    ]


def test_every_answer_is_kept_and_the_last_of_each_scale_is_shown() -> None:
    history = History().answered(day(2), csat=4).answered(day(3), nps=0).answered(day(1), csat=1, nps=10)
    history.answered(day(4))  # neither: a comment alone
    facts = history.facts()
    assert satisfaction.answers(facts.satisfaction) == [
        (day(1), event_id(3), 1, 10),
        (day(2), event_id(1), 4, None),
        (day(3), event_id(2), None, 0),
    ]
    assert satisfaction.describe(facts.satisfaction) == {
        "answers": 3,
        "csat": {"value": 4, "at": "2026-01-03T00:00:00Z", "event_id": event_id(1)},
        "nps": {"value": 0, "at": "2026-01-04T00:00:00Z", "event_id": event_id(2)},
    }


def test_purchases_on_purpose_are_told_apart_once_there_is_a_passive_one() -> None:
    ten, noon, evening = day(5) + 10, day(5.5), day(5.9)
    history = History().purchase(noon).purchase(evening)
    assert set(history.facts().purchases) & {"passive_instants", "deliberate_day_set"} == set()
    bought = history.purchase(ten, automated=True).facts().purchases
    assert [purchases.came_back_us(bought, us) for us in (ten, ten + 1, noon, noon + 1)] == [ten, noon, noon, None]
    (deliberate,) = days.unpack(purchases.deliberate_day_set(bought))
    assert deliberate[1:] == (noon, evening)
    (any_kind,) = days.unpack(bought["day_set"])
    assert any_kind[1:] == (ten, evening)


def test_recurring_charges_have_days_of_their_own() -> None:
    bought = History().purchase(day(1)).purchase(day(2), recurring=True).facts().purchases
    assert (bought["count"], bought["days"]) == (2, 1)
    assert days.unpack(bought["recurring_day_set"]) == [(20_456, day(2), day(2))]  # 2026-01-03


def test_customers_without_such_events_carry_nothing_for_them() -> None:
    history = History().page(day(1)).purchase(day(2))
    facts = history.facts()
    assert [facts.complaints, facts.contracts, facts.satisfaction] == [{}, {}, {}]
    assert "recurring_day_set" not in facts.purchases


def test_what_was_bought_next_looks_at_the_bounds_of_each_day_and_at_recurring_charges() -> None:
    bought = History().purchase(day(1)).purchase(day(1.5)).purchase(day(3), recurring=True).facts().purchases
    asked = (day(0), day(1), day(1) + 1, day(1.5) + 1, day(3) + 1)
    assert [purchases.bought_from_us(bought, us) for us in asked] == [day(1), day(1), day(1.5), day(3), None]
    assert purchases.bought_from_us({}, day(0)) is None
    assert purchases.came_back_us({}, day(0)) is None


def test_answers_since_an_instant_are_those_at_it_or_later_the_latest_first() -> None:
    history = History().answered(day(1), csat=1).answered(day(2), nps=0).answered(day(3), csat=5, nps=10)
    for number in (4, 5, 6, 7):
        history.answered(day(number), csat=3)
    facts = history.facts().satisfaction
    every: list[satisfaction.Values] = [(day(number), 3, None) for number in (7, 6, 5, 4)]
    every += [(day(3), 5, 10), (day(2), None, 0), (day(1), 1, None)]
    for us in (0, day(1), day(1) + 1, day(3), day(5), day(7), day(7) + 1):
        assert satisfaction.values_since(facts, us) == [values for values in every if values[0] >= us]
    assert satisfaction.values_since({}, 0) == []


def test_a_case_has_ended_before_an_instant_when_its_last_transition_closed_it() -> None:
    closed = History().case("opened", day(1)).case("closed", day(2)).facts().complaints["c-1"]
    assert complaints.ended_before(closed, day(2) + 1)
    assert not complaints.ended_before(closed, day(2))
    opened = History().case("opened", day(1)).case("closed", day(2)).case("reopened", day(3)).facts().complaints["c-1"]
    assert not complaints.ended_before(opened, day(9))
