"""The benchmark's topic is what its report says it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from benchmarks.workload import Published, Record, Scenario, Shape, Workload
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy

SMALL = Shape(events=3_000, customers=200)


def records(shape: Shape) -> tuple[list[Record], list[Record]]:
    workload = Workload(shape)
    return list(workload.first_pass()), list(workload.measured())


def named(stretch: Sequence[Record]) -> set[str]:
    return {i["value"] for record in stretch for i in orjson.loads(record.value)["data"]["identifiers"]}


def test_the_same_seed_gives_the_same_records() -> None:
    assert records(SMALL) == records(SMALL)
    assert records(SMALL) != records(replace(SMALL, seed=2))


# What the mixed catalogue names is proved in test_mixed.
@pytest.mark.parametrize("scenario", [scenario for scenario in Scenario if scenario is not Scenario.MIXED])
def test_every_record_is_an_event_that_the_codec_accepts(scenario: Scenario) -> None:
    codec = Codec(IdentityPolicy(), b"secret of the test, long enough for a key")
    first, measured = records(replace(SMALL, scenario=scenario))
    for record in first + measured:
        event = codec.decode(record.value, appended_at=datetime(2026, 1, 1, tzinfo=UTC))
        assert event.identifiers[0].value == record.customer
        assert not event.data_quality


def test_one_record_in_ten_is_a_copy_of_an_earlier_one() -> None:
    _, measured = records(SMALL)
    # 3,000 records, each a copy with probability 0.1: 300, give or take five times sqrt(3000 * 0.1 * 0.9) = 16.4.
    copies = len(measured) - len({record.number for record in measured})
    assert 218 <= copies <= 382
    assert len({record.value for record in measured}) == len(measured) - copies


def test_records_are_about_six_hundred_bytes() -> None:
    _, measured = records(SMALL)
    assert 550 <= sum(len(record.value) for record in measured) / len(measured) <= 650


def test_the_steady_state_names_nobody_who_is_not_known() -> None:
    first, measured = records(SMALL)
    assert named(measured) <= named(first)


def test_every_tenth_event_brings_a_new_link() -> None:
    first, measured = records(replace(SMALL, scenario=Scenario.NEW_LINKS))
    distinct = len({record.number for record in measured})
    # 2,700 events with probability 0.1: 270, give or take five times sqrt(2700 * 0.1 * 0.9) = 15.6.
    assert 0.1 * distinct - 78 <= len(named(measured) - named(first)) <= 0.1 * distinct + 78


def test_every_event_can_bring_a_customer_of_its_own() -> None:
    first, measured = records(replace(SMALL, scenario=Scenario.ALL_NEW))
    assert len(named(measured) - named(first)) == 2 * len({record.number for record in measured})


def test_a_window_touches_no_more_customers_than_it_may() -> None:
    shape = replace(SMALL, customers=2_000, window=500, per_window=20, duplicate_percent=0)
    _, measured = records(shape)
    assert [len({r.customer for r in measured[at : at + 500]}) for at in range(0, 3_000, 500)] == [20] * 6


def test_two_stretches_with_other_numbers_share_no_event() -> None:
    _, measured = records(SMALL)
    _, earlier = records(replace(SMALL, first_number=3_000))
    assert {r.number for r in measured}.isdisjoint({r.number for r in earlier})


def test_the_answer_counts_each_event_once_and_only_what_was_applied() -> None:
    published = Published(2)
    for partition, number, cents, customer in (
        (0, 1, 250, "ann"),
        (1, 2, 0, "bo"),
        (0, 1, 250, "ann"),
        (1, 3, 1_000, "bo"),
    ):
        published.add(Record(partition, b"", b"", number, cents, customer))
    assert published.ends() == {0: 2, 1: 2}
    assert published.answer({0: 2, 1: 2}) == (3, 1_250, 2)
    assert published.answer({0: 2, 1: 1}) == (2, 250, 2)
    assert published.answer({0: 1, 1: 0}) == (1, 250, 1)


def test_an_event_of_no_customer_is_a_row_and_no_customer() -> None:
    published = Published(1)
    for number, customer in ((1, "ann"), (2, None), (3, None)):
        published.add(Record(0, b"", b"", number, 0, customer))
    assert published.answer({0: 3}) == (3, 0, 1)
    assert published.answer({0: 2}) == (2, 0, 1)


@pytest.mark.parametrize("scenario", [Scenario.STEADY, Scenario.MIXED])
def test_the_answer_is_what_the_records_say(scenario: Scenario) -> None:
    published = Published(SMALL.partitions)
    first, measured = records(replace(SMALL, scenario=scenario))
    for record in first + measured:
        published.add(record)
    events = {record.number: orjson.loads(record.value) for record in first + measured}
    totals = [event["data"]["total"]["amount"] for event in events.values() if event["type"] == "purchase.completed.v1"]
    cents = sum(int(total.replace(".", "")) for total in totals)
    assert published.answer(published.ends()) == (len(events), cents, SMALL.customers)
