"""Partial states on real tables: whatever happens while they are built, a history read with them is the history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from partial_table import Cut, assert_histories_agree, build, builder, folded_history, make_due, parts_of, read_history
from two_hands import Table, event

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.postgres.partial_builder import Built
from customer_timeline.schemas.decoded import to_micros

FIRST_OF_2025_US = to_micros(datetime(2025, 1, 1, tzinfo=UTC))
ANN, BOB = "email:ann@x.test", "email:bob@x.test"
USD = {"amount": "12.50", "currency": "USD"}


def day(number: float) -> int:
    """The instant `number` days into 2025."""
    return FIRST_OF_2025_US + int(number * DAY_US)


NOW_US = day(100)  # the 11th of April: January to March have settled


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    table = Table(database)
    yield table
    table.close()


def id_of(table: Table, value: str) -> str:
    return str(table.query("SELECT identifier_id::text FROM identifier WHERE value = %s", value)[0][0])


def ann(table: Table) -> str:
    return id_of(table, "ann@x.test")


def visits(who: str, *days: float) -> list[bytes]:
    return [event(f"{who}-{number}", number, who) for number in days]


def spans(table: Table) -> list[tuple[str, int, int | None]]:
    """Kind, days into 2025 at the beginning, events; None for a hole."""
    rows = table.query("SELECT span, begins_at, events, facts IS NULL FROM partial_state ORDER BY begins_at, span")
    return [(span, (to_micros(at) - FIRST_OF_2025_US) // DAY_US, None if hole else n) for span, at, n, hole in rows]


def due(table: Table) -> Any:
    return table.query("SELECT partial_due_us FROM customer")[0][0]


def test_closed_months_are_folded_and_days_where_a_month_is_heavy(table: Table) -> None:
    table.left.apply(*visits(ANN, 1, 2, 2.5, 40, 60, 61, 95))
    assert build(table, NOW_US) == 5
    # January has three events, more than two; February ends on the 59th day; April, with the 95th, has not ended.
    assert spans(table) == [("month", 0, 3), ("day", 1, 1), ("day", 2, 2), ("month", 31, 1), ("month", 59, 2)]
    assert due(table) == day(120.25)
    parts = parts_of(table, ann(table))
    assert (len(parts.partials), len(parts.events)) == (3, 1)
    # The 3rd of January at noon: the day before is known, that day is not folded.
    parts = parts_of(table, ann(table), Cut(day(2.5)))
    assert (len(parts.partials), len(parts.events)) == (1, 2)
    assert build(table, NOW_US) == 0


def test_a_late_event_opens_its_month_and_its_day_and_nothing_else(table: Table) -> None:
    table.left.apply(*visits(ANN, 1, 2, 2.5, 40))
    build(table, day(380))
    table.left.apply(event("late", 2.25, ANN))
    assert spans(table) == [("month", 0, None), ("day", 1, 1), ("day", 2, None), ("month", 31, 1)]
    # To be mended ten minutes after the log took it in: it takes in one record a second from 2026 on.
    assert due(table) == to_micros(datetime(2026, 1, 1, 0, 10, 4, tzinfo=UTC))
    assert read_history(table, ann(table)) == folded_history(table, ann(table))
    assert build(table, NOW_US) == 2
    table.check()


def test_an_event_after_the_last_partial_state_asks_nothing(table: Table) -> None:
    table.left.apply(*visits(ANN, 1, 40))
    build(table, NOW_US)
    table.left.apply(event("new", 60, ANN))
    assert None not in [events for _, _, events in spans(table)]
    assert due(table) == day(120.25)


def test_a_correction_opens_where_the_event_was_and_where_it_is_now(table: Table) -> None:
    table.left.apply(*visits(ANN, 1, 40, 70), *visits(BOB, 10, 41))
    build(table, NOW_US)
    table.right.apply(event(f"{ANN}-1", 42, BOB, revision=1))
    assert spans(table).count(("month", 0, None)) == 1  # Ann's January
    assert spans(table).count(("month", 31, None)) == 1  # Bob's February
    table.check()
    table.right.apply(event(f"{ANN}-40", 40, kind="event.retracted", revision=1))
    table.check()
    assert read_history(table, ann(table)) == folded_history(table, ann(table))


def test_a_worker_whose_event_the_builder_did_not_see_opens_the_span_again(table: Table) -> None:
    """Its row is in the timeline, its customer is not locked yet: the builder folds without it."""
    table.right.apply(*visits(ANN, 1, 40))
    with table.left.held("inserted", event("late", 2, ANN)):
        assert build(table, NOW_US) == 2
    assert spans(table) == [("month", 0, None), ("month", 31, 1)]
    assert read_history(table, ann(table)) == folded_history(table, ann(table))
    table.check()


def test_a_builder_leaves_a_customer_alone_whom_a_worker_holds(table: Table) -> None:
    """It has asked which spans are watched and was told none: one watched now would stay wrong."""
    table.right.apply(*visits(ANN, 1, 40))
    steps: list[str] = []
    make_due(table)
    with closing(builder(table, steps.append)) as one:
        with table.left.held("fenced", event("late", 2, ANN)):
            assert one.turn(NOW_US, 10) is None
        assert (steps, spans(table)) == ([], [])
    assert build(table, NOW_US) == 2
    assert read_history(table, ann(table)) == folded_history(table, ann(table))


def test_a_worker_that_takes_the_customer_while_events_are_counted_is_not_overtaken(table: Table) -> None:
    table.right.apply(*visits(ANN, 1, 40))
    with ExitStack() as worker:

        def meanwhile(step: str) -> None:
            if step == "counted":
                worker.enter_context(table.left.held("fenced", event("late", 2, ANN)))

        make_due(table)
        with closing(builder(table, meanwhile)) as one:
            # The worker holds the customer while the builder wants it.
            assert one.turn(NOW_US, 10) == Built(0, 0, 0)
    assert build(table, NOW_US) == 2
    assert read_history(table, ann(table)) == folded_history(table, ann(table))
    table.check()


@pytest.mark.parametrize("change", ["late event", "correction"])
def test_a_span_that_changed_while_it_was_folded_is_not_filled(table: Table, change: str) -> None:
    table.right.apply(*visits(ANN, 1, 40))
    done: list[str] = []

    def meanwhile(step: str) -> None:
        if step == "folded" and not done:
            done.append(change)
            if change == "late event":
                table.left.apply(event("late", 42, ANN))
            else:
                table.left.apply(event(f"{ANN}-40", 3, ANN, revision=1))

    make_due(table)
    with closing(builder(table, meanwhile)) as one:
        assert one.turn(NOW_US, 1) == Built(2, 0, 0)
        # The later one first; it was folded for nothing.
        assert one.turn(NOW_US, 1) == Built(0, 0, 1)
    assert ("month", 31, None) in spans(table)
    assert read_history(table, ann(table)) == folded_history(table, ann(table))
    build(table, NOW_US)
    assert read_history(table, ann(table)) == folded_history(table, ann(table))


class KilledError(Exception):
    """The builder ends here."""


@pytest.mark.parametrize("step", ["claimed", "counted", "watched", "folded", "filled"])
def test_what_a_killed_builder_left_is_finished_by_the_next(table: Table, step: str) -> None:
    def kill(reached: str) -> None:
        if reached == step:
            raise KilledError

    table.right.apply(*visits(ANN, 1, 2, 2.5, 40))
    with pytest.raises(KilledError):
        build(table, NOW_US, kill)
    table.right.apply(event("late", 2.25, ANN))
    assert read_history(table, ann(table)) == folded_history(table, ann(table))
    with closing(builder(table)) as other:
        # Others keep away as long as the lease lasts; whoever has watched everything gives it up.
        assert (other.turn(NOW_US, 10) is None) == (step != "watched")
        while other.turn(NOW_US + 60_000_000, 10) is not None:
            pass
    assert spans(table) == [("month", 0, 4), ("day", 1, 1), ("day", 2, 3), ("month", 31, 1)]
    assert read_history(table, ann(table)) == folded_history(table, ann(table))


def test_a_customer_that_is_merged_or_divided_takes_its_partial_states_along(table: Table) -> None:
    table.left.apply(*visits(ANN, 1, 40), *visits(BOB, 2, 41))
    build(table, NOW_US)
    names: dict[str, Any] = {
        key: {"kind": "email", "value": f"{value}@x.test"} for key, value in (("a", "ann"), ("b", "bob"))
    }
    table.right.apply(event("l", 50, kind="identity.linked", reason="one person", operator="op", **names))
    assert table.query("SELECT count(*), min(partial_until_us) FROM customer") == [(1, day(59))]
    # Known to whoever writes next: the row of the customer says it.
    table.right.apply(event("late", 3, BOB))
    assert spans(table).count(("month", 0, None)) == 1
    assert read_history(table, ann(table)) == folded_history(table, ann(table))
    table.left.apply(event("l", 51, kind="event.retracted", revision=1))
    assert table.query("SELECT count(*), min(partial_until_us) FROM customer") == [(2, day(59))]
    table.check()
    table.left.apply(event("later", 4, ANN))
    assert spans(table).count(("month", 0, None)) == 2
    table.check()


@pytest.mark.parametrize("owner_first", [True, False])
def test_an_order_that_changes_hands_takes_its_partial_states_along(table: Table, owner_first: bool) -> None:
    def bought(name: str, number: float, who: str) -> bytes:
        return event(name, number, who, kind="purchase.completed", order_id="o1", total=USD)

    deliveries = [event(f"d{n}", n, kind="delivery.completed", order_id="o1") for n in (3, 33)]
    table.left.apply(*visits(BOB, 5), bought("p1", 2, ANN), *deliveries)
    build(table, NOW_US)
    assert ("month", 31, 1) in spans(table)  # the delivery in February
    # Bob had named the order before: it was his.
    table.right.apply(bought("p0", 1, BOB))
    if not owner_first:
        # Taken back, and the other as well: it is nobody's.
        for name in ("p0", "p1"):
            table.left.apply(event(name, 1, kind="event.retracted", revision=1))
    table.left.apply(event("late", 34, kind="delivery.completed", order_id="o1"))
    assert ("month", 31, None) in spans(table)
    assert read_history(table, id_of(table, "bob@x.test")) == folded_history(table, id_of(table, "bob@x.test"))
    table.check()
    table.right.apply(bought("p2", 0.5, ANN))
    table.check()
    assert read_history(table, ann(table)) == folded_history(table, ann(table))


def test_what_was_recorded_later_is_no_part_of_what_was_known(table: Table) -> None:
    table.left.apply(*visits(ANN, 1, 2, 40))
    table.left.apply(event("late", 1.5, ANN))
    build(table, NOW_US)
    known_us = to_micros(datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC))
    parts = parts_of(table, ann(table), Cut(known_at_us=known_us))
    # January, and in it the second day, hold what was recorded before and after; the third day and February do not.
    assert (len(parts.partials), len(parts.events)) == (2, 1)
    for cut in (Cut(known_at_us=known_us), Cut(day(2), known_us), Cut(day(1.5), known_us - 5_000_000)):
        assert read_history(table, ann(table), cut) == folded_history(table, ann(table), cut)


def test_spans_cut_by_other_rules_of_the_time_zone_do_no_harm(table: Table) -> None:
    """A release brings other rules for the zone: rows of before do not end where the calendar says now."""
    table.left.apply(*visits(ANN, 1, 30.9, 31.02, 40, 58.99, 59.01, 59.5))
    build(table, NOW_US)
    table.execute("DELETE FROM partial_state WHERE span = 'day' OR begins_at = '2025-02-01'")
    table.execute("UPDATE partial_state SET begins_at = begins_at + interval '1 hour' WHERE begins_at > '2025-02-01'")
    table.execute("UPDATE partial_state SET facts = NULL")
    assert build(table, NOW_US) > 0
    for number in (30.9, 31.01, 58.995, 59.005, 59.02):
        table.left.apply(event(f"late-{number}", number, ANN))
        assert read_history(table, ann(table)) == folded_history(table, ann(table))
        build(table, NOW_US)
        for at in (31, 59, 59.03):
            cut = Cut(day(at))
            assert read_history(table, ann(table), cut) == folded_history(table, ann(table), cut)


def test_tables_of_another_version_are_left_alone(table: Table) -> None:
    table.left.apply(*visits(ANN, 1, 40))
    table.execute("UPDATE projection_meta SET projection_version = 'other'")
    assert build(table, NOW_US) == 0
    assert spans(table) == []


def test_agreement_is_checked_by_what_it_says(table: Table) -> None:
    """A wrong partial state is found: the comparison reads it."""
    table.left.apply(*visits(ANN, 1, 40))
    build(table, NOW_US)
    assert_histories_agree(table, Random(1))
    table.execute("UPDATE partial_state SET facts = (SELECT facts FROM partial_state ORDER BY begins_at LIMIT 1)")
    with pytest.raises(AssertionError):
        assert_histories_agree(table, Random(1))
