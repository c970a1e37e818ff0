"""A log in memory: for the tests of adapters, and for trying one without a Kafka.

`MemoryPublisher` keeps the promises of `Publisher` (the same contract suite says so) but durability: all that it holds
ends with the process. Nothing here blocks, so nothing here is bounded.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

from customer_timeline.producers.acknowledged import AcknowledgedPositions
from customer_timeline.producers.delivery import CONTENT_TYPE
from customer_timeline.producers.errors import PublisherClosed, PublisherForked
from customer_timeline.producers.partitioning import partition_key
from customer_timeline.producers.protocol import Position, PublisherCounts, Receipt
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.envelope import Event
from customer_timeline.schemas.position_token import EventPosition, PositionToken


class MemoryRecord(NamedTuple):
    """One record as Kafka would hold it."""

    position: Position
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class MemoryReceipt:
    """The receipt of an event that stands in the log already."""

    __slots__ = ("_position", "_topic_id", "event_id")

    def __init__(self, id_: str, position: Position, topic_id: str) -> None:
        self.event_id = id_
        self._position = position
        self._topic_id = topic_id

    def done(self) -> bool:
        """See `Receipt.done`."""
        return True

    def position(self, timeout_s: float | None = None) -> Position:
        """See `Receipt.position`."""
        return self._position

    def token(self, timeout_s: float | None = None) -> PositionToken:
        """See `Receipt.token`."""
        return PositionToken.of_events(self._topic_id, [EventPosition(*self._position[1:])])


class MemoryPublisher:
    """A `Publisher` whose log is the list `records`."""

    def __init__(
        self,
        codec: Codec,
        topic: str = "touchpoints",
        partitions: int = 4,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.records: list[MemoryRecord] = []
        self._codec = codec
        self._topic = topic
        self._now = now
        self._ends = [0] * partitions
        self._positions = AcknowledgedPositions()
        self._topic_id = str(uuid.uuid4())  # another log, another id
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def counts(self) -> PublisherCounts:
        """See `Publisher.counts`."""
        self._refuse_after_fork()
        return PublisherCounts(len(self.records), len(self.records), 0)

    @property
    def token(self) -> PositionToken | None:
        """See `Publisher.token`."""
        self._refuse_after_fork()
        with self._lock:
            return self._positions.token(self._topic_id)

    @property
    def handing_over(self) -> bool:
        """See `Publisher.handing_over`: there is no client."""
        return False

    def publish(self, event: Event[Any] | DecodedEvent) -> Receipt:
        """See `Publisher.publish`."""
        self._refuse_after_fork()
        if not isinstance(event, DecodedEvent):
            event = self._codec.decode(self._codec.encode(event), appended_at=self._now())
        key = partition_key(event)
        with self._lock:
            if self._closed:
                raise PublisherClosed
            partition = sum(key or b"") % len(self._ends)  # the same key, the same partition: all that is promised
            position = Position(self._topic, partition, self._ends[partition])
            self._ends[partition] += 1
            self._positions.add(position.partition, position.offset)
            self.records.append(MemoryRecord(position, key, event.value, (CONTENT_TYPE,)))
        return MemoryReceipt(event.event_id, position, self._topic_id)

    def publish_all(self, events: Iterable[Event[Any] | DecodedEvent]) -> list[Position]:
        """See `Publisher.publish_all`."""
        return [self.publish(event).position() for event in events]

    def flush(self, timeout_s: float | None = None) -> None:
        """See `Publisher.flush`: everything is there already."""
        self._refuse_after_fork()

    def close(self, timeout_s: float | None = None) -> None:
        """See `Publisher.close`."""
        if os.getpid() == self._pid:
            self._closed = True

    def __enter__(self) -> Self:
        """See `Publisher.__enter__`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """See `Publisher.__exit__`."""
        self.close()

    def _refuse_after_fork(self) -> None:
        if os.getpid() != self._pid:
            raise PublisherForked(self._pid, os.getpid())
