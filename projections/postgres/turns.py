"""Whose turn it is to compute: one interpreter serves the thread that writes a batch and the one that decodes the next.

Left to themselves they take the interpreter from each other while the batch in hand, which everything waits for, could
go on. So the writer says when it computes and when it only waits for Postgres, and whoever works ahead pauses between
two records while it computes. Advice, not a lock: nothing is protected by it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import cursor


class Turns:
    """Shared by one thread that goes first and those that let it."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._busy = False

    def let_first(self) -> None:
        """Return when the one that goes first does not compute; at once if so."""
        # Called for every record: a flag of our own is asked in a fifth of the time that the event takes.
        if self._busy:
            self._free.wait()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The one that goes first computes, but for what it does under `waiting`."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """It waits for somebody else meanwhile."""
        computing = self._busy
        self._give()
        try:
            yield
        finally:
            if computing:
                self._take()

    def _take(self) -> None:
        self._free.clear()
        self._busy = True

    def _give(self) -> None:
        self._busy = False
        self._free.set()

    def cursor_class(self) -> type[cursor]:
        """A cursor that lets others compute while Postgres works."""
        turns = self

        class WaitingCursor(cursor):
            def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - the driver's own name
                with turns.waiting():
                    super().execute(query, vars)

            def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
                with turns.waiting():
                    super().copy_expert(sql, file, size)

        return WaitingCursor
