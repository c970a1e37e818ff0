"""Make the indexes that a set was filled without, several at a time, and let the planner know its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from psycopg2.sql import SQL, Identifier

from customer_timeline.runtime.rebuild.sets import settings_of, transaction
from customer_timeline.runtime.settings import Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_AT_ONCE: Final = 2
"""Connections that make indexes. The server itself lets two more processes help with an index of a large table."""


class Indexing:
    """Makes the indexes of the rebuild's tables in threads of its own; use `indexing` to have one.

    Each index is one transaction that also notes it as made, so it is safe to be interrupted anywhere and repeated. A
    table's statistics are read once it has all its indexes: the two lock each other out. `tables`: all that there are;
    `count`: how many indexes are to be made.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings_of(settings, "rebuild")
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="index")
        self._lock = Lock()
        self._working: dict[str, Connection] = {}
        self._jobs: list[Future[None]] = []
        with transaction(self._settings) as cursor:
            self._waiting = _absent(cursor)
        self._left = {table: len(statements) for table, statements in self._waiting.items()}
        self.tables: Final[Set[str]] = frozenset(self._waiting)
        self.count: Final = sum(self._left.values())

    def begin(self, but: Set[str] = frozenset()) -> None:
        """Start with all tables that have not been begun, save `but`, of which rows are still to come."""
        for table in sorted(self._waiting.keys() - but):
            statements = self._waiting.pop(table)
            for statement in statements:
                self._jobs.append(self._pool.submit(self._make, table, statement))
            if not statements:
                self._jobs.append(self._pool.submit(self._analyze, table))

    def running(self) -> bool:
        """Whether something that was begun is not done. Raises what went wrong with what is."""
        for job in self._jobs:
            if job.done():
                job.result()
        return not all(job.done() for job in self._jobs)

    def at(self) -> tuple[str, int]:
        """What is made just now, and how many indexes are."""
        with self._lock:
            return ", ".join(sorted(self._working)), self.count - sum(self._left.values())

    def close(self) -> None:
        """Cancel what is under way: whoever interrupts a rebuild should not wait for an index of an hour."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for connection in self._working.values():
                connection.cancel()
        self._pool.shutdown()

    def _make(self, table: str, statement: str) -> None:
        with self._session(statement.split()[2]) as cursor:
            cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
            cursor.execute(statement)
            cursor.execute("UPDATE view_set SET absent_indexes = array_remove(absent_indexes, %s)", [statement])
        with self._lock:
            self._left[table] -= 1
            last = not self._left[table]
        if last:
            self._analyze(table)

    def _analyze(self, table: str) -> None:
        with self._session(f"statistics of {table}") as cursor:
            cursor.execute(SQL("ANALYZE {}").format(Identifier(table)))

    @contextmanager
    def _session(self, name: str) -> Iterator[Cursor]:
        with transaction(self._settings) as cursor:
            with self._lock:
                self._working[name] = cursor.connection
            try:
                yield cursor
            finally:
                with self._lock:
                    del self._working[name]


@contextmanager
def indexing(settings: Settings) -> Iterator[Indexing]:
    """An `Indexing` of the configured set's rebuild; what is under way at the end of the block is cancelled."""
    found = Indexing(settings)
    try:
        yield found
    finally:
        found.close()


def mark_filled(settings: Settings) -> None:
    """Note that the set has come to the end of the log, and has its indexes."""
    with transaction(settings_of(settings, "rebuild")) as cursor:
        cursor.execute("UPDATE view_set SET filled_at = coalesce(filled_at, clock_timestamp())")


def _absent(cursor: Cursor) -> dict[str, Sequence[str]]:
    """Every table of the set, with the statements that make the indexes that it has not."""
    # What is unlogged waits to be put together, and then goes away.
    cursor.execute(
        "SELECT relname FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relpersistence = 'p'"
    )
    found: dict[str, list[str]] = {table: [] for (table,) in cursor.fetchall()}
    cursor.execute("SELECT absent_indexes FROM view_set")
    (statements,) = cursor.fetchone() or ([],)
    for statement in statements:
        # CREATE INDEX name ON schema.table USING …, as the server writes it.
        table = statement.partition(" USING ")[0].rpartition(".")[2]
        found[table].append(statement)
    return dict(found)
