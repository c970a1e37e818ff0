"""`--to postgres`: a schema of its own, and no way to write the live one."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from replay_runs import COMMAND, SECRET, environment, expected, fill, hard_log, replay
from servers import SCHEMA

from customer_timeline.projections.postgres.replay_tables import ROLE
from customer_timeline.runtime.replay.tables import replay_tables
from customer_timeline.runtime.settings import Settings


def _query(url: str, query: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def _settings(url: str) -> Settings:
    return Settings(database_url=url, database_schema=SCHEMA, identity_secret=SECRET)


def test_every_event_that_counts_is_a_row_of_the_schema(
    kafka: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = fill(kafka, "replay-postgres", hard_log(5, 200))
    environ = {**os.environ, **environment(kafka, "replay-postgres", database_url=database, database_schema=SCHEMA)}
    monkeypatch.chdir(tmp_path)
    _, told = replay(environ, "--to", "postgres", "--output", "study")
    rows = _query(database, "SELECT event::text FROM study.events")
    wanted = Counter(orjson.dumps(orjson.loads(line), option=orjson.OPT_SORT_KEYS) for line in expected(records))
    assert Counter(orjson.dumps(orjson.loads(row), option=orjson.OPT_SORT_KEYS) for (row,) in rows) == wanted
    assert told["events"] == len(rows)
    assert _query(database, f"SELECT count(*) FROM {SCHEMA}.timeline") == [(0,)]
    again = subprocess.run(
        [*COMMAND, "replay", "--to", "postgres", "--output", "study"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (again.returncode, "holds a replay already" in again.stderr) == (2, True)
    replay(environ, "--to", "postgres", "--output", "study", "--from-start", "--type", "purchase")
    assert _query(database, "SELECT count(*) FROM study.events WHERE type NOT LIKE 'purchase.%'") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO {SCHEMA}.projector_offset DEFAULT VALUES",
        f"UPDATE {SCHEMA}.customer SET facts = facts",
        f"DELETE FROM {SCHEMA}.timeline",
        f"TRUNCATE {SCHEMA}.timeline",
        f"DROP TABLE {SCHEMA}.timeline",
        f"CREATE TABLE {SCHEMA}.mine (id integer)",
        f"DROP SCHEMA {SCHEMA} CASCADE",
    ],
)
def test_the_connection_of_a_replay_cannot_write_the_live_schema(database: str, statement: str) -> None:
    tables = replay_tables(_settings(database), "apart")
    tables.prepare(replace=False)
    with closing(tables.open()) as connection, connection.cursor() as cursor:
        with pytest.raises(InsufficientPrivilege):
            cursor.execute(statement)
        cursor.execute("RESET ROLE")  # gives back what the connection began with: the same role
        with pytest.raises(InsufficientPrivilege):
            cursor.execute(statement)


def test_a_role_that_could_write_the_live_schema_is_refused(database: str) -> None:
    tables = replay_tables(_settings(database), "apart")
    tables.prepare(replace=False)
    with closing(psycopg2.connect(database)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"GRANT INSERT ON {SCHEMA}.timeline TO PUBLIC")
    with pytest.raises(Exception, match=f"The role {ROLE} could write 1 tables of {SCHEMA}"):
        tables.open()


@pytest.mark.parametrize(
    ("schema", "why"),
    [(SCHEMA, "not for replays"), ("public", "not for replays"), ("pg_x", "cannot be a schema"), ("A b", "cannot be")],
)
def test_the_live_schema_is_no_output(database: str, schema: str, why: str) -> None:
    with pytest.raises(Exception, match=why):
        replay_tables(_settings(database), schema)


def test_a_schema_of_somebody_else_is_left_alone(database: str) -> None:
    with closing(psycopg2.connect(database)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA theirs")
    with pytest.raises(Exception, match="is no replay's"):
        replay_tables(_settings(database), "theirs").prepare(replace=True)
