"""Which set of tables a process works on, whatever its schema is called just now.

A switch gives the schema of the live set another name and its name to the rebuild. Readers go by the name and so come
to the new set; whoever writes goes on with its own. It keeps to the schema's oid, which no renaming changes, and asks
first in every transaction whether the connection still leads there: the question takes a lock on `view_set` that the
switch must wait for, so within a transaction the answer cannot change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from psycopg2 import errors

from customer_timeline.projections.journal import RefusedError, TransientStorageError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_FIND = "SELECT v.set_id::text, c.relnamespace::bigint FROM view_set v JOIN pg_class c ON c.oid = v.tableoid"
_NAME = "SELECT nspname FROM pg_namespace WHERE oid = %s"
# The sessions of the server are listed only while somebody holds the set.
_CHECK = """SELECT set_id::text, CASE WHEN held_pid IS NULL THEN false ELSE EXISTS (
    SELECT FROM pg_stat_activity a WHERE a.pid = v.held_pid AND a.backend_start = v.held_since) END FROM view_set v"""


class Place:
    """Where a set is, known once one connection has found it: shared by all that one process connects.

    `namespace`: the oid of its schema where it is known before.
    """

    def __init__(self, namespace: int | None = None) -> None:
        self.lock = threading.Lock()
        self.found = False
        self.namespace = namespace
        self.set_id: str | None = None


class ViewSetPin:
    """Keeps to the set that the first connection finds. `connect` opens a connection whose search_path names it.

    `holding`: this process is the one that holds the set still, so it need not wait for that. `place`: what another pin
    of this process has found, or will.
    """

    def __init__(self, connect: Callable[[], Connection], *, holding: bool = False, place: Place | None = None) -> None:
        self._connect = connect
        self._holding = holding
        self._place = place or Place()

    @property
    def namespace(self) -> int | None:
        """The oid of the set's schema; None before the first connection."""
        return self._place.namespace

    def connect(self) -> Connection:
        """A connection to the set, under the name that its schema has now. Raises RefusedError where it was dropped."""
        connection = self._connect()
        place = self._place
        try:
            with connection, connection.cursor() as cursor, place.lock:
                if place.namespace is not None:
                    self._point(cursor)
                if not place.found:
                    cursor.execute(_FIND)
                    place.set_id, place.namespace = cursor.fetchone() or (None, place.namespace)
                    place.found = True
        except BaseException:
            connection.close()
            raise
        return connection

    def check(self, cursor: Cursor) -> None:
        """Raise TransientStorageError where the connection leads to another set, or the set is held still."""
        try:
            cursor.execute(_CHECK)
        except errors.UndefinedTable as exc:
            # Nothing has the old name after a switch; a new connection finds the new one, or that the set was dropped.
            raise TransientStorageError("The tables have another name now.") from exc
        set_id, held = cursor.fetchone() or (None, False)
        if set_id != self._place.set_id:
            raise TransientStorageError("The tables were switched; this worker goes on with those that it has written.")
        if held and not self._holding:
            raise TransientStorageError("The tables are being verified and stand still meanwhile.")

    def _point(self, cursor: Cursor) -> None:
        cursor.execute(_NAME, [self._place.namespace])
        found = cursor.fetchone()
        if found is None:
            raise RefusedError(
                "The set of tables that this worker wrote was dropped. Start it again to work on the live set."
            )
        cursor.execute("SELECT set_config('search_path', quote_ident(%s), false)", [found[0]])
