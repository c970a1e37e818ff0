"""A replaced record and what it said of identity: histories are read only where it was the first to say something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from two_hands import Table, event

MEMBER, OTHER, ANN, BOB = "member_id:M-1", "member_id:M-2", "email:ann@x.test", "email:bob@x.test"


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    """Three events of one customer; the middle one is neither the first of a value nor of a pair."""
    table = Table(database)
    table.left.apply(event("first", 1, f"{MEMBER} {ANN}"), event("middle", 2, f"{MEMBER} {ANN}"))
    table.right.apply(event("last", 3, f"{MEMBER} {ANN}"))
    yield table
    table.close()


def looked_back(table: Table, *values: bytes) -> bool:
    """Whether the worker read histories to apply the records; they end in what the whole log says."""
    table.left.steps.clear()
    table.left.apply(*values)
    table.check()
    return "looked_back" in table.left.steps


@pytest.mark.parametrize("who", [f"{MEMBER} {ANN}", f"{OTHER} {ANN}", f"{MEMBER} {BOB}", f"{BOB}", f"{OTHER} {BOB}"])
@pytest.mark.parametrize("day", [0.5, 2, 2.5, 4])
def test_a_correction_of_what_was_not_first_reads_no_history(table: Table, who: str, day: float) -> None:
    assert not looked_back(table, event("middle", day, who, revision=1))


def test_a_retraction_of_what_was_not_first_reads_no_history_and_is_taken_back_without(table: Table) -> None:
    assert not looked_back(table, event("middle", 2, kind="event.retracted", revision=1))
    assert not looked_back(table, event("middle", 2, f"{MEMBER} {ANN}", revision=2))


@pytest.mark.parametrize("who", [f"{MEMBER} {ANN}", f"{OTHER} {ANN}", f"{MEMBER} {BOB}"])
def test_a_correction_of_the_first_reads_who_is_the_first_now(table: Table, who: str) -> None:
    assert looked_back(table, event("first", 2.5, who, revision=1))


def test_the_first_and_another_in_one_batch_are_both_replaced(table: Table) -> None:
    assert looked_back(
        table,
        event("first", 1, kind="event.retracted", revision=1),
        event("middle", 3.5, f"{MEMBER} {ANN} {BOB}", revision=1),
        event("new", 0.2, f"{MEMBER} {BOB}"),
    )


def test_what_a_replaced_record_hid_is_found_again(table: Table) -> None:
    table.left.apply(event("early", 0.5, f"{OTHER} {ANN}"), event("later", 1.5, f"{OTHER} {ANN}"))
    assert looked_back(table, event("early", 0.5, BOB, revision=1))
    rows = table.query("SELECT count(*) FROM link JOIN identifier i ON i.identifier_id = other_id WHERE kind = 'email'")
    assert rows == [(2,)]
