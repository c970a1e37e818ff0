"""The mixed catalogue has every family in plausible shares, lives that end, and events that name only a thing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import orjson
import pytest

from benchmarks.event_data import email, user_id
from benchmarks.mixed import BEGINNINGS, LIVES
from benchmarks.mixed_data import DATA
from benchmarks.workload import Record, Scenario, Shape, Workload
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.touchpoint import Decision
from customer_timeline.schemas.touchpoints.case import Case

MIXED = Shape(events=20_000, customers=500, scenario=Scenario.MIXED)


@cache
def stretch() -> tuple[tuple[Record, ...], tuple[DecodedEvent, ...]]:
    """Records of the measured stretch in order, and each of its events once, by number, as the codec reads it."""
    workload = Workload(MIXED)
    for _record in workload.first_pass():
        pass
    records = tuple(workload.measured())
    codec = Codec(IdentityPolicy(), b"secret of the test, long enough for a key")
    distinct = {record.number: record.value for record in records}
    appended_at = datetime(2026, 1, 1, tzinfo=UTC)
    return records, tuple(codec.decode(distinct[number], appended_at=appended_at) for number in sorted(distinct))


def percent(*beginnings: str) -> float:
    _, events = stretch()
    return 100 * sum(event.type.startswith(beginnings) for event in events) / len(events)


def test_the_same_seed_gives_the_same_mixed_records() -> None:
    small = replace(MIXED, events=2_000)
    assert list(Workload(small).measured()) == list(Workload(small).measured())
    assert list(Workload(small).measured()) != list(Workload(replace(small, seed=2)).measured())


def test_mixed_records_are_about_six_hundred_bytes() -> None:
    records, _ = stretch()
    assert 500 <= sum(len(record.value) for record in records) / len(records) <= 700


def test_every_type_that_is_traffic_appears_and_nothing_is_dropped_from_any_event() -> None:
    traffic = {name for name, data in CATALOGUE.items() if not issubclass(data, Decision)}
    _, events = stretch()
    assert {event.type for event in events} == traffic
    assert {f"{stem}.v1" for stem in DATA} == traffic
    assert not [event for event in events if event.data_quality]


@pytest.mark.parametrize(
    ("beginnings", "least", "most"),
    [
        (("page.", "app.", "form.", "file."), 43, 47),
        (("email.",), 18, 22),
        (("order.", "purchase.", "payment.", "delivery.", "coupon."), 6.5, 9.5),
        (("call.", "message.", "chat."), 4, 6),
        (("complaint.", "request."), 3, 5),
        (("survey.", "contract.", "loyalty.", "referral.", "location.", "followup."), 6, 12),
        (("consent.", "preference.", "campaign.", "social.", "visit.", "profile."), 5, 10),
        (("content.", "campaign.cost", "article.", "improvement."), 0.4, 1.2),
    ],
)
def test_families_have_plausible_shares(beginnings: tuple[str, ...], least: float, most: float) -> None:
    assert least <= percent(*beginnings) <= most


def test_beginnings_and_what_follows_them_add_up_to_all_events() -> None:
    following = 0.0
    for stem, lives in LIVES.items():
        assert sum(chance for chance, _ in lives) == 100
        following += BEGINNINGS[stem] * sum(chance * len(life) for chance, life in lives) / 100
    assert sum(BEGINNINGS.values()) + following == pytest.approx(100, abs=1)


def test_events_name_only_who_the_first_pass_made_known() -> None:
    records, events = stretch()
    known = {name(customer) for name in (user_id, email) for customer in range(MIXED.customers)}
    assert {identifier.value for event in events for identifier in event.identifiers} <= known
    customer_of = {record.number: record.customer for record in records}
    for number, event in enumerate(events):
        assert (customer_of[number] is None) == (not event.identifiers and not event.things)
        if event.identifiers and event.identifiers[0].kind == "user_id":
            assert event.identifiers[0].value == customer_of[number]


def test_a_thing_without_a_person_is_one_that_its_customer_began() -> None:
    records, events = stretch()
    customer_of = {record.number: record.customer for record in records}
    owner: dict[str, str | None] = {}
    bare = 0
    for number, event in enumerate(events):
        for thing in event.things:
            assert owner.setdefault(thing.thing_id, customer_of[number]) == customer_of[number]
        bare += bool(event.things) and not event.identifiers
    assert 0.03 <= bare / len(events) <= 0.10  # carriers know the order only


def test_a_case_is_lived_through_to_its_end_and_sometimes_reopened() -> None:
    _, events = stretch()
    lives: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event.data, Case):
            lives.setdefault(event.data.case_id, []).append(event.type.split(".")[1])
    assert all(life[0] == "opened" for life in lives.values())
    ends = Counter(life[-1] for life in lives.values())
    assert ends["closed"] > ends["assigned"] > 0  # most are closed, some nobody ends
    assert any("reopened" in life and life[-1] == "closed" for life in lives.values())


def test_a_purchase_of_an_order_is_its_total() -> None:
    records, _ = stretch()
    totals: dict[str, str] = {}
    purchases = 0
    for record in {record.number: record for record in records}.values():
        event = orjson.loads(record.value)
        if event["type"] == "order.placed.v1":
            totals[event["data"]["order_id"]] = event["data"]["total"]["amount"]
        elif event["type"] == "purchase.completed.v1":
            total = event["data"]["total"]["amount"]
            assert totals.get(event["data"]["order_id"], total) == total
            assert record.cents == int(total.replace(".", ""))
            purchases += event["data"]["order_id"] in totals
        else:
            assert record.cents == 0
    assert purchases > 50
