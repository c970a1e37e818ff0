"""The tables to the task that exports old dead letters: which there are, and who of several workers is the one.

It writes nothing. What is removed is an operation in the log, applied like every other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from customer_timeline.projections.dead_letters import DeadLetter, DeadLetterPlace
from customer_timeline.projections.postgres.dead_letters import AT_PLACES, letter_of
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.postgres.sweeper_session import SweeperSession

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


class RetentionStore:
    """Implements `projections.retention.DeadLetterKeeping`. `schema`: the name of the set that serves; `version`: the
    projection's, tables of another are left alone; `belongs`: see `SweeperSession`.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        schema: str,
        *,
        version: str,
        belongs: Callable[[Cursor], None] = lambda cursor: None,
    ) -> None:
        self._session = SweeperSession(connect, {"jit": "off"}, belongs)
        self._here = {"schema": schema, "version": version}
        self._sql = named_queries("retention.sql")

    def hold(self) -> bool:
        """See `DeadLetterKeeping.hold`."""
        # The lock is the session's: whoever loses the connection loses it, and its next statement fails.
        return bool(self._one("is_live", self._here)) and bool(self._one("hold", self._here))

    def applied_until(self, topic: str) -> int:
        """See `DeadLetterKeeping.applied_until`."""
        return int(self._one("next_offset", {"topic": topic}) or 0)

    def is_applied(self, operation_id: str) -> bool:
        """See `DeadLetterKeeping.is_applied`."""
        return bool(self._one("is_applied", {"operation_id": operation_id}))

    def oldest(self, until: datetime, limit: int) -> Sequence[DeadLetterPlace]:
        """See `DeadLetterKeeping.oldest`."""
        return [DeadLetterPlace(*row) for row in self._rows("oldest", {"until": until, "limit": limit})]

    def letters(self, places: Sequence[DeadLetterPlace]) -> Sequence[DeadLetter]:
        """See `DeadLetterKeeping.letters`."""
        with self._session.transaction() as cursor:
            cursor.execute(named_queries("dead_letters.sql")["dead_letters_at"])  # as readers have it prepared
            cursor.execute(AT_PLACES, tuple(_columns(places).values()))
            found = cursor.fetchall()
            cursor.execute("DEALLOCATE dead_letters_at")
        return [letter_of(row) for row in found]

    def stored(self, exported: Sequence[tuple[DeadLetterPlace, str]]) -> Sequence[DeadLetterPlace]:
        """See `DeadLetterKeeping.stored`."""
        named: dict[str, object] = {
            **_columns([place for place, _ in exported]),
            "hashes": [sha256 for _, sha256 in exported],
        }
        return [DeadLetterPlace(*row) for row in self._rows("stored", named)]

    def close(self) -> None:
        """See `DeadLetterKeeping.close`."""
        self._session.close()

    def _rows(self, query: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        with self._session.transaction() as cursor:
            cursor.execute(self._sql[query], parameters)
            return list(cursor.fetchall())

    def _one(self, query: str, parameters: Mapping[str, object]) -> Any:
        rows = self._rows(query, parameters)
        return rows[0][0] if rows else None


def _columns(places: Sequence[DeadLetterPlace]) -> dict[str, list[Any]]:
    return {
        "topics": [place.topic for place in places],
        "parts": [place.partition for place in places],
        "positions": [place.offset for place in places],
    }
