"""The law without Kafka: several workers' journals take turns on one database, in many small histories that repeat.

A history that went wrong is cut down and stays here, written out.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from direct_journal import DirectRun, drawn
from generators import Sent, Shape, seeded_log
from log_shapes import CROWDED, SPELLED, TINY, WIDE


def run(url: str, seed: int, shape: Shape) -> str:
    """One history: its log, its order, the workers, their batches and their turns are drawn from the seed."""
    return drawn(url, seeded_log(seed, shape), seed).difference()


@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
@pytest.mark.parametrize("seed", range(10))
def test_journals_taking_turns_leave_what_the_reference_says(database: str, shape: Shape, seed: int) -> None:
    assert run(database, seed, shape) == ""


@pytest.mark.parametrize("shape", [TINY, CROWDED, SPELLED], ids=["tiny", "crowded", "spelled"])
def test_digests_are_the_same_whatever_the_order(database: str, shape: Shape) -> None:
    log = seeded_log(5, shape)
    found = []
    for way in range(3):
        one = drawn(database, log, way)
        assert one.difference() == ""
        found.append(one.digests())
    assert found[1:] == found[:-1]


@pytest.mark.verify
@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
@pytest.mark.parametrize("block", range(10))
def test_journals_taking_turns_in_many_histories(database: str, shape: Shape, block: int) -> None:
    count = 20 if shape is WIDE else 60
    for seed in range(10_000 + block * count, 10_000 + (block + 1) * count):
        assert run(database, seed, shape) == "", f"seed {seed}"


def named(number: str, type_: str, time: str, data: dict[str, Any], *who: str) -> Sent:
    """An event at `time` (month-day) by `kind:value` identifiers."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": number,
        "source": "s",
        "type": f"{type_}.v1",
        "time": f"2024-{time}T00:00:00Z",
        "data": {
            **data,
            "channel": "web",
            "identifiers": [{"kind": i.rpartition(":")[0], "value": i.rpartition(":")[2]} for i in who],
        },
    }
    return Sent(json.dumps(event).encode())


def unlinked(number: str, time: str, a: str, b: str) -> Sent:
    """An operator's decision that two identifiers are two people."""
    ends = {end: {"kind": who.rpartition(":")[0], "value": who.rpartition(":")[2]} for end, who in (("a", a), ("b", b))}
    event = {
        "specversion": "1.0",
        "id": number,
        "source": "s",
        "type": "identity.unlinked.v1",
        "time": f"2024-{time}T00:00:00Z",
        "data": {"reason": "told on the phone", "operator": "ops", **ends},
    }
    return Sent(json.dumps(event).encode())


def page(number: str, time: str, *who: str) -> Sent:
    """A page view at `time` (month-day) by `kind:value` identifiers."""
    return named(number, "page.viewed", time, {"url": "https://example.com"}, *who)


def alternate(url: str, *log: tuple[int, Sent]) -> str:
    """The records in exactly this order, each a batch of its worker."""
    return DirectRun(url, log, [(worker, 1) for worker, _ in log] + [(0, 1)]).difference()


def test_a_first_sighting_that_another_worker_wrote_is_not_overwritten_by_a_later_one(database: str) -> None:
    """Worker 0 remembers July, worker 1 writes January, worker 0 sees March: less than July, but not than January."""
    assert (
        alternate(
            database,
            (0, page("1", "07-23", "email:ann@example.com")),
            (1, page("2", "01-29", "email:ann@example.com")),
            (0, page("3", "03-24", "email:ann@example.com")),
        )
        == ""
    )


def test_a_guessed_customer_of_a_new_identifier_draws_no_other_customer_into_a_decision(database: str) -> None:
    """One batch makes the phone shared and names new people: p9's customer was guessed for p1, and is no part of it."""
    first = [
        page("37", "04-18", "email:p4@example.com", "phone:+14155559000"),
        page("31", "08-05", "email:p7@example.com", "phone:+14155559000"),
        page("34", "06-22", "email:p3@example.com", "phone:+14155559000"),
        page("38", "08-26", "email:p9@example.com", "phone:+14155559001"),
    ]
    second = [
        page("36", "01-17", "email:p9@example.com", "phone:+14155559000"),
        page("32", "02-09", "email:p2@example.com", "phone:+14155559000"),
        page("26", "06-21", "email:p3@example.com", "email:p1@example.com"),
        page("35", "08-16", "email:p1@example.com", "phone:+14155559000"),
    ]
    log = [(0, sent) for sent in first] + [(1, sent) for sent in second]
    assert DirectRun(database, log, [(0, 4), (1, 4), (0, 1)]).difference() == ""


def test_a_new_identifier_guessed_to_be_a_known_customers_is_decided_by_its_links(database: str) -> None:
    """A worker started again takes p14's email for new (its id is the least of the three) and guesses that the others
    are that customer's; the decision about p4 reaches the customer through the phone.
    """
    first = page("1", "01-27", "email:p14@example.com", "phone:+14155559001")
    second = [
        page("2", "05-24", "open_id:wechat:wx-14", "email:p14@example.com", "phone:+14155552014"),
        page("3", "01-30", "email:p4@example.com", "phone:+14155559001"),
        page("4", "07-28", "open_id:wechat:wx-0", "email:p4@example.com"),
        unlinked("5", "08-29", "email:p0@example.com", "open_id:wechat:wx-0"),
    ]
    log = [(0, first), *((1, sent) for sent in second)]
    assert DirectRun(database, log, [(0, 1), (1, 4)]).difference() == ""


def test_a_value_that_another_worker_found_shared_glues_nobody_any_more(database: str) -> None:
    """Worker 0 remembers the phone as not shared: all links but the first broke the limit on member ids."""
    links = [page(str(n), f"02-{n:02d}", f"member_id:M{n}", "phone:+14155552671") for n in range(1, 8)]
    late = page("9", "01-01", "email:zoe@example.com", "phone:+14155552671")
    assert (
        alternate(database, *((1, link) for link in links[:1]), (0, links[1]), *((1, x) for x in links[2:]), (0, late))
        == ""
    )


def test_a_value_found_shared_while_it_was_alone_glues_nobody_at_a_worker_that_knew_it_before(database: str) -> None:
    """Worker 1 remembers the phone, alone in its customer, which it stays; then a copy recorded earlier comes in."""
    phone = "phone:+14155552671"
    links = [page(str(n), f"02-{n:02d}", f"email:p{n}@example.com", phone) for n in range(1, 7)]
    log = [(1, page("0", "01-01", phone)), (1, links[0]), *((0, link) for link in links)]
    assert DirectRun(database, log, [(1, 1), (0, 6), (1, 1)]).difference() == ""


def test_a_new_thing_may_follow_one_whose_owner_changes_in_the_same_batch(database: str) -> None:
    """The order's owner becomes an earlier one, and a case is named after the order for the first time."""
    log = [
        (0, named("1", "purchase.refunded", "04-16", REFUND, "phone:+14155552014")),
        (0, named("2", "complaint.opened", "06-09", {"case_id": "desk:7", "order_id": "shop:9", "theme": "late"})),
        (0, named("3", "delivery.completed", "03-14", {"order_id": "shop:9"}, "email:ann@example.com")),
    ]
    assert DirectRun(database, log, [(0, 1), (0, 2), (0, 1)]).difference() == ""


REFUND = {"order_id": "shop:9", "refund_id": "r1", "total": {"amount": "3.10", "currency": "EUR"}}
