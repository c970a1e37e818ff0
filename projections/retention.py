"""What the task that exports old dead letters and has them removed asks of the tables. Protocol and values only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from customer_timeline.projections.dead_letters import DeadLetter, DeadLetterPlace


class DeadLetterKeeping(Protocol):
    """The tables, to one such task; used by one thread at a time.

    Every method raises TransientStorageError where it may succeed later.
    """

    def hold(self) -> bool:
        """Whether this is the only such task of the deployment, on the set that serves; true until `close`, or until a
        method raises.
        """
        ...

    def applied_until(self, topic: str) -> int:
        """Until which position (exclusive) the topic of operations is applied."""
        ...

    def is_applied(self, operation_id: str) -> bool:
        """Whether the operation is applied."""
        ...

    def oldest(self, until: datetime, limit: int) -> Sequence[DeadLetterPlace]:
        """At most `limit` dead letters recorded before `until`, the oldest first."""
        ...

    def letters(self, places: Sequence[DeadLetterPlace]) -> Sequence[DeadLetter]:
        """Those of the records that are dead letters, whole, in the order of the log."""
        ...

    def stored(self, exported: Sequence[tuple[DeadLetterPlace, str]]) -> Sequence[DeadLetterPlace]:
        """Those of the records that are dead letters with the bytes of that SHA-256, in the order of the log."""
        ...

    def close(self) -> None:
        """Let another task go on, and give the connection back; safe to call twice."""
        ...
