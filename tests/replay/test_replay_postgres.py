"""`--to postgres`: a schema of its own, and no way to write the live one."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from reference.log_model import customers_of
from replay_runs import CODEC, COMMAND, SECRET, environment, expected, fill, hard_log, killed, replay
from servers import SCHEMA

from customer_timeline.projections.cuts import Cut
from customer_timeline.projections.postgres.replay_tables import ROLE
from customer_timeline.runtime.replay.tables import replay_tables
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

UNTIL = ("--until", "2025-06-01T00:00:00Z")


def _micros(year: int, month: int) -> int:
    return to_micros(datetime(year, month, 1, tzinfo=UTC))


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
    # Killed once the events are written, but not whose they are: as if it had never been.
    killed(environ, "tables:ReplayTables.finish:1", "--to", "postgres", "--output", "study", "--jobs", "1")
    assert _query(database, "SELECT count(*) > 0 FROM study.events") == [(True,)]
    _, told = replay(environ, "--to", "postgres", "--output", "study", "--jobs", "1")
    assert told["resumed"]
    people = dict(_query(database, "SELECT id::text, person_id::text FROM study.people"))
    assert people == customers_of(records, CODEC, IdentityPolicy())
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
    words = ("--type", "purchase", "--partition", "1", "--occurred-until", "2024-07-01T00:00:00Z")
    _, told = replay(environ, "--to", "postgres", "--output", "study", "--from-start", "--jobs", "1", *words, *UNTIL)
    asked = _query(database, "SELECT type, log_partition, occurred_at < '2024-07-01T00:00:00Z' FROM study.events")
    assert {(type_.partition(".")[0], *rest) for type_, *rest in asked} == {("purchase", 1, True)}
    assert told["events"] == len(asked)
    # Who is who does not depend on what of it is asked for, but on what had happened, and was known, by then.
    cut = Cut(_micros(2024, 7) - 1, _micros(2025, 6) - 1)
    then = customers_of(records, CODEC, IdentityPolicy(), cut)
    assert dict(_query(database, "SELECT id::text, person_id::text FROM study.people")) == then
    assert then != people


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
