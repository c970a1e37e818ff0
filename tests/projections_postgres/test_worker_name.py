"""One process goes by a worker's name, the one that came last; the other stops and says why."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from two_hands import Hand, Table, event

from customer_timeline.projections.journal import FencedError, RefusedError, TransientStorageError


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    table = Table(database)
    yield table
    table.close()


def named(table: Table, name: str | None) -> Hand:
    """A worker under a name, as yet another process."""
    return Hand(table.url, table.log, 0, name=name)


def execute(table: Table, statement: str) -> None:
    connection = psycopg2.connect(table.url, options="-c search_path=customer_timeline")
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def test_the_older_of_two_workers_under_one_name_stops_when_it_takes_over_again(table: Table) -> None:
    older = named(table, "w0")
    newcomer = named(table, "w0")
    with pytest.raises(TransientStorageError):  # the newcomer ended its connection
        older.take_over()
    with pytest.raises(RefusedError) as refused:
        older.take_over()
    told = str(refused.value)
    assert told.startswith(
        "Another worker was started under the name of this one, w0, and took its partitions over at "
    )
    assert "nothing is lost" in told
    assert "CUSTOMER_TIMELINE_WORKER_INSTANCE_ID" in told
    newcomer.take_over()  # as often as it likes
    newcomer.apply(event("e1", 1, "email:a@x.test"))
    assert table.query("SELECT count(*) FROM timeline") == [(1,)]
    for hand in (older, newcomer):
        hand.close()


def test_the_older_one_stops_when_it_writes_and_writes_nothing(table: Table) -> None:
    older = named(table, "w0")
    older.apply(event("e1", 1, "email:a@x.test"))
    newcomer = named(table, "w0")
    fetched, start = table.log.append(0, [event("e2", 2, "email:a@x.test")])
    with pytest.raises(TransientStorageError):  # the newcomer ended its connection
        older.submit(fetched, {0: start}).result()
    with pytest.raises(RefusedError, match="under the name of this one, w0"):
        older.submit(fetched, {0: start}).result()
    assert table.query("SELECT count(*) FROM timeline") == [(1,)]
    for hand in (older, newcomer):
        hand.close()


@pytest.mark.parametrize("names", [("w0", "w1"), (None, None)], ids=["names of their own", "no names"])
def test_workers_with_other_names_or_none_may_take_over_from_each_other(
    table: Table, names: tuple[str | None, str | None]
) -> None:
    one, other = (named(table, name) for name in names)
    fetched, start = table.log.append(0, [event("e1", 1, "email:a@x.test")])
    with pytest.raises(TransientStorageError):
        one.submit(fetched, {0: start}).result()
    with pytest.raises(FencedError, match="taken over partition 0"):
        one.submit(fetched, {0: start}).result()
    one.take_over()
    one.submit(fetched, {0: start}).result()
    assert table.query("SELECT count(*) FROM timeline") == [(1,)]
    for hand in (one, other):
        hand.close()


@pytest.mark.parametrize(
    "set_back",
    [
        "TRUNCATE worker_name",
        "UPDATE worker_name SET process = gen_random_uuid(), taken_at = taken_at - interval '1 day'",
    ],
    ids=["empty", "of a backup"],
)
def test_tables_that_were_set_back_under_a_worker_take_no_name_from_it(table: Table, set_back: str) -> None:
    worker = named(table, "w0")
    execute(table, set_back)
    worker.take_over()
    newcomer = named(table, "w0")
    with pytest.raises(TransientStorageError):
        worker.take_over()
    with pytest.raises(RefusedError, match="under the name of this one, w0"):
        worker.take_over()
    for hand in (worker, newcomer):
        hand.close()
