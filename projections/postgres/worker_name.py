"""The name of a worker: one process goes by it, the one that came last. Used by the journal.

Kafka knows the name as `group.instance.id` and gives the partitions to whoever joins under it; of two processes that
live, each would take them from the other for ever. So the newcomer takes the name over once, and the other one stops
when it next takes partitions over or finds that its epoch has passed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from customer_timeline.projections.journal import RefusedError

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class


class WorkerName:
    """One process and its name; a worker with no name (None) takes none and is never refused."""

    def __init__(self, name: str | None, sql: Mapping[str, str]) -> None:
        self._name = name
        self._sql = sql
        self._process = str(uuid.uuid4())
        self._taken_at: datetime | None = None

    def check(self, cursor: Cursor) -> None:
        """Raise RefusedError where another process took the name over after this one had it."""
        if self._taken_at is None:
            return
        process, taken_at = self._holder(cursor)
        # One that took it earlier is no successor: the tables were set back to a time before this process.
        if process != self._process and taken_at is not None and taken_at > self._taken_at:
            since = f"{taken_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            raise RefusedError(
                f"Another worker was started under the name of this one, {self._name}, and took its partitions over at "
                f"{since}, so this one stops; nothing is lost. Two workers under one name would take the partitions "
                f"from each other for ever. Give each a name of its own (CUSTOMER_TIMELINE_WORKER_INSTANCE_ID) and "
                f"start this one again, or leave it stopped if the other was to replace it."
            )

    def take(self, cursor: Cursor) -> None:
        """Take the name over, once in the life of a process, or again where the tables were set back since.

        Raises RefusedError as `check` does: one that was replaced must not take the name back.
        """
        if self._name is None:
            return
        self.check(cursor)
        if self._taken_at is not None and self._holder(cursor)[0] == self._process:
            return
        cursor.execute(self._sql["take_name"], {"name": self._name, "process": self._process})
        (self._taken_at,) = cursor.fetchone() or (None,)

    def _holder(self, cursor: Cursor) -> tuple[str | None, datetime | None]:
        cursor.execute(self._sql["name_holder"], {"name": self._name})
        return cursor.fetchone() or (None, None)
