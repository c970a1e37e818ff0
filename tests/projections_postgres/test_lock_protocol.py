"""The lock protocol, interleaving by interleaving: without one of its steps, each loses or doubles something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from two_hands import Table, event

PHONE = "phone:+12025550123"


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    table = Table(database)
    yield table
    table.close()


@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "looked-up"])
def test_a_waiter_on_a_row_that_is_merged_away_follows_to_the_winner(table: Table, remembered: bool) -> None:
    """It gets no row from the lock, or an id that no longer resolves to what it locked."""
    (table.right if remembered else table.left).apply(
        event("e1", 1, "email:a@x.test"), event("e2", 2, "email:b@x.test")
    )
    with table.left.held("fenced", event("e3", 3, "member_id:m email:a@x.test email:b@x.test")):
        waiting = table.right.start(event("e4", 4, "email:b@x.test"), event("e5", 5, "email:a@x.test"))
        table.right.wait_until_blocked()
    waiting.result()
    assert table.customers() == 1
    table.check()


def test_a_waiter_on_the_winner_of_a_merge_sees_the_facts_of_both(table: Table) -> None:
    table.right.apply(event("e1", 1, "email:a@x.test"), event("e2", 2, "email:b@x.test"))
    with table.left.held("fenced", event("e3", 3, "member_id:m email:a@x.test email:b@x.test")):
        waiting = table.right.start(event("e4", 4, "email:a@x.test"))
        table.right.wait_until_blocked()
    waiting.result()
    table.check()


def test_an_event_that_two_workers_bring_at_once_is_written_and_folded_once(table: Table) -> None:
    """The second one has looked for it in vain before it waits for the first one's row."""
    both = event("e1", 1, "email:a@x.test")
    with table.left.held("fenced", both):
        waiting = table.right.start(event("e2", 2, "email:a@x.test"), both, event("e3", 3, "email:b@x.test"))
        table.right.wait_until_blocked()
    outcome = waiting.result()
    assert (outcome.events, outcome.duplicates, outcome.dead_letters) == (2, 1, {})
    table.check()


def test_of_two_records_of_an_event_brought_at_once_the_one_with_the_higher_revision_counts(table: Table) -> None:
    with table.left.held("fenced", event("e1", 1, "email:a@x.test")):
        waiting = table.right.start(event("e2", 2, "email:a@x.test"), event("e1", 3, "email:b@x.test", revision=1))
        table.right.wait_until_blocked()
    outcome = waiting.result()
    assert (outcome.events, outcome.replaced, outcome.dead_letters) == (1, 1, {})
    table.check()


def test_two_workers_with_the_same_new_identifier_end_with_one_customer(table: Table) -> None:
    """Inserted last, the one would not see the other's identifier and the two would stay apart."""
    with table.left.held("claimed", event("e1", 1, f"email:a@x.test {PHONE}")):
        waiting = table.right.start(event("e2", 2, f"email:b@x.test {PHONE}"))
        table.right.wait_until_blocked()
    waiting.result()
    assert table.customers() == 1
    table.check()


def test_an_identifier_claimed_by_another_is_read_in_a_new_statement(table: Table) -> None:
    """The statement that waited for the claim does not see the row that it waited for."""
    with table.left.held("fenced", event("e1", 1, f"email:a@x.test {PHONE}")):
        waiting = table.right.start(event("e2", 2, PHONE))
        table.right.wait_until_blocked()
    waiting.result()
    assert table.customers() == 1
    table.check()


def test_an_identifier_claimed_before_a_merge_is_repointed_by_its_claimer(table: Table) -> None:
    """The merge cannot see it yet, so repointing what belongs to the loser misses it."""
    table.right.apply(event("e1", 1, "email:a@x.test"), event("e2", 2, "email:b@x.test"))
    with table.left.held("claimed", event("e3", 3, f"email:b@x.test {PHONE}")):
        table.right.apply(event("e4", 4, "member_id:m email:a@x.test email:b@x.test"))
    assert table.customers() == 1
    table.check()


def test_a_contested_component_that_grows_while_a_worker_waits_is_read_again(table: Table) -> None:
    """Locking the rows that were there when the wait began misses a customer added meanwhile."""
    table.right.apply(
        event("e1", 10, "member_id:m1 email:a@x.test"),
        event("e2", 20, "member_id:m2 email:a@x.test"),
        event("e3", 5, "member_id:m3 email:c@x.test"),
    )
    with table.left.held("fenced", event("e4", 15, "member_id:m3 email:a@x.test")):
        # Earlier than all others: m2 has the email, and the others are refused, the new one included.
        waiting = table.right.start(event("e5", 1, "member_id:m2 email:a@x.test"))
        table.right.wait_until_blocked()
    waiting.result()
    table.check()


def test_a_customer_joined_to_a_contested_component_meanwhile_is_locked_as_well(table: Table) -> None:
    table.right.apply(event("e1", 10, "member_id:m1 email:a@x.test"), event("e2", 20, "member_id:m2 email:a@x.test"))
    with table.left.held("fenced", event("e3", 30, f"member_id:m2 {PHONE}")):
        waiting = table.right.start(event("e4", 1, "member_id:m2 email:a@x.test"))
        table.right.wait_until_blocked()
    waiting.result()
    table.check()


def test_a_value_becomes_shared_whoever_brings_the_link_too_many(table: Table) -> None:
    table.right.apply(*(event(f"e{n}", n, f"member_id:m{n} {PHONE}") for n in range(5)))
    with table.left.held("fenced", event("e6", 6, f"member_id:m6 {PHONE}")):
        waiting = table.right.start(event("e7", 7, f"member_id:m7 {PHONE}"))
        table.right.wait_until_blocked()
    waiting.result()
    assert table.query("SELECT shared FROM identifier WHERE kind = 'phone'") == [(True,)]
    table.check()


def test_workers_that_name_a_shared_value_do_not_wait_for_each_other(table: Table) -> None:
    for hand in (table.left, table.right):
        who = hand.partition
        hand.apply(*(event(f"e{who}-{n}", n, f"member_id:m{who}-{n} {PHONE}") for n in range(7)))
    table.right.apply(event("r", 20, f"member_id:m1-0 {PHONE}"))
    with table.left.held("fenced", event("l", 21, f"member_id:m0-0 {PHONE}")):
        table.right.apply(event("r2", 22, f"member_id:m1-1 {PHONE}"))
    table.check()


@pytest.mark.parametrize("first", ["retraction", "event"])
def test_evidence_that_is_withdrawn_is_not_remembered_by_another_worker(table: Table, first: str) -> None:
    table.right.apply(event("e1", 1, f"member_id:m {PHONE}"), event("e2", 3, "member_id:m"), event("e3", 4, PHONE))
    retraction = event("e1", 9, kind="event.retracted", revision=1)
    later = event("e4", 5, f"member_id:m {PHONE}")
    if first == "retraction":
        with table.left.held("fenced", retraction):
            waiting = table.right.start(later)
            table.right.wait_until_blocked()
    else:
        with table.right.held("fenced", later):
            waiting = table.left.start(retraction)
            table.left.wait_until_blocked()
    waiting.result()
    assert table.customers() == 1
    table.check()


def test_a_sighting_that_is_withdrawn_is_not_remembered_where_nothing_else_is_locked(table: Table) -> None:
    """The shared value's own customer is locked by nobody who names it."""
    table.right.apply(*(event(f"e{n}", 10 + n, f"member_id:m{n} {PHONE}") for n in range(7)))
    with table.left.held("fenced", event("e0", 50, kind="event.retracted", revision=1)):
        waiting = table.right.start(event("e9", 10, f"member_id:m3 {PHONE}"))
        table.right.wait_until_blocked()
    waiting.result()
    table.check()


@pytest.mark.parametrize("first", ["delivery", "purchase"])
def test_an_order_finds_its_owner_whichever_worker_commits_first(table: Table, first: str) -> None:
    """An event that sees no owner yet and an event that brings it must not miss each other."""
    delivery = event("d", 2, kind="delivery.completed", order_id="o1")
    money = {"amount": "12.50", "currency": "USD"}
    purchase = event("p", 1, "email:a@x.test", kind="purchase.completed", order_id="o1", total=money)
    one, other = (delivery, purchase) if first == "delivery" else (purchase, delivery)
    with table.left.held("fenced", one):
        waiting = table.right.start(other)
        table.right.wait_until_blocked()
    waiting.result()
    assert table.query("SELECT events FROM customer") == [(2,)]
    table.check()


def test_a_decision_and_a_touchpoint_about_the_same_customers_take_turns(table: Table) -> None:
    table.right.apply(event("e1", 1, "member_id:m1"), event("e2", 2, "member_id:m2"))
    names: dict[str, Any] = {key: {"kind": "member_id", "value": value} for key, value in (("a", "m1"), ("b", "m2"))}
    linked = event("l", 3, kind="identity.linked", reason="one person", operator="op", **names)
    with table.left.held("fenced", linked):
        waiting = table.right.start(event("e3", 4, f"member_id:m2 {PHONE}"))
        table.right.wait_until_blocked()
    waiting.result()
    assert table.customers() == 1
    table.check()


def test_what_is_remembered_of_one_identifier_is_not_made_valid_by_reading_another(table: Table) -> None:
    """Found by three workers on shuffled logs: the customer's gen was learnt again through its other identifier."""
    table.right.apply(event("e1", 1, f"member_id:m {PHONE}"), event("e2", 3, f"member_id:m {PHONE}"))
    table.left.apply(event("e1", 9, kind="event.retracted", revision=1))
    table.right.apply(event("e3", 4, "member_id:m"))
    table.right.apply(event("e4", 2, f"{PHONE}"))
    table.check()
