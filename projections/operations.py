"""What the consumer of operations asks of a store, and what it is told. Protocol and values only."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol


class OperationRecord(NamedTuple):
    """A record of the topic of operations."""

    topic: str
    position: int
    appended_at: datetime
    value: bytes | None


class OperationApplied(NamedTuple):
    """What one operation did. `healed`: dead letters that became events; `failed`: those read again that are none
    still; `removed`: records removed that were not removed before; `refused`: why the record is no operation.
    """

    kind: str
    records: int
    healed: int = 0
    failed: int = 0
    removed: int = 0
    refused: str | None = None


class OperationsStore(Protocol):
    """Applies operations, each once, whichever worker is first. Used by one thread at a time.

    Every method raises TransientStorageError where it may succeed later.
    """

    def next_offset(self, topic: str) -> int:
        """Where to go on in the topic."""
        ...

    def operate(self, record: OperationRecord) -> OperationApplied | None:
        """Apply one operation and move the offset, in one transaction; None where another worker was first."""
        ...

    def close(self) -> None:
        """Give the connection back; safe to call twice."""
        ...
