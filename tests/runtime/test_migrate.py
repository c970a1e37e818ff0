"""Migrations: once each, in order, under a lock, never changed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest

from customer_timeline.runtime.migrate import Migration, MigrationError, migrate, pending, released_migrations


def _migration(number: int, sql: str) -> Migration:
    return Migration(number, "pre", f"{number:04}_pre_test.sql", hashlib.sha256(sql.encode()).hexdigest(), sql)


def _scalar(url: str, query: str) -> object:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        return row[0] if row else None


FIRST = _migration(1, "CREATE TABLE a (n integer); COMMENT ON TABLE a IS '100 % of it';")
SECOND = _migration(2, "ALTER TABLE a ADD m integer;")


def test_released_migrations_create_every_table_in_the_schema(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    assert [m.name for m in migrate(url, "ct")] == [m.name for m in released_migrations()]
    assert _scalar(url, "SELECT count(*) FROM ct.timeline") == 0
    assert _scalar(url, "SELECT obj_description('ct.timeline'::regclass)") is not None


def test_migrating_twice_applies_nothing_the_second_time(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    assert pending(url, "ct", released=[FIRST, SECOND]) == [FIRST, SECOND]
    assert migrate(url, "ct", released=[FIRST]) == [FIRST]
    assert migrate(url, "ct", released=[FIRST, SECOND]) == [SECOND]
    assert migrate(url, "ct", released=[FIRST, SECOND]) == []
    assert pending(url, "ct", released=[FIRST, SECOND]) == []


def test_two_programs_that_migrate_at_once_apply_everything_once(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    slow = _migration(1, "SELECT pg_sleep(0.2); CREATE TABLE a (n integer);")
    applied: list[list[Migration]] = []
    threads = [threading.Thread(target=lambda: applied.append(migrate(url, "ct", released=[slow]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied, key=len) == [[], [], [], [slow]]


def test_a_changed_released_migration_is_refused(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    migrate(url, "ct", released=[FIRST])
    changed = _migration(1, "CREATE TABLE b (n integer);")
    with pytest.raises(MigrationError, match=r"0001_pre_test\.sql was changed after it had been applied"):
        migrate(url, "ct", released=[changed])


def test_a_schema_of_a_newer_version_is_refused(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    migrate(url, "ct", released=[FIRST, SECOND])
    with pytest.raises(MigrationError, match=r"newer version \(0002_pre_test\.sql\)"):
        pending(url, "ct", released=[FIRST])


def test_a_migration_that_fails_changes_nothing_and_leaves_those_before_it(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    broken = _migration(2, "CREATE TABLE b (n integer); SELECT 1/0;")
    with pytest.raises(MigrationError, match=r"0002_pre_test\.sql failed"):
        migrate(url, "ct", released=[FIRST, broken])
    assert _scalar(url, "SELECT to_regclass('ct.a') IS NOT NULL AND to_regclass('ct.b') IS NULL") is True
    assert pending(url, "ct", released=[FIRST, broken]) == [broken]


def test_two_schemas_of_one_database_are_migrated_apart(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    assert migrate(url, "one", released=[FIRST]) == migrate(url, "two", released=[FIRST]) == [FIRST]
