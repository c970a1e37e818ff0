"""One read-only Postgres connection whose waiting is left to an event loop: psycopg2's asynchronous mode.

`pool` opens and hands them out. Errors of the driver pass through untouched: the pool translates them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

Row = tuple[Any, ...]


class LoopConnection:
    """One asynchronous connection.

    While open, its socket is watched by the loop all the time: that saves two system calls per query and shows at
    once when the server hangs up.
    """

    def __init__(self) -> None:
        self._raw: extensions.connection | None = None
        self._loop = asyncio.get_running_loop()
        self._fd = -1
        self._answer: asyncio.Future[None] | None = None
        self.used = False
        self.alive = False

    async def open(self, dsn: str, setup: Sequence[sql.Composable]) -> None:
        # typeshed knows the factory forms of connect() only.
        self._raw = raw = psycopg2.connect(dsn, async_=1, application_name="customer-timeline api")
        await self._wait_while_opening(raw)
        self._fd = raw.fileno()
        self._loop.add_reader(self._fd, self._readable)
        self.alive = True
        for statement in setup:
            await self._execute(raw, statement, ())
        self.used = False

    async def fetch(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        if self._raw is None:
            raise psycopg2.InterfaceError("connection already closed")
        cursor = await self._execute(self._raw, statement, parameters)
        return cursor.fetchall()

    async def run(self, statement: str) -> None:
        """Execute what gives no rows."""
        if self._raw is None:
            raise psycopg2.InterfaceError("connection already closed")
        await self._execute(self._raw, statement, ())

    def close(self) -> None:
        self.alive = False
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    async def _execute(
        self, raw: extensions.connection, statement: str | sql.Composable, parameters: Sequence[object]
    ) -> extensions.cursor:
        self.used = True
        cursor = raw.cursor()
        self._answer = answer = self._loop.create_future()
        cursor.execute(statement, parameters)
        self._advance(raw, answer)
        await answer
        return cursor

    def _readable(self) -> None:
        if self._raw is None:
            return
        if self._answer is None or self._answer.done():
            # Nothing was asked: the server hung up (or said so). Never use it again; the pool closes it.
            self.alive = False
            self._loop.remove_reader(self._fd)
            return
        self._advance(self._raw, self._answer)

    def _advance(self, raw: extensions.connection, answer: asyncio.Future[None]) -> None:
        try:
            state = raw.poll()
        except psycopg2.Error as exc:
            answer.set_exception(exc)
            return
        if state == extensions.POLL_OK:
            answer.set_result(None)
        elif state == extensions.POLL_WRITE:
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._fd)
        self._readable()

    async def _wait_while_opening(self, raw: extensions.connection) -> None:
        # The descriptor may change between two polls (several hosts, TLS refused), so nothing is kept registered here.
        while (state := raw.poll()) != extensions.POLL_OK:
            fd = raw.fileno()
            ready: asyncio.Future[None] = self._loop.create_future()
            watch, unwatch = (
                (self._loop.add_reader, self._loop.remove_reader)
                if state == extensions.POLL_READ
                else (self._loop.add_writer, self._loop.remove_writer)
            )
            watch(fd, _set_once(ready))
            try:
                await ready
            finally:
                unwatch(fd)


def _set_once(future: asyncio.Future[None]) -> Callable[[], None]:
    def ready() -> None:
        if not future.done():
            future.set_result(None)

    return ready
