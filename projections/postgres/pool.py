"""A pool of read-only Postgres connections for one event loop, on psycopg2's asynchronous mode.

A worker of the API answers thousands of small requests a second. Handing each to a thread costs more than the query
itself (two switches under one interpreter lock), and blocking the loop would stop `/livez` together with Postgres;
psycopg2 can instead leave the waiting to the loop. Every query was prepared when its connection was opened and is one
statement, so one snapshot. This module is also the one place that translates the driver's errors of reads. Not
thread-safe: one pool per event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import psycopg2
from psycopg2 import errorcodes, sql

from customer_timeline.projections.postgres.loop_connection import LoopConnection, Row
from customer_timeline.projections.reading import ViewsUnavailableError

Fetch = Callable[[str, Sequence[object]], Awaitable[list[Row]]]
"""Rows of a prepared query, within one snapshot."""

Settings = tuple[tuple[str, str], ...]
"""Names and values of the server's settings for a session."""

POINT_READS: Settings = (
    # Every query starts at one identifier and walks indexes from there. On thin statistics the planner would sort a
    # long history, or read all things to find a customer's few.
    ("enable_bitmapscan", "off"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
)
# Which index serves depends on the filters that were given: the planner looks at each request.
LISTS: Settings = (("plan_cache_mode", "force_custom_plan"),)
_ALWAYS: Settings = (
    ("jit", "off"),
    ("TimeZone", "UTC"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_read_only", "on"),
    # A caller that went away closes its connection; the server then stops working on the query instead of finishing it.
    ("client_connection_check_interval", "1s"),
)


# Every read begins with this table. Who changes the names of sets locks it first, and then waits for reads that hold
# others and will end, not for reads that wait for it. Reads that begin elsewhere by themselves are led there.
_GATE = "LOCK TABLE identifier IN ACCESS SHARE MODE"


class ReadPool:
    """At most `size` connections, opened when first needed, each with the queries prepared.

    `timeout_s` bounds opening a connection, waiting for a free one, and (by the server) each query. `planning` is how
    the server plans them: POINT_READS or LISTS. `gated`: not all queries begin with the table of identifiers.
    """

    def __init__(
        self,
        dsn: str,
        schema: str,
        queries: Mapping[str, str],
        *,
        size: int,
        timeout_s: float,
        planning: Settings = POINT_READS,
        gated: bool = False,
    ) -> None:
        self._dsn = dsn
        self._before = f"{_GATE}; " if gated else ""
        self._size = size
        self._timeout_s = timeout_s
        self._setup = _setup(schema, queries.values(), planning, timeout_s)
        self._idle: list[LoopConnection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def busy(self) -> int:
        """Connections that are being opened or asked something."""
        return self._open - len(self._idle)

    async def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows of `statement`, an `EXECUTE` of a prepared query. Raises ViewsUnavailableError."""
        while True:
            connection = await self._take()
            reused = connection.used
            try:
                rows = await connection.fetch(self._before + statement, parameters)
            except psycopg2.Error as exc:
                self._drop(connection)
                # The server may have closed an idle connection (a restart); a read may simply be asked again, once per
                # connection that was idle, so this ends.
                if reused and _connection_lost(exc):
                    continue
                raise unavailable(exc) from exc
            except BaseException:
                # Cancelled half-way: the answer is still to come, nobody else may read it.
                self._drop(connection)
                raise
            self._give_back(connection)
            return rows

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Fetch]:
        """Several reads of one snapshot: what is fetched within the block. Raises ViewsUnavailableError."""
        connection = await self._begun()
        try:
            yield connection.fetch
            await connection.run("COMMIT")
        except psycopg2.Error as exc:
            self._drop(connection)
            raise unavailable(exc) from exc
        except BaseException:
            self._drop(connection)
            raise
        self._give_back(connection)

    async def _begun(self) -> LoopConnection:
        """A connection in a transaction; the server may have closed an idle one, then the next is tried."""
        while True:
            connection = await self._take()
            reused = connection.used
            try:
                await connection.run(f"BEGIN; {_GATE}")
            except psycopg2.Error as exc:
                self._drop(connection)
                if reused and _connection_lost(exc):
                    continue
                raise unavailable(exc) from exc
            except BaseException:
                self._drop(connection)
                raise
            return connection

    async def aclose(self) -> None:
        """Close the idle connections; those at work are closed when they come back."""
        idle, self._idle = self._idle, []
        for connection in idle:
            self._drop(connection)

    async def _take(self) -> LoopConnection:
        while True:
            while self._idle:
                connection = self._idle.pop()
                if connection.alive:
                    return connection
                self._drop(connection)
            if self._open < self._size:
                return await self._connect()
            await self._wait_for_free()

    async def _connect(self) -> LoopConnection:
        self._open += 1
        connection = LoopConnection()
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.open(self._dsn, self._setup)
        except TimeoutError as exc:
            self._drop(connection)
            raise ViewsUnavailableError(f"Postgres did not accept a connection within {self._timeout_s:g} s.") from exc
        except psycopg2.Error as exc:
            self._drop(connection)
            raise unavailable(exc) from exc
        except BaseException:
            self._drop(connection)
            raise
        return connection

    async def _wait_for_free(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._timeout_s):
                await turn
        except TimeoutError as exc:
            raise ViewsUnavailableError(
                f"All {self._size} connections to Postgres of this process were busy for {self._timeout_s:g} s."
            ) from exc
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake_next()  # the turn came in the same moment: it is the next one's
            raise

    def _give_back(self, connection: LoopConnection) -> None:
        self._idle.append(connection)
        self._wake_next()

    def _drop(self, connection: LoopConnection) -> None:
        connection.close()
        self._open -= 1
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


def _setup(schema: str, queries: Iterable[str], planning: Settings, timeout_s: float) -> list[sql.Composable]:
    settings = [
        *planning,
        *_ALWAYS,
        ("search_path", schema),
        ("statement_timeout", str(int(timeout_s * 1000))),
    ]
    calls = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, false)").format(
            sql.Literal(name), sql.Literal(f'"{value}"' if name == "search_path" else value)
        )
        for name, value in settings
    )
    return [sql.SQL("SELECT ") + calls, sql.SQL(";\n").join(sql.SQL(query) for query in queries)]


_SERVER_STOPS = frozenset(
    (errorcodes.ADMIN_SHUTDOWN, errorcodes.CRASH_SHUTDOWN, errorcodes.CANNOT_CONNECT_NOW, errorcodes.DATABASE_DROPPED)
)
_NO_TABLES = frozenset((errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_COLUMN, errorcodes.INVALID_SCHEMA_NAME))


def _connection_lost(exc: psycopg2.Error) -> bool:
    # No SQLSTATE: the connection broke rather than that the server refused.
    return exc.pgcode is None or exc.pgcode.startswith("08") or exc.pgcode in _SERVER_STOPS


def unavailable(exc: psycopg2.Error) -> ViewsUnavailableError:
    """Our error for the driver's, where it was only asked to read."""
    # The server's own words may quote addresses and user names: they stay in the cause, which is not shown to callers.
    if exc.pgcode in _NO_TABLES:
        return ViewsUnavailableError("The tables of the views are missing: run `customer-timeline migrate`.")
    if exc.pgcode == errorcodes.QUERY_CANCELED:
        return ViewsUnavailableError("Postgres took too long to answer.")
    if _connection_lost(exc):
        return ViewsUnavailableError("Postgres is not reachable.")
    return ViewsUnavailableError(f"Postgres refused to answer (SQLSTATE {exc.pgcode}).")
