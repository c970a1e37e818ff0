"""A customer's story, told from the API's answers: from the documented examples, and from those about the demo."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from demo_customers import Customers, DemoCustomer, demo_customers, identifier_id

from customer_timeline.api import examples
from customer_timeline.api.answers import customer_answer
from customer_timeline.api.lifecycle import Assessment, lifecycle_answer
from customer_timeline.projections.lifecycle import stage_schedule
from customer_timeline.projections.reading import CustomerRecord, EventAt, TimelineReader
from customer_timeline.runtime.personas import HIGHLIGHTS
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.stories import Told, story
from customer_timeline.runtime.wiring import customer_projection
from customer_timeline.schemas.decoded import to_micros

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
ANN = Told("email:ann@example.com", examples.CUSTOMER, examples.LIFECYCLE)


class _OneCustomer:
    """Reads one customer; the events behind instants are not there to be found."""

    def __init__(self, record: CustomerRecord) -> None:
        self._record = record

    async def customer(self, identifier_id: str) -> CustomerRecord:
        return self._record

    async def events_at(self, identifier_id: str, instants_us: Collection[int]) -> Sequence[EventAt]:
        return ()


def _assessment() -> Assessment:
    settings = Settings()
    return Assessment(customer_projection(settings), settings.stages, settings.alive)


def _told(customer: DemoCustomer, ref: str, at_us: int) -> Told:
    by = _assessment()
    reader = cast(TimelineReader, _OneCustomer(customer.record))
    answer = asyncio.run(lifecycle_answer(reader, customer.customer_id, by, at_us, reads=1))
    assert answer is not None
    return Told(ref, json.loads(customer_answer(customer.record, by.projection).body), json.loads(answer.body))


def _lines(customers: Customers, number: int) -> list[str]:
    highlight, at_us = HIGHLIGHTS[number], to_micros(UNTIL)
    told = [_told(customers[identifier_id(ref)], ref, at_us) for ref in (highlight.ref, *highlight.beside)]
    return story(told[0], told[1:])


@pytest.fixture(scope="module")
def customers() -> Customers:
    return demo_customers(60, UNTIL)


def test_the_documented_example_is_told_in_lines() -> None:
    purchase = examples.LIFECYCLE["reasons"][0]["events"][0]["event_ids"][0]
    assert story(ANN) == [
        "One customer by email, member_id: 3 events, 1 purchase on 1 day.",
        "at_risk since 2026-06-07: no sign of life since 2026-03-09, and 30 days is the limit.",
        f"Evidence: sign of life at 2026-03-09T17:05:12Z, event {purchase}.",
        "So far: prospect 2026-03-01 -> new 2026-03-09 -> at_risk 2026-06-07.",
        "If nothing happens: churned 2026-09-05.",
    ]


def test_another_reference_is_told_to_lead_to_the_same_customer_or_to_another() -> None:
    same = ANN._replace(ref="member_id:M-1001")
    other = Told("member_id:M-2", {**examples.CUSTOMER, "customer_id": "other"}, examples.LIFECYCLE)
    assert story(ANN, [same, other])[-2:] == [
        "member_id:M-1001 leads to the same customer.",
        "member_id:M-2 is another customer: at_risk since 2026-06-07: no sign of life since 2026-03-09, and 30 days "
        "is the limit.",
    ]


def test_a_customer_without_an_event_has_no_stage() -> None:
    nothing: dict[str, Any] = {"stage": None, "since": None, "until": None, "reasons": [], "history": []}
    lines = story(ANN._replace(lifecycle={**examples.LIFECYCLE, **nothing, "schedule": [], "p_alive": None}))
    assert lines[1:] == ["No event yet, so no stage."]


def test_a_rule_that_is_not_known_here_is_told_by_its_name_and_inputs() -> None:
    reason = {"of": "stage", "rule": "asleep", "inputs": {"nights": 3}, "events": []}
    lines = story(ANN._replace(lifecycle={**examples.LIFECYCLE, "reasons": [reason]}))
    assert lines[1] == "at_risk since 2026-06-07: asleep (nights 3)."


def test_the_silent_regular_is_told_with_the_day_of_churn(customers: Customers) -> None:
    # Last sign of life 2025-11-30 14:24; silent 80 days later, churned after 180.
    lines = _lines(customers, 1)
    assert lines[1] == (
        "at_risk since 2026-02-18: no sign of life since 2025-11-30, and 80 days is the limit, 2 times the usual gap."
    )
    assert "If nothing happens: churned 2026-05-29." in lines


def test_the_complaint_is_told_with_the_case_that_is_open(customers: Customers) -> None:
    lines = _lines(customers, 2)
    # 2025-06-03 16:48 is 270.3 days before the end.
    assert "Flag complaint_open: complaint open for 7 days or longer, desk:501 since 2025-06-03." in lines
    assert "If nothing happens: stays churned." in lines


def test_the_household_is_told_as_two_customers_with_one_telephone(customers: Customers) -> None:
    dana, phone = _lines(customers, 3)[-2:]
    assert dana.startswith("member_id:M-PARK-2 is another customer: new since 2026-01-19: first purchase")
    assert phone == "phone:+1 771 555 0177 leads to the same customer."


def test_every_entry_of_every_customer_of_the_demo_can_be_told(customers: Customers) -> None:
    by = _assessment()
    rules = set()
    for customer in {customer.customer_id for customer in customers.values()}:
        for entry in stage_schedule(customers[customer].facts, by.rules, by.projection.calendar):
            told = _told(customers[customer], "ref", entry.from_us)
            rules |= {reason["rule"] for reason in told.lifecycle["reasons"]}
            text = " ".join(story(told))
            assert "None" not in text
            assert "_at" not in text.replace("at_risk", "")
    assert {"at_risk_silent", "at_risk_complaint", "at_risk_unhappy", "churned_silent", "won_back", "dormant"} <= rules


def test_who_calls_every_month_is_active_all_the_time_of_the_contract(customers: Customers) -> None:
    # New for 90 days from the first signature on, 354.4 days before the end.
    assert _lines(customers, 4)[1].startswith("active since 2025-06-09: first signature on 2025-03-11")


def test_what_is_told_of_contracts_is_what_still_runs(customers: Customers) -> None:
    # 375 days after the end, 2026-03-01T00:00Z, by date.
    running = (UNTIL + timedelta(days=375)).date().isoformat()
    assert [line for line in _lines(customers, 4) if line.startswith("Contract")] == [
        f"Contract erp:K-2 runs until {running}."
    ]
