"""The sweeper's connections: opened when first needed, one transaction at a time, given up at the first error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg2

from customer_timeline.projections.postgres.errors import translated, translating

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


class SweeperSession:
    """One connection, used by one thread at a time. `settings`: the server's, for this session. `belongs` is asked
    first in every transaction: it raises where the connection does not lead to the right tables.
    """

    def __init__(
        self, connect: Callable[[], Connection], settings: Mapping[str, str], belongs: Callable[[Cursor], None]
    ) -> None:
        self._connect = connect
        self._belongs = belongs
        # Whoever hangs inside a transaction must not hold its locks for ever.
        self._settings = {"idle_in_transaction_session_timeout": "10s", **settings}
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A transaction: committed at the end of the body, undone by any error; the driver's are translated."""
        try:
            if self._connection is None:
                self._connection = self._connect()
                with self._connection.cursor() as cursor:
                    for name, value in self._settings.items():
                        cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
                self._connection.commit()
            with self._connection.cursor() as cursor:
                self._belongs(cursor)
                yield cursor
            self._connection.commit()
        except psycopg2.Error as error:
            self._abandon()
            raise translated(error) from error
        except BaseException:
            self._abandon()
            raise

    def close(self) -> None:
        """Give the connection back; safe to call twice."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with translating():
                connection.close()

    def _abandon(self) -> None:
        # A broken or half-done connection is never used again.
        connection, self._connection = self._connection, None
        if connection is not None and not connection.closed:
            connection.close()
