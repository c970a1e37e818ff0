"""Migrations: numbered SQL files, applied once each, in order, under a lock, and never changed after their release.

The table `schema_migration` remembers number, name and SHA-256 of what was applied. Several programs may migrate at
once: one does, the others wait and find nothing left to do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import parse_dsn
from psycopg2.sql import SQL, Identifier

from customer_timeline.schemas.errors import CustomerTimelineError

_FILE_NAME = re.compile(r"(?P<number>\d{4})_(?P<phase>pre|post)_(?P<name>[a-z0-9_]+)\.sql")

_MEMORY = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE schema_migration IS 'Which migrations were applied to this schema, and what they said.';
COMMENT ON COLUMN schema_migration.sha256 IS 'Of the file as applied: a released migration never changes.';
"""


class MigrationError(CustomerTimelineError):
    """The schema cannot be brought up to date."""


class UnreachableDatabaseError(MigrationError):
    """Nobody answers, or nobody lets us in."""

    exit_code = 3


class Migration(NamedTuple):
    """One numbered file. `pre` runs before the new code is rolled out, `post` after it."""

    number: int
    phase: str
    name: str
    sha256: str
    sql: str


def released_migrations() -> tuple[Migration, ...]:
    """All migrations of this version, in order. Raises MigrationError for a misnamed file or a number used twice."""
    found: dict[int, Migration] = {}
    folder = resources.files("customer_timeline.projections.postgres").joinpath("migrations")
    for file in folder.iterdir():
        if not file.name.endswith(".sql"):
            continue
        named = _FILE_NAME.fullmatch(file.name)
        if named is None:
            raise MigrationError(f"{file.name} is no name of a migration: 0007_pre_add_stage.sql would be one.")
        number, content = int(named["number"]), file.read_bytes()
        if number in found:
            raise MigrationError(f"Two migrations have the number {number}: {found[number].name} and {file.name}.")
        digest = hashlib.sha256(content).hexdigest()
        found[number] = Migration(number, named["phase"], file.name, digest, content.decode())
    return tuple(found[number] for number in sorted(found))


def migrate(
    dsn: str,
    schema: str,
    *,
    progress: Callable[[Migration], None] | None = None,
    released: Sequence[Migration] | None = None,
) -> list[Migration]:
    """Bring `schema` up to date, creating it where it is missing; returns what was applied, each in a transaction.

    Safe to run from several programs at once, and again after a crash. Raises MigrationError where a migration fails,
    where an applied one was changed since, or where the schema is newer than this version.
    """
    released = released_migrations() if released is None else released
    with _connected(dsn, schema) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        # Released with the session, so a crash leaves no lock behind.
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('customer-timeline migrate ' || %s, 0))", [schema])
        cursor.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        cursor.execute(_MEMORY)
        connection.autocommit = False
        todo = _unapplied(connection, schema, released)
        for migration in todo:
            _apply(connection, migration)
            if progress is not None:
                progress(migration)
        return todo


def pending(dsn: str, schema: str, *, released: Sequence[Migration] | None = None) -> list[Migration]:
    """The migrations that `migrate` would apply now; reads only. Raises MigrationError as `migrate` does."""
    released = released_migrations() if released is None else released
    with _connected(dsn, schema) as connection:
        return _unapplied(connection, schema, released)


@contextmanager
def _connected(dsn: str, schema: str) -> Iterator[Connection]:
    # What the URL sets by itself is kept.
    options = f"{parse_dsn(dsn).get('options', '')} -c search_path={schema} -c client_min_messages=warning"
    try:
        connection = psycopg2.connect(dsn, application_name="customer-timeline migrate", options=options.strip())
    except psycopg2.OperationalError as exc:
        raise UnreachableDatabaseError(f"Postgres is not reachable: {' '.join(str(exc).split())}") from exc
    try:
        yield connection
    finally:
        connection.close()


def _apply(connection: Connection, migration: Migration) -> None:
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(migration.sql)
            cursor.execute(
                "INSERT INTO schema_migration (number, name, sha256) VALUES (%s, %s, %s)",
                [migration.number, migration.name, migration.sha256],
            )
    except psycopg2.Error as exc:
        raise MigrationError(f"{migration.name} failed and changed nothing: {str(exc).strip()}") from exc


def _unapplied(connection: Connection, schema: str, released: Sequence[Migration]) -> list[Migration]:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('schema_migration') IS NOT NULL")
        if not _first(cursor.fetchone()):
            return list(released)
        cursor.execute("SELECT number, name, sha256 FROM schema_migration ORDER BY number")
        applied = {number: (name, sha256) for number, name, sha256 in cursor.fetchall()}
    known = {migration.number: migration for migration in released}
    for number, (name, sha256) in applied.items():
        if number not in known:
            raise MigrationError(
                f"Schema {schema} was migrated by a newer version ({name}). Use that version, or a later one."
            )
        if known[number].sha256 != sha256:
            raise MigrationError(
                f"{known[number].name} was changed after it had been applied to schema {schema}. "
                "A released migration never changes: restore it, and put the change into a new one."
            )
    return [migration for migration in released if migration.number not in applied]


def _first(row: tuple[object, ...] | None) -> bool:
    return row is not None and bool(row[0])
