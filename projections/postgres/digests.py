"""Digests of the tables: what counts is read line by line in one snapshot, and hashed as it comes. Never writes.

For `customer-timeline digest` and for tests that compare two views. Memory does not grow with the tables; while it
reads, Postgres keeps the rows of the snapshot, so vacuum waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg2

from customer_timeline.projections.digest import (
    COVERAGE,
    CustomerDigest,
    Part,
    TableDigest,
    ViewDigest,
    customer_digests,
    table_digest,
)
from customer_timeline.projections.postgres.pool import unavailable
from customer_timeline.projections.postgres.sql import named_queries

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

Observe = Callable[[str, int], None]
"""Told the table, or `customers`, and how many more of its rows were read."""

_FETCHED_ROWS: Final = 500  # facts and events are seldom above 64 KB, mostly far below 1
_ORDER: Final[Mapping[str, str]] = {
    "timeline": "event_id",
    "superseded": "event_id, revision, occurred_at, content_hash",
    "identifier": "identifier_id",
    "link": "anchor_id, other_id",
    "decision": "event_id",
    "thing": "thing_id",
    "customer": "customer_id",
    "dead_letter": "sha256, reason",
}


def _unobserved(table: str, rows: int) -> None:
    """Nobody wants to know how far it is."""


class DigestSnapshot:
    """One snapshot of the tables, to take digests of; good until the block that opened it ends.

    Every method raises ViewsUnavailableError where Postgres stops answering.
    """

    def __init__(self, connection: Connection, as_of_us: int | None, observe: Observe) -> None:
        self._connection = connection
        self._sql = named_queries("digest.sql")
        self._observe = observe
        self.as_of_us = as_of_us
        ((self.projection_version,),) = self._rows("meta")
        self.positions: Mapping[tuple[str, int], int] = {
            (topic, part): offset for topic, part, offset in self._rows("positions")
        }

    def view(self) -> ViewDigest:
        """A digest of each table."""
        tables = {table: self._table(table) for table in COVERAGE}
        return ViewDigest(self.projection_version, self.as_of_us, self.positions, tables)

    def customers(self) -> Iterator[CustomerDigest]:
        """A digest of each customer, by customer id: its row, identifiers, links, decisions, things and events."""
        return self._customers(None)

    def customer(self, identifier_id: str) -> CustomerDigest | None:
        """The digest of the customer that holds the identifier; None where nobody ever named it."""
        for (customer_id,) in self._rows("customer_of", identifier_id=identifier_id):
            # From a few identifiers along indexes: the planner would expect many and read every table.
            self._rows("plan_for_few")
            return next(self._customers(customer_id), None)
        return None

    def _customers(self, customer_id: str | None) -> Iterator[CustomerDigest]:
        rows = self._stream("customers", self._statement("parts"), customer_id=customer_id)
        return customer_digests(Part(customer, bytes(line_hash)) for customer, line_hash in rows)

    def lines(self, table: str) -> Iterator[str]:
        """What counts of a table, a line a row, by key."""
        statement = self._statement("lines", table=self._lines(table), order=_ORDER[table])
        return (line for (line,) in self._stream(table, statement, customer_id=None))

    def rows(self, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
        """What a statement finds in this snapshot."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall())
        except psycopg2.Error as exc:
            raise unavailable(exc) from exc

    def _table(self, table: str) -> TableDigest:
        return table_digest(self.lines(table))

    def _lines(self, table: str) -> str:
        return self._sql["customer_as_of" if table == "customer" and self.as_of_us is not None else table]

    def _statement(self, name: str, **parts: str) -> str:
        """A query with what it names in braces put in."""
        return self._sql[name].format(**{**self._sql, "customer": self._lines("customer"), **parts})

    def _rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self.rows(self._sql[query], **parameters)

    def _stream(self, name: str, statement: str, **parameters: object) -> Iterator[tuple[Any, ...]]:
        try:
            with self._connection.cursor(name=f"digest_{name}") as cursor:
                cursor.execute(statement, {**parameters, "as_of_us": self.as_of_us})
                while rows := cursor.fetchmany(_FETCHED_ROWS):
                    yield from rows
                    self._observe(name, len(rows))
        except psycopg2.Error as exc:
            raise unavailable(exc) from exc


@contextmanager
def digest_snapshot(
    connect: Callable[[], Connection], as_of_us: int | None = None, observe: Observe = _unobserved
) -> Iterator[DigestSnapshot]:
    """Open a snapshot; what `connect` makes is closed at the end.

    `as_of_us`: of each customer's schedule the entry of that instant counts (microseconds), instead of the whole. Facts
    are not cut by it. Raises ViewsUnavailableError.
    """
    with closing(connect()) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(named_queries("digest.sql")["plan_for_all"])
        except psycopg2.Error as exc:
            raise unavailable(exc) from exc
        yield DigestSnapshot(connection, as_of_us, observe)
