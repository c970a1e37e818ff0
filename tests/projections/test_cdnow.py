"""The pure core held to published figures: the CDNOW purchases (runtime/data/cdnow/README.md names the source)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from folding import decoded, folded

from customer_timeline.projections import amounts, days
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.runtime.cdnow import OBSERVED_UNTIL, cdnow_events, cdnow_summary
from customer_timeline.schemas.decoded import EPOCH, DecodedEvent
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted

PROJECTION = CustomerProjection(BusinessCalendar("UTC"))


def by_customer(*, sample: bool, until: datetime | None = None) -> dict[str, list[DecodedEvent]]:
    histories: dict[str, list[DecodedEvent]] = defaultdict(list)
    for number, event in enumerate(cdnow_events(sample)):
        at = datetime.fromisoformat(event["time"])
        if until is not None and at.date() > until.date():
            continue
        who = event["data"]["identifiers"][0]["value"]
        histories[who].append(decoded(PurchaseCompleted, at, event["data"], number=number, identifiers=(who,)))
    return histories


@pytest.fixture(scope="module")
def master() -> dict[str, CustomerFacts]:
    return {who: folded(PROJECTION, history) for who, history in by_customer(sample=False).items()}


def test_all_customers_purchases_and_dollars_are_there(master: dict[str, CustomerFacts]) -> None:
    # Figures of the data's README, counted independently of this code.
    assert len(master) == 23_570
    assert sum(PROJECTION.columns(facts).purchases for facts in master.values()) == 69_659
    described = [PROJECTION.describe(facts)["purchases"] for facts in master.values()]
    assert sum(Decimal(shown["by_currency"]["USD"]["net"]) for shown in described) == Decimal("2500315.63")
    assert min(shown["first_at"] for shown in described) == "1997-01-01T12:00:00Z"
    assert max(shown["last_at"] for shown in described) == "1998-06-30T12:00:00Z"


def test_one_state_combined_from_all_customers_tells_the_same(master: dict[str, CustomerFacts]) -> None:
    whole = PROJECTION.initial()
    for facts in master.values():
        PROJECTION.combine(whole, facts)
    assert whole.purchases["count"] == 69_659
    assert whole.purchases["by_currency"]["USD"]["gross"] == "2500315.63"
    assert whole.purchases["days"] == 546  # 1997-01-01 to 1998-06-30: 365 + 181, and somebody bought on each
    assert len(whole.seen) == 23_570


def weeks(number_of_days: int) -> str:
    """Weeks as published: a float rounded to two decimals."""
    return str(round(number_of_days / 7, 2))


def frequency_recency_age(facts: CustomerFacts) -> tuple[str, str, str]:
    bought_on = days.day_numbers(facts.purchases["day_set"])
    until = OBSERVED_UNTIL.toordinal() - EPOCH.toordinal()
    return str(len(bought_on) - 1), weeks(bought_on[-1] - bought_on[0]), weeks(until - bought_on[0])


def test_frequency_recency_and_age_of_the_sample_equal_the_published_summary() -> None:
    until = datetime(OBSERVED_UNTIL.year, OBSERVED_UNTIL.month, OBSERVED_UNTIL.day, tzinfo=EPOCH.tzinfo)
    histories = by_customer(sample=True, until=until)
    published: dict[str, tuple[str, str, str]] = {
        f"cdnow:{row.customer}": (row.frequency, row.recency, row.age) for row in cdnow_summary()
    }
    assert len(published) == 2_357
    assert {who: frequency_recency_age(folded(PROJECTION, history)) for who, history in histories.items()} == published


def test_the_sample_s_events_are_events_of_the_master() -> None:
    master_events: dict[str, dict[str, Any]] = {event["id"]: event for event in cdnow_events(sample=False)}
    sample = list(cdnow_events(sample=True))
    assert len(master_events) == 69_659  # ids are unique
    assert len(sample) == 6_919
    assert all(master_events[event["id"]] == event for event in sample)


def test_eighty_purchases_cost_nothing_and_still_count() -> None:
    free = [event for event in cdnow_events(sample=False) if Decimal(event["data"]["total"]["amount"]) == 0]
    assert len(free) == 80
    assert {amounts.text_of(amounts.to_units(Decimal(event["data"]["total"]["amount"]))) for event in free} == {"0.00"}
