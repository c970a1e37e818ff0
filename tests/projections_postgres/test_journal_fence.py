"""The fence: who may move the offsets, and what a worker does with records that Postgres refuses."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from two_hands import TOPIC, Hand, Table, event

from customer_timeline.projections.journal import FencedError, RefusedError, TransientStorageError


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    table = Table(database)
    yield table
    table.close()


def test_a_worker_that_was_replaced_writes_nothing(table: Table) -> None:
    table.left.apply(event("e1", 1, "email:a@x.test"))
    successor = Hand(table.url, table.log, 0)
    fetched, start = table.log.append(0, [event("e2", 2, "email:a@x.test")])
    # Its connection was ended; with a new one, its epoch is the old one still.
    with pytest.raises(TransientStorageError):
        table.left.submit(fetched, {0: start}).result()
    with pytest.raises(FencedError, match="taken over partition 0"):
        table.left.submit(fetched, {0: start}).result()
    assert table.query("SELECT count(*) FROM timeline") == [(1,)]
    successor.close()


def test_a_batch_that_skips_positions_is_not_written(table: Table) -> None:
    fetched, _ = table.log.append(0, [event("e1", 1, "email:a@x.test"), event("e2", 2, "email:a@x.test")])
    with pytest.raises(FencedError):
        table.left.submit(fetched[1:], {0: 1}).result()
    assert table.query("SELECT count(*) FROM timeline") == [(0,)]


def test_a_batch_applied_twice_is_refused_the_second_time(table: Table) -> None:
    fetched, _ = table.log.append(0, [event("e1", 1, "email:a@x.test")])
    table.left.submit(fetched, {0: 0}).result()
    with pytest.raises(FencedError):
        table.left.submit(fetched, {0: 0}).result()


def test_a_successor_ends_a_worker_that_is_stopped_inside_its_transaction(table: Table) -> None:
    """A stopped process holds its row locks for ever."""
    held = table.left.held("fenced", event("e1", 1, "email:a@x.test"))
    doing = held.__enter__()
    successor = Hand(table.url, table.log, 0)
    fetched, _ = table.log.append(1, [])
    assert not fetched
    with pytest.raises(TransientStorageError):
        held.__exit__(None, None, None)
    assert isinstance(doing.exception(), TransientStorageError)
    assert table.query("SELECT count(*) FROM timeline") == [(0,)]
    successor.close()


def test_partitions_given_up_in_peace_leave_the_connection_alone(table: Table) -> None:
    table.left.apply(event("e1", 1, "email:a@x.test"))
    pid = table.left.pid
    table.left.journal.release(TOPIC)
    Hand(table.url, table.log, 0).close()
    assert table.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid) == [(1,)]


def test_tables_that_are_emptied_under_a_worker_fence_it_off(table: Table) -> None:
    """What it remembers of identifiers is gone; it must rejoin, not stop."""
    table.left.apply(event("e1", 1, "email:a@x.test"))
    connection = psycopg2.connect(table.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE customer_timeline.timeline, customer_timeline.identifier, customer_timeline.customer")
        cursor.execute("UPDATE customer_timeline.projector_offset SET next_offset = 0, epoch = epoch + 1")
    connection.close()
    with pytest.raises(FencedError, match="emptied"):
        table.left.start(event("e2", 2, "email:a@x.test")).result()


def test_tables_of_another_projection_version_are_refused(table: Table) -> None:
    table.left.apply(event("e1", 1, "email:a@x.test"))
    connection = psycopg2.connect(table.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE customer_timeline.projection_meta SET projection_version = 'other-2'")
    connection.close()
    with pytest.raises(FencedError):
        table.left.start(event("e2", 2, "email:a@x.test")).result()
    with pytest.raises(RefusedError, match=r"other-2.*needs a rebuild.*customer-timeline projection reset"):
        table.left.take_over()


def test_another_topic_under_the_same_name_is_refused_with_the_way_on(table: Table) -> None:
    one, two = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))
    table.left.journal.assign("other", one, [0])
    with pytest.raises(RefusedError, match="customer-timeline projection reset"):
        table.left.journal.assign("other", two, [0])


@pytest.mark.parametrize("number", [1, 2, 7])
def test_records_that_postgres_refuses_become_dead_letters_and_the_rest_is_written(table: Table, number: int) -> None:
    """NUL passes JSON, not a text column; the batch is halved until the record is found."""
    good = [event(f"g{n}", n, f"email:g{n}@x.test") for n in range(10)]
    bad = [
        event(f"b{n}", n, "email:b@x.test", intent="nurture").replace(b"shop.example", b"\\u0000")
        for n in range(number)
    ]
    mixed = [*good[:5], *bad, *good[5:]]
    outcome = table.left.apply(*mixed)
    assert outcome.events == len(good)
    assert outcome.dead_letters == {"unstorable": number}
    assert table.query("SELECT reason, count(*) FROM dead_letter GROUP BY 1") == [("unstorable", number)]
    table.check()
