"""The sweeper on real tables: stages change with no event, are told once, and what is undone is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
from two_hands import SCHEMA, FetchedByHand, Table, event

from customer_timeline.projections.calendar import DAY_US, BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.journal import TransientStorageError
from customer_timeline.projections.postgres.sweep_store import SweepStore, Swept
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import to_micros

# The log of these tests takes in its first record at this instant, one more each second; events happen in 2025.
START_US = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
FIRST_OF_2025_US = to_micros(datetime(2025, 1, 1, tzinfo=UTC))
LAST_DAY_OF_2025 = 364
USD = {"amount": "10.00", "currency": "USD"}


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    table = Table(database)
    yield table
    table.close()


def sweeper(table: Table, rules: StageRules | None = None) -> SweepStore:
    return SweepStore(
        lambda: psycopg2.connect(table.url, options=f"-c search_path={SCHEMA} -c timezone=UTC"),
        CustomerProjection(BusinessCalendar("UTC")),
        rules or StageRules(),
        version="test-1",
    )


def purchase(name: str, day: int, who: str) -> bytes:
    return event(name, day, who, kind="purchase.completed", order_id=f"o-{name}", total=USD)


def day(number: float) -> int:
    """The instant `number` days into 2025."""
    return FIRST_OF_2025_US + int(number * DAY_US)


def changes(table: Table) -> list[tuple[Any, ...]]:
    return table.query(
        "SELECT kind, payload ->> 'stage', payload -> 'flags', payload -> 'previous' ->> 'stage' FROM outbox"
        " WHERE kind LIKE 'customer.stage%%' ORDER BY outbox_id"
    )


def column(table: Table, name: str) -> Any:
    ((value,),) = table.query(f"SELECT {name} FROM customer")
    return value


def test_a_stage_changes_at_the_right_instant_with_no_event(table: Table) -> None:
    table.left.apply(
        purchase("p1", LAST_DAY_OF_2025 - 100, "email:a@x.test"), purchase("p2", LAST_DAY_OF_2025, "email:a@x.test")
    )
    store = sweeper(table)
    # Silent for 100 days in between, the customer was at risk until that last purchase, a day ago.
    assert store.sweep(START_US, 10) == Swept(1, {"active": 1}, 0)
    # Two purchase days 100 days apart: the usual gap is 100 days, and silence begins after twice that.
    silent_us = day(LAST_DAY_OF_2025 + 200)
    assert column(table, "stage") == "active"
    assert column(table, "stage_until_us") == silent_us
    assert store.sweep(silent_us - 1, 10) == Swept(0, {}, 0)
    assert store.sweep(silent_us, 10) == Swept(1, {"at_risk": 1}, 0)
    assert changes(table) == [
        ("customer.stage_changed", "active", [], "at_risk"),
        ("customer.stage_changed", "at_risk", ["silent"], "active"),
    ]
    assert (column(table, "stage"), column(table, "flags"), column(table, "stage_from_us")) == (
        "at_risk",
        ["silent"],
        silent_us,
    )
    assert store.sweep(silent_us, 10) == Swept(0, {}, 0)
    # Churned after four times the gap; the same sweep may tell several things.
    assert store.sweep(day(LAST_DAY_OF_2025 + 500), 10) == Swept(1, {"churned": 1}, 0)
    assert column(table, "sweep_us") is None
    store.close()


def test_what_an_import_brings_is_history_and_is_not_told(table: Table) -> None:
    table.left.apply(purchase("p1", 0, "email:a@x.test"))
    store = sweeper(table)
    assert store.sweep(START_US + DAY_US, 10) == Swept(0, {}, 0)
    assert (column(table, "stage"), changes(table)) == ("churned", [])
    store.close()


def test_what_a_late_event_undoes_is_withdrawn_by_name_and_may_come_again(table: Table) -> None:
    table.left.apply(event("v1", LAST_DAY_OF_2025 - 20, "email:a@x.test"))
    store = sweeper(table)
    # A prospect is silent 30 days after the last sign of life: ten days into 2026.
    assert store.sweep(day(LAST_DAY_OF_2025 + 10), 10) == Swept(1, {}, 0)
    ((told,),) = table.query("SELECT announcement_id::text FROM stage_announcement")
    # It had been there on the last day of 2025, which nobody had said.
    table.left.apply(event("v2", LAST_DAY_OF_2025, "email:a@x.test"))
    assert store.sweep(day(LAST_DAY_OF_2025 + 11), 10) == Swept(1, {}, 1)
    assert table.query("SELECT payload ->> 'withdraws' FROM outbox WHERE kind = 'customer.stage_withdrawn'") == [
        (told,)
    ]
    # That visit is taken back: silence began when it had been said, and is told under another id.
    table.left.apply(event("v2", LAST_DAY_OF_2025, "email:a@x.test", kind="event.retracted", revision=1))
    assert store.sweep(day(LAST_DAY_OF_2025 + 12), 10) == Swept(1, {}, 0)
    assert table.query("SELECT from_us, n, withdrawn FROM stage_announcement ORDER BY n") == [
        (day(LAST_DAY_OF_2025 + 10), 0, True),
        (day(LAST_DAY_OF_2025 + 10), 1, False),
    ]
    assert table.query("SELECT count(*), count(DISTINCT change_id) FROM outbox WHERE change_id IS NOT NULL") == [(3, 3)]
    store.close()


def test_customers_that_become_one_keep_what_was_told_and_take_back_the_rest(table: Table) -> None:
    table.left.apply(
        event("v1", LAST_DAY_OF_2025 - 20, "email:a@x.test"), event("v2", LAST_DAY_OF_2025, "device_id:d1")
    )
    store = sweeper(table)
    assert store.sweep(day(LAST_DAY_OF_2025 + 10), 10).customers == 2
    assert len(changes(table)) == 2
    # The visitor of the last day was the same person: no silence ten days later.
    table.left.apply(event("v3", LAST_DAY_OF_2025 + 1, "email:a@x.test device_id:d1"))
    assert store.sweep(day(LAST_DAY_OF_2025 + 10), 10).withdrawn == 2
    assert table.customers() == 1
    table.check()
    store.close()


def test_two_sweepers_tell_everything_once(table: Table) -> None:
    for number in range(40):
        table.left.apply(event(f"v{number}", LAST_DAY_OF_2025 - 20, f"email:p{number}@x.test"))
    one, other = sweeper(table), sweeper(table)
    with psycopg2.connect(table.url, options=f"-c search_path={SCHEMA}") as held, held.cursor() as cursor:
        cursor.execute("SELECT customer_id FROM customer ORDER BY sweep_us LIMIT 10 FOR UPDATE")
        # Whom somebody else holds is passed over, without waiting.
        assert one.sweep(day(LAST_DAY_OF_2025 + 10), 15).customers == 15
        assert other.sweep(day(LAST_DAY_OF_2025 + 10), 50).customers == 15
    assert other.sweep(day(LAST_DAY_OF_2025 + 10), 50).customers == 10
    assert one.sweep(day(LAST_DAY_OF_2025 + 10), 50).customers == 0
    assert len(changes(table)) == 40
    one.close()
    other.close()


def test_a_sweep_that_is_cut_off_leaves_nothing_and_the_next_tells_all(table: Table) -> None:
    table.left.apply(event("v1", LAST_DAY_OF_2025 - 20, "email:a@x.test"))
    table.query(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    table.query("CREATE TRIGGER cut BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION fail()")
    store = sweeper(table)
    with pytest.raises(TransientStorageError):
        store.sweep(day(LAST_DAY_OF_2025 + 10), 10)
    assert (changes(table), column(table, "swept_us")) == ([], None)
    table.query("DROP TRIGGER cut ON customer")
    assert store.sweep(day(LAST_DAY_OF_2025 + 10), 10) == Swept(1, {}, 0)
    store.close()


def test_other_rules_assess_every_customer_again_and_take_back_what_no_longer_holds(table: Table) -> None:
    table.left.apply(event("v1", LAST_DAY_OF_2025 - 20, "email:a@x.test"))
    horizon = day(LAST_DAY_OF_2025 + 10)
    first = sweeper(table)
    assert first.sweep(horizon, 10).customers == 1
    assert len(changes(table)) == 1
    patient = sweeper(table, StageRules(silent_days=60))
    # While a worker with the rules of before was the last to start, it is right.
    assert patient.assess(horizon, 10) == 0
    table.query("UPDATE projection_meta SET rules = %s", patient_version := StageRules(silent_days=60).version)
    assert patient.assess(horizon, 10) == 1
    assert first.assess(horizon, 10) == 0
    assert patient.assess(horizon, 10) == 0
    assert patient.sweep(horizon, 10) == Swept(1, {}, 1)
    assert (column(table, "rules"), column(table, "flags")) == (patient_version, [])
    assert column(table, "stage_until_us") == day(LAST_DAY_OF_2025 + 40)
    first.close()
    patient.close()


def test_a_worker_that_is_behind_leaves_a_row_that_lists_find(table: Table) -> None:
    """Its present lies before that of one that is ahead: the row must hold until the sweeper comes all the same."""
    bought = [FetchedByHand(0, 0, day(150) // 1000, purchase("p1", 20, "email:a@x.test"))]
    mail = event("m1", 21, "email:a@x.test", kind="email.sent", message_id="m")
    table.left.submit(bought, {0: 0}).result()
    table.right.submit([FetchedByHand(1, 0, day(60) // 1000, mail)], {1: 0}).result()
    until_us, sweep_us = column(table, "stage_until_us"), column(table, "sweep_us")
    assert until_us is None or sweep_us <= until_us


def test_the_horizon_is_what_every_partition_has_passed(table: Table) -> None:
    store = sweeper(table)
    assert store.horizon_us("touchpoints", 2) is None
    table.left.apply(event("v1", 1, "email:a@x.test"))
    assert store.horizon_us("touchpoints", 1) == START_US
    assert store.horizon_us("touchpoints", 2) is None
    table.right.apply(event("v2", 1, "email:b@x.test"))
    assert store.horizon_us("touchpoints", 2) == START_US
    table.left.journal.pass_time("touchpoints", {0: datetime(2026, 2, 1, tzinfo=UTC)})
    assert store.horizon_us("touchpoints", 2) == START_US + 1_000_000
    assert store.horizon_us("touchpoints", 3) is None
    store.close()


def test_tables_of_another_version_are_left_alone(table: Table) -> None:
    table.left.apply(event("v1", 1, "email:a@x.test"))
    store = SweepStore(
        lambda: psycopg2.connect(table.url, options=f"-c search_path={SCHEMA}"),
        CustomerProjection(BusinessCalendar("UTC")),
        StageRules(),
        version="another",
    )
    assert store.horizon_us("touchpoints", 1) is None
    store.close()
