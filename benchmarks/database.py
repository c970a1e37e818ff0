"""The benchmark's databases: a template holds what the first pass wrote, every run gets a fresh copy of it."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql

from benchmarks.workload import Answer
from customer_timeline.runtime.migrate import migrate

SCHEMA = "customer_timeline"

# Order of the rows must not matter, so the digest goes over the sorted digests of the states.
_STATES = """
SELECT md5(string_agg(state, '' ORDER BY state)) FROM (SELECT md5(facts::text) AS state FROM customer) AS states
"""
_REVENUE = """
SELECT coalesce(sum((event->'data'->'total'->>'amount')::numeric * 100), 0)::bigint
FROM timeline WHERE type = 'purchase.completed.v1'
"""
# Whoever has an event has a stage, from the transaction that wrote the event; and by the rules that the worker has.
_UNASSESSED = """
SELECT count(*) FROM customer
WHERE events > 0 AND (stage IS NULL OR json_array_length(schedule) = 0 OR rules <> %(rules)s)
"""
_SETTINGS = ("server_version", "shared_buffers", "synchronous_commit", "fsync", "full_page_writes", "max_wal_size")


class Databases:
    """Creates, copies and drops databases on one Postgres, through an administrator's URL."""

    def __init__(self, admin_url: str, prefix: str) -> None:
        self._admin_url = admin_url
        self._prefix = prefix
        self._made: set[str] = set()

    def url(self, name: str) -> str:
        """Where the database `name` of this benchmark is reached."""
        parts = urlsplit(self._admin_url)
        return urlunsplit(parts._replace(path=f"/{self._prefix}_{name}"))

    def create(self, name: str) -> str:
        """A new database with the product's tables; returns its URL."""
        self._run("CREATE DATABASE {}", name)
        self._made.add(name)
        migrate(self.url(name), SCHEMA)
        return self.url(name)

    def settle(self, name: str) -> None:
        """Vacuum, analyse and flush, so that no run pays for what another one wrote."""
        with closing(psycopg2.connect(self.url(name))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("VACUUM (ANALYZE)")
                cursor.execute("CHECKPOINT")

    def copy(self, template: str, name: str) -> str:
        """A copy of a template, page for page; returns its URL."""
        self.drop(name)
        self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
        self._made.add(name)
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove the database if it exists, with its connections."""
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._made.discard(name)

    def drop_all(self) -> None:
        """Remove what this benchmark made."""
        for name in sorted(self._made):
            self.drop(name)

    def settings(self) -> dict[str, str]:
        """The server settings that decide about the figures."""
        with closing(psycopg2.connect(self._admin_url)) as connection, connection.cursor() as cursor:
            found: dict[str, str] = {}
            for name in _SETTINGS:
                cursor.execute("SELECT current_setting(%s)", (name,))
                found[name] = str(one(cursor))
            return found

    def _run(self, statement: str, *names: str) -> None:
        identifiers = [sql.Identifier(f"{self._prefix}_{name}") for name in names]
        with closing(psycopg2.connect(self._admin_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*identifiers))


def connect(url: str) -> Any:
    """A connection that sees the product's tables without a prefix."""
    return psycopg2.connect(url, options=f"-c search_path={SCHEMA} -c timezone=UTC")


def one(cursor: Any) -> Any:
    """The only column of the only row that the last statement returned."""
    row = cursor.fetchone()
    if row is None:
        raise LookupError("The statement returned no row where one was expected.")
    return row[0]


def written(url: str, *, customers: bool = True) -> Answer:
    """What the tables hold; `customers` is 0 for a contender that keeps none."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM timeline")
        rows = one(cursor)
        cursor.execute(_REVENUE)
        cents = one(cursor)
        cursor.execute("SELECT count(*) FROM customer")
        return Answer(rows, cents, one(cursor) if customers else 0)


def unassessed(url: str, rules: str) -> int:
    """How many customers with events have no stage, no schedule, or those of other rules than `rules`."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_UNASSESSED, {"rules": rules})
        return int(one(cursor))


def states_digest(url: str) -> str:
    """One digest over the states of all customers: equal exactly where the same states were folded, byte for byte."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_STATES)
        return str(one(cursor))


def offsets(cursor: Any, topic: str) -> dict[int, int]:
    """The next offset of each partition, as the database knows it."""
    cursor.execute("SELECT part, next_offset FROM projector_offset WHERE topic = %s", (topic,))
    return dict(cursor.fetchall())
