"""What every publisher on Kafka does, whichever client sends: checking, the bounded buffer, waiting, forks, closing.

`publisher` (kafka-python) and `confluent_publisher` (librdkafka) add how one event is handed to their client and how
the client is given up. No client is imported here.
"""

from __future__ import annotations

import abc
import functools
import os
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from customer_timeline.producers.buffer import DeliveryBuffer
from customer_timeline.producers.errors import DeliveryFailed, PublisherForked, PublishError
from customer_timeline.producers.protocol import Position, PublisherCounts, Receipt
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.envelope import MAX_EVENT_BYTES, Event
from customer_timeline.schemas.position_token import PositionToken

CONTENT_TYPE: Final = ("content-type", b"application/cloudevents+json")  # CloudEvents Kafka binding, structured mode
REQUEST_BYTES: Final = MAX_EVENT_BYTES + 64 * 1024  # the largest event with key, headers and the batch, as the topic
EVENT_OVERHEAD_BYTES: Final = 1024  # receipt and callbacks of an event on the way: 1.1 KiB measured with kafka-python
GRACE_S: Final = 10.0  # beyond the delivery time-out: clients check theirs in a loop, not on the spot


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherOptions:
    """How a publisher waits and how much it holds. The defaults suit an adapter and a bulk import alike."""

    buffer_bytes: int = 32 * 1024 * 1024
    """Memory for events on the way to Kafka, their bookkeeping included; more makes `publish` wait."""
    block_s: float = 60.0
    """How long `publish` waits for room before it raises `BufferFull`."""
    delivery_timeout_s: float = 120.0
    """Retries go on without a limit of number for this long; then the event counts as failed."""
    request_timeout_s: float = 30.0
    """How long one request may take before it is tried again on a new connection."""
    connect_timeout_s: float = 10.0
    """How long the first contact may take before `KafkaUnreachable`."""
    linger_s: float = 0.005
    """How long a batch may wait to fill up; the price of throughput in latency."""
    batch_bytes: int = 512 * 1024
    """A batch of one partition before compression."""
    client_id: str | None = None
    """A name for this client in Kafka's logs and quotas."""

    def __post_init__(self) -> None:
        if self.delivery_timeout_s <= self.linger_s or min(self.buffer_bytes, self.connect_timeout_s) <= 0:
            raise ValueError("buffer_bytes and connect_timeout_s are above 0, delivery_timeout_s is above linger_s")


class BufferedPublisher(abc.ABC):
    """A `Publisher` on Kafka but for its client. A subclass connects when it is made, and then calls `_adopted`."""

    _topic_id: str

    refusals: ClassVar[tuple[type[Exception], ...]]
    """What the client raises for an event that it does not take."""

    def __init__(
        self,
        topic: str,
        codec: Codec,
        options: PublisherOptions | None = None,
        now: Callable[[], datetime] = functools.partial(datetime.now, UTC),  # noqa: B008 - called later, not here
    ) -> None:
        self._options = options or PublisherOptions()
        self._topic = topic
        self._codec = codec
        self._now = now
        self._pid = os.getpid()
        self._buffer = DeliveryBuffer(self._options.buffer_bytes, self._options.block_s)
        self._patience_s = self._options.delivery_timeout_s + GRACE_S

    @abc.abstractmethod
    def _send(self, event: DecodedEvent, size: int, round_: int) -> Receipt:
        """Hand the event to the client, and see to it that the buffer is told once when its fate is known.

        Raises one of `refusals` where the client does not take it; then nothing is told.
        """

    @abc.abstractmethod
    def _shut(self) -> None:
        """Give up the client's threads and sockets; nothing is on the way any more."""

    @abc.abstractmethod
    def _abandon(self) -> None:
        """The same although events are on the way: they fail, so that nobody waits for a receipt in vain."""

    @abc.abstractmethod
    def _disown(self) -> None:
        """In a forked child: nothing that ends the process may wait for threads that only the parent has."""

    def _adopted(self, topic_id: str) -> None:
        self._topic_id = topic_id
        _ALIVE.add(self)

    @property
    def counts(self) -> PublisherCounts:
        """See `Publisher.counts`."""
        self._refuse_after_fork()
        return self._buffer.counts

    @property
    def token(self) -> PositionToken | None:
        """See `Publisher.token`."""
        self._refuse_after_fork()
        return self._buffer.token(self._topic_id)

    @property
    def handing_over(self) -> bool:
        """See `Publisher.handing_over`."""
        return self._buffer.handing_over

    def publish(self, event: Event[Any] | DecodedEvent) -> Receipt:
        """See `Publisher.publish`."""
        self._refuse_after_fork()
        decoded = event if isinstance(event, DecodedEvent) else self._read_back(event)
        size = len(decoded.value) + EVENT_OVERHEAD_BYTES
        round_ = self._buffer.admit(size)
        try:
            return self._send(decoded, size, round_)
        except BaseException as exc:
            self._buffer.withdraw(size, round_)
            if isinstance(exc, self.refusals):
                raise DeliveryFailed(decoded.event_id, self._topic, type(exc).__name__) from exc
            raise
        finally:
            self._buffer.handing_over = False

    def publish_all(self, events: Iterable[Event[Any] | DecodedEvent]) -> list[Position]:
        """See `Publisher.publish_all`."""
        receipts = [self.publish(event) for event in events]
        positions: list[Position] = []
        first_failure: PublishError | None = None
        until = time.monotonic() + self._patience_s
        for receipt in receipts:
            try:
                positions.append(receipt.position(max(0.0, until - time.monotonic())))
            except DeliveryFailed as exc:
                first_failure = first_failure or exc
        if first_failure is not None:
            raise first_failure
        return positions

    def flush(self, timeout_s: float | None = None) -> None:
        """See `Publisher.flush`."""
        self._refuse_after_fork()
        # Batches leave by themselves after `linger_s`. The clients' own flush is not used: none reports a failure, and
        # that of kafka-python breaks where a batch is split meanwhile.
        self._buffer.drain(self._patience_s if timeout_s is None else timeout_s)

    def close(self, timeout_s: float | None = None) -> None:
        """See `Publisher.close`. In a forked child it does nothing: the connections are the parent's."""
        if os.getpid() != self._pid or not self._buffer.close():
            return
        try:
            self._buffer.drain(self._patience_s if timeout_s is None else timeout_s)
        except BaseException:
            self._abandon()
            raise
        self._shut()

    def __enter__(self) -> Self:
        """See `Publisher.__enter__`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """See `Publisher.__exit__`."""
        try:
            self.close()
        except PublishError as exc:
            if error is None:
                raise
            error.add_note(f"While closing the publisher: {exc}")

    def _read_back(self, event: Event[Any]) -> DecodedEvent:
        return self._codec.decode(self._codec.encode(event), appended_at=self._now())

    def _refuse_after_fork(self) -> None:
        # Before any lock is touched: the fork may have copied one that its owner, not here, can never release.
        if os.getpid() != self._pid:
            raise PublisherForked(self._pid, os.getpid())


_ALIVE: weakref.WeakSet[BufferedPublisher] = weakref.WeakSet()


def _disown_all() -> None:
    for publisher in list(_ALIVE):
        publisher._disown()


os.register_at_fork(after_in_child=_disown_all)
