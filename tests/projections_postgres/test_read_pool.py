"""The pool of read-only connections: what callers meet when Postgres restarts, is full, or is not there."""

from __future__ import annotations

import asyncio

import psycopg2
import pytest
from view_rows import SCHEMA, Views, viewed

from customer_timeline.projections.postgres.pool import ReadPool
from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.reading import TimelineFilter, ViewsUnavailableError
from customer_timeline.runtime.embedded import EmbeddedPostgres
from customer_timeline.runtime.migrate import migrate

pytestmark = pytest.mark.anyio
ANN = ("email", "ann@example.com")
QUERIES = {
    "echo": "PREPARE echo (text) AS SELECT $1",
    "nap": "PREPARE nap (float8) AS SELECT pg_sleep($1)",
    "write": "PREPARE write AS DELETE FROM thing",
}


def terminate_readers(url: str) -> int:
    """End every session of the API on this database, as a restart would; returns how many there were."""
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'customer-timeline api' AND datname = current_database()"
            )
            row = cursor.fetchone()
            return int(row[0]) if row else 0
    finally:
        connection.close()


async def at_work(pool: ReadPool) -> None:
    """Return once a connection of the pool is opened or asked something."""
    async with asyncio.timeout(30):
        while not pool.busy:  # noqa: ASYNC110 - the loop's own turns are what is waited for
            await asyncio.sleep(0)


@pytest.fixture
def filled(emptied: str) -> tuple[str, str]:
    """A database with one customer, and the customer's id."""
    views = Views()
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    views.insert(emptied)
    return emptied, customer_id


async def test_a_read_outlives_the_end_of_its_idle_connection(filled: tuple[str, str]) -> None:
    url, customer_id = filled
    reader = PostgresReader(url, SCHEMA, connections=3)
    assert await reader.customer(customer_id)
    assert terminate_readers(url) == 1
    found = await asyncio.gather(*(reader.customer(customer_id) for _ in range(9)))
    assert all(record is not None and record.customer_id == customer_id for record in found)
    await reader.aclose()


async def test_a_reader_works_again_after_a_restart_of_postgres(own_postgres: EmbeddedPostgres) -> None:
    migrate(own_postgres.url, SCHEMA)
    views = Views()
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    views.insert(own_postgres.url)
    reader = PostgresReader(own_postgres.url, SCHEMA)
    assert await reader.customer(customer_id)
    await asyncio.to_thread(own_postgres.restart, "immediate")
    found = await reader.customer(customer_id)
    assert found is not None
    own_postgres.stop("immediate")
    with pytest.raises(ViewsUnavailableError, match="not reachable"):
        await reader.customer(customer_id)
    await reader.aclose()


async def test_more_callers_than_connections_take_turns(emptied: str) -> None:
    pool = ReadPool(emptied, SCHEMA, QUERIES, size=2, timeout_s=30)
    answers = await asyncio.gather(*(pool.fetch("EXECUTE echo (%s)", (str(n),)) for n in range(50)))
    assert answers == [[(str(n),)] for n in range(50)]
    assert terminate_readers(emptied) == 2
    await pool.aclose()


async def test_a_caller_that_goes_away_leaves_its_answer_to_nobody(emptied: str) -> None:
    pool = ReadPool(emptied, SCHEMA, QUERIES, size=1, timeout_s=30)
    for _ in range(3):
        leaving = asyncio.create_task(pool.fetch("EXECUTE nap (%s)", (10,)))
        await at_work(pool)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await pool.fetch("EXECUTE echo (%s)", ("mine",)) == [("mine",)]
    await pool.aclose()


async def test_a_caller_that_goes_away_while_waiting_holds_up_nobody(emptied: str) -> None:
    pool = ReadPool(emptied, SCHEMA, QUERIES, size=1, timeout_s=30)
    first = asyncio.create_task(pool.fetch("EXECUTE nap (%s)", (0.2,)))
    waiting = [asyncio.create_task(pool.fetch("EXECUTE echo (%s)", (str(n),))) for n in range(3)]
    await at_work(pool)
    waiting[0].cancel()
    await first
    assert await waiting[1] == [("1",)]
    assert await waiting[2] == [("2",)]
    await pool.aclose()


async def test_a_query_that_takes_too_long_is_given_up(emptied: str) -> None:
    pool = ReadPool(emptied, SCHEMA, QUERIES, size=1, timeout_s=0.5)
    with pytest.raises(ViewsUnavailableError, match="too long"):
        await pool.fetch("EXECUTE nap (%s)", (30,))
    assert await pool.fetch("EXECUTE echo (%s)", ("next",)) == [("next",)]
    await pool.aclose()


async def test_a_caller_that_waits_too_long_for_a_connection_is_told_so(emptied: str) -> None:
    pool = ReadPool(emptied, SCHEMA, QUERIES, size=1, timeout_s=0.5)
    busy = asyncio.create_task(pool.fetch("EXECUTE nap (%s)", (0.45,)))
    await at_work(pool)
    others = [asyncio.create_task(pool.fetch("EXECUTE nap (%s)", (0.45,))) for _ in range(3)]
    outcomes = await asyncio.gather(busy, *others, return_exceptions=True)
    assert any(isinstance(outcome, ViewsUnavailableError) and "busy" in str(outcome) for outcome in outcomes)
    await pool.aclose()


async def test_connections_cannot_write(emptied: str) -> None:
    pool = ReadPool(emptied, SCHEMA, QUERIES, size=1, timeout_s=5)
    with pytest.raises(ViewsUnavailableError, match="25006"):
        await pool.fetch("EXECUTE write")
    await pool.aclose()


async def test_a_database_that_is_not_migrated_is_named_as_the_reason(postgres: str) -> None:
    reader = PostgresReader(postgres, "never_migrated")
    with pytest.raises(ViewsUnavailableError, match="customer-timeline migrate"):
        await reader.customer("00000000-0000-0000-0000-000000000001")


async def test_a_server_that_is_not_there_is_unavailable(unused_port: int) -> None:
    reader = PostgresReader(f"postgresql://nobody:secret@127.0.0.1:{unused_port}/none", SCHEMA)
    with pytest.raises(ViewsUnavailableError) as caught:
        await reader.health()
    assert "secret" not in str(caught.value)


@pytest.fixture
def unused_port() -> int:
    from customer_timeline.runtime.embedded.ports import free_port

    return free_port()


async def test_a_page_walks_the_index_however_long_the_history_is(filled: tuple[str, str]) -> None:
    url, customer_id = filled
    copy_history(url, customer_id, 20_000)
    make_things_of_others(url, 20_000)
    blocks = await blocks_read(url, customer_id)
    # A page of 50 touches its rows and the way to them; 20,000 rows fill more than 1,000 blocks, and so do the things.
    assert blocks < 600


def copy_history(url: str, customer_id: str, events: int) -> None:
    """Give the customer so many further events, one a minute."""
    connection = psycopg2.connect(url, options=f"-c search_path={SCHEMA}")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO timeline SELECT gen_random_uuid(), anchor_id, strongest_id, identifier_ids, thing_ids,"
                " type, channel, direction, sign_of_life, listed, occurred_at + n * interval '1 minute', recorded_at,"
                " revision, part, n, record_hash, data_quality, event"
                " FROM timeline, generate_series(1, %s) AS n WHERE anchor_id = %s",
                (events, customer_id),
            )
    finally:
        connection.close()


def make_things_of_others(url: str, things: int) -> None:
    """Orders of nobody in particular, each second one come with the one before."""
    connection = psycopg2.connect(url, options=f"-c search_path={SCHEMA}")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO thing (thing_id, kind, value, owner_id, via_thing_id, anchored) "
                "SELECT md5(n::text)::uuid, 'order', n::text, CASE WHEN n % 2 = 0 THEN gen_random_uuid() END, "
                f"CASE WHEN n % 2 = 1 THEN md5((n - 1)::text)::uuid END, true FROM generate_series(1, {things}) AS n"
            )
    finally:
        connection.close()


async def blocks_read(url: str, customer_id: str) -> int:
    """Blocks that the server touches for one page in the middle of the history."""
    from customer_timeline.projections.postgres.sql import named_queries

    explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE timeline (%s, %s, %s, %s, %s, %s, %s)"
    pool = ReadPool(url, SCHEMA, named_queries("queries.sql"), size=1, timeout_s=30)
    middle = ("2026-03-08T00:00:00Z", "00000000-0000-0000-0000-000000000000", "-infinity", None, None, 51)
    rows = await pool.fetch(explain, (customer_id, *middle))
    await pool.aclose()
    plan = rows[0][0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_the_reader_reads_one_snapshot(filled: tuple[str, str]) -> None:
    """Every answer is one statement: no other transaction can come in between."""
    url, customer_id = filled
    reader = PostgresReader(url, SCHEMA, connections=1)
    page = await reader.timeline(customer_id, TimelineFilter(), limit=1)
    assert page is not None
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT state FROM pg_stat_activity WHERE application_name = 'customer-timeline api' "
                "AND query LIKE 'EXECUTE timeline%' AND datname = current_database()"
            )
            states = [state for (state,) in cursor]
    finally:
        connection.close()
    assert states == ["idle"]  # and not "idle in transaction"
    await reader.aclose()
