"""The bounded buffer of a publisher: who may enter, what is still on the way, what failed first.

kafka-python 3 has no bound of its own (its accumulator grows until memory ends), and its `flush` reports no failure.
This counts bytes and waits; it holds no event and knows no Kafka.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from customer_timeline.producers.acknowledged import AcknowledgedPositions
from customer_timeline.producers.errors import BufferFull, FlushTimeout, PublisherClosed
from customer_timeline.producers.protocol import PublisherCounts
from customer_timeline.schemas.position_token import PositionToken


class DeliveryBuffer:
    """Thread-safe accounts of events on their way: `admit` before sending, `settle` or `fail` once after it."""

    def __init__(self, limit_bytes: int, block_s: float) -> None:
        self._limit_bytes = limit_bytes
        self._block_s = block_s
        self._changed = threading.Condition(threading.Lock())
        self._waiting = 0
        self._bytes = 0
        # Events on the way, counted by the flush they belong to: a flush waits for its own and older ones only, so
        # other threads that keep publishing cannot hold it up.
        self._round = 0
        self._pending: dict[int, int] = {}
        self._accepted = 0
        self._acknowledged = 0
        self._failed = 0
        self._positions = AcknowledgedPositions()
        self._first_failure: Exception | None = None
        self._closed = False
        # Whether an event was admitted of which the client may or may not know: a signal should wait, for what it
        # raises there would leave an account that is wrong.
        self.handing_over = False

    @property
    def counts(self) -> PublisherCounts:
        """A consistent snapshot."""
        with self._changed:
            return PublisherCounts(self._accepted, self._acknowledged, self._failed)

    def token(self, topic_id: str) -> PositionToken | None:
        """See `Publisher.token`."""
        with self._changed:
            return self._positions.token(topic_id)

    def admit(self, size: int) -> int:
        """Take `size` bytes of room, waiting for it; returns the round to hand back to `settle` or `fail`.

        `handing_over` is true from then on, until the caller sets it to false.

        An event larger than the whole buffer enters when it is empty. Raises `BufferFull` or `PublisherClosed`.
        """
        with self._changed:
            if not self._wait(lambda: self._closed or self._has_room(size), self._block_s):
                raise BufferFull(self._bytes, self._block_s)
            if self._closed:
                raise PublisherClosed
            self.handing_over = True
            self._bytes += size
            self._accepted += 1
            self._pending[self._round] = self._pending.get(self._round, 0) + 1
            return self._round

    def withdraw(self, size: int, round_: int) -> None:
        """Undo `admit` for an event that could not even be handed to the client."""
        with self._changed:
            self._accepted -= 1
            self._leave(size, round_)

    def settle(self, size: int, round_: int, partition: int, offset: int) -> None:
        """Note that one event was acknowledged, and where (`offset` below 0: Kafka forgot), and free its room."""
        with self._changed:
            self._acknowledged += 1
            self._positions.add(partition, offset)
            self._leave(size, round_)

    def fail(self, size: int, round_: int, failure: Exception) -> None:
        """Note that one event was not acknowledged, and free its room."""
        with self._changed:
            self._failed += 1
            self._first_failure = self._first_failure or failure
            self._leave(size, round_)

    def drain(self, timeout_s: float) -> None:
        """Wait for everything accepted before the call, then raise and forget the first failure, if there was one."""
        with self._changed:
            last = self._round
            self._round += 1
            if not self._wait(lambda: self._left(last) == 0, timeout_s):
                raise FlushTimeout(self._left(last), timeout_s)
            failure, self._first_failure = self._first_failure, None
        if failure is not None:
            raise failure

    def close(self) -> bool:
        """Admit nobody any more. False where it was closed before."""
        with self._changed:
            was_open, self._closed = not self._closed, True
            self._changed.notify_all()
            return was_open

    def _has_room(self, size: int) -> bool:
        return not self._bytes or self._bytes + size <= self._limit_bytes

    def _left(self, last: int) -> int:
        return sum(count for round_, count in self._pending.items() if round_ <= last)

    def _leave(self, size: int, round_: int) -> None:
        if round_ not in self._pending:
            # One was withdrawn that the client had taken after all: a signal was raised in between (`handing_over`).
            self._accepted += 1
            return
        self._bytes -= size
        self._pending[round_] -= 1
        if not self._pending[round_]:
            del self._pending[round_]
        if not self._pending:
            self._bytes = 0
        if self._waiting:
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        # Condition.wait_for, and a count of who waits: settling runs for every event and must not notify nobody.
        if condition():
            return True
        until = time.monotonic() + timeout_s
        self._waiting += 1
        try:
            while not condition():
                left_s = until - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    return condition()
            return True
        finally:
            self._waiting -= 1
