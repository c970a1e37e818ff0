"""Every read begins with the table of identifiers: a switch of sets locks it first, and then no read holds another one.

A read that held another table and waited there would keep the switch waiting for it, and it for the switch.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import psycopg2
import pytest
from servers import SCHEMA
from view_rows import CODEC, PROJECTION

from customer_timeline.projections.postgres.cut_reader import PostgresCutReader
from customer_timeline.projections.postgres.pool import ReadPool
from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.identity_policy import IdentityPolicy

_LOCKS = """
SELECT l.relation::regclass::text, l.granted FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid <> pg_backend_pid() AND c.relkind = 'r' AND c.relnamespace = %s::regnamespace
    AND l.mode = 'AccessShareLock'
"""
AT_ONCE = [("identifier", False)]


def pools(url: str) -> Mapping[str, tuple[ReadPool, dict[str, str]]]:
    """The pools of the API, with what is asked of each in a statement of its own."""
    reader = PostgresReader(url, SCHEMA)
    past = PostgresCutReader(url, SCHEMA, CODEC, IdentityPolicy(), PROJECTION, StageRules())
    points = _queries("queries.sql", "identity.sql")
    lists = _queries("lists.sql", "identity_review.sql", "dead_letters.sql")
    history = _queries("history.sql")
    return {
        # One table: who waits for it holds none.
        "points": (reader._pool, {name: query for name, query in points.items() if name != "health"}),
        "lists": (reader._lists, lists),
        "standing": (reader._standing, _queries("progress.sql")),
        "past": (past._pool, {"passed": history["passed"]}),
        "past lists": (past._lists, {"changed_within": history["changed_within"]}),
    }


def _queries(*files: str) -> dict[str, str]:
    return {name: query for file in files for name, query in named_queries(file).items()}


def executes(query: str) -> str | None:
    """The statement that executes a prepared query with nothing; None for one that is no query."""
    head = re.search(r"PREPARE (\w+)\s*(?:\(([^)]*)\))? AS", query)
    if head is None:
        return None
    return f"EXECUTE {head[1]}" + (f" ({', '.join('NULL' for _ in head[2].split(','))})" if head[2] else "")


@pytest.mark.parametrize("which", ["points", "lists", "standing", "past", "past lists"])
def test_a_read_that_waits_for_the_switch_holds_no_table(database: str, which: str) -> None:
    async def held() -> dict[str, Any]:
        pool, queries = pools(database)[which]
        waiting = {}
        for name, query in queries.items():
            statement = executes(query)
            if statement is not None:
                await pool.fetch(statement)  # planned from now on
                waiting[name] = await _waiting(database, partial(pool.fetch, statement))
        await pool.aclose()
        return waiting

    found = asyncio.run(held())
    assert found
    assert found == dict.fromkeys(found, AT_ONCE)


def test_reads_of_one_answer_begin_there_together(database: str) -> None:
    async def held() -> Any:
        pool, _ = pools(database)["past"]

        async def ask() -> None:
            async with pool.snapshot() as fetch:
                await fetch("EXECUTE passed", ())

        await ask()
        return await _waiting(database, ask)

    assert asyncio.run(held()) == AT_ONCE


async def _waiting(url: str, ask: Callable[[], Any]) -> list[tuple[str, bool]]:
    """The locks of a read that finds the table of identifiers locked, granted or not."""
    with closing(psycopg2.connect(url, options=f"-c search_path={SCHEMA}")) as switch, switch.cursor() as cursor:
        cursor.execute("LOCK TABLE identifier IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.ensure_future(ask())
        locks: list[tuple[str, bool]] = []
        while not reading.done() and all(granted for _, granted in locks):
            await asyncio.sleep(0.005)
            cursor.execute(_LOCKS, (SCHEMA,))
            locks = list(cursor.fetchall())
        switch.rollback()
    await reading
    return locks
