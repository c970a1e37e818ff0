"""Appending events to Kafka with kafka-python: idempotent, acknowledged by all replicas, bounded.

Adapters and the command line make one `KafkaPublisher` for a process and share it. Everything that the client leaves
open is closed here: its buffer has no bound, it creates missing topics, it writes keys and values to its debug log,
it waits for ever where it cannot get a producer id, and in a forked child it waits for a thread that is not there.
"""

from __future__ import annotations

import functools
import logging
import os
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.producer.future import FutureRecordMetadata

from customer_timeline.producers.buffer import DeliveryBuffer
from customer_timeline.producers.errors import (
    DeliveryFailed,
    KafkaUnreachable,
    PublisherForked,
    PublishError,
    TopicMissing,
)
from customer_timeline.producers.partitioning import RememberingPartitioner, partition_key
from customer_timeline.producers.protocol import Position, PublisherCounts, Receipt
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.envelope import MAX_EVENT_BYTES, Event

CONTENT_TYPE = ("content-type", b"application/cloudevents+json")  # CloudEvents Kafka binding, structured mode
REQUEST_BYTES = MAX_EVENT_BYTES + 64 * 1024  # the largest event with key, headers and the batch around it, as the topic
EVENT_OVERHEAD_BYTES = 1024  # futures and callbacks of an event on the way: 1.1 KiB measured
GRACE_S = 10.0  # beyond the delivery time-out: the client's own time-outs are checked by a loop, not on the spot


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


class KafkaReceipt:
    """The promise of one event that `KafkaPublisher` accepted."""

    __slots__ = ("_future", "_timeout_s", "_topic", "event_id")

    def __init__(self, id_: str, topic: str, future: FutureRecordMetadata, timeout_s: float) -> None:
        self.event_id = id_
        self._topic = topic
        self._future = future
        self._timeout_s = timeout_s

    def done(self) -> bool:
        """See `Receipt.done`."""
        return bool(self._future.is_done)

    def position(self, timeout_s: float | None = None) -> Position:
        """See `Receipt.position`."""
        try:
            record = self._future.get(self._timeout_s if timeout_s is None else timeout_s)
        except KafkaError as exc:
            raise DeliveryFailed(self.event_id, self._topic, type(exc).__name__) from exc
        if record.offset < 0:
            # Kafka says "I have that already" for a batch older than those whose offsets it remembers.
            raise DeliveryFailed(self.event_id, record.topic, "it is in the log, its offset was forgotten")
        return Position(record.topic, record.partition, record.offset)


class KafkaPublisher:
    """A `Publisher` on kafka-python. Connects when made, and raises `KafkaUnreachable` or `TopicMissing` then."""

    def __init__(
        self,
        bootstrap: str,
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
        _keep_personal_data_out_of_debug_logs()
        _require_topic(bootstrap, topic, self._options)
        self._producer = _connect(bootstrap, topic, self._options)
        _ALIVE.add(self)

    @property
    def counts(self) -> PublisherCounts:
        """See `Publisher.counts`."""
        self._refuse_after_fork()
        return self._buffer.counts

    def publish(self, event: Event[Any] | DecodedEvent) -> Receipt:
        """See `Publisher.publish`."""
        self._refuse_after_fork()
        decoded = event if isinstance(event, DecodedEvent) else self._read_back(event)
        size = len(decoded.value) + EVENT_OVERHEAD_BYTES
        round_ = self._buffer.admit(size)
        try:
            future = self._producer.send(
                self._topic, value=decoded.value, key=partition_key(decoded), headers=[CONTENT_TYPE]
            )
        except BaseException as exc:
            self._buffer.withdraw(size, round_)
            if isinstance(exc, (KafkaError, ValueError)):  # ValueError: the topic has gone
                raise DeliveryFailed(decoded.event_id, self._topic, type(exc).__name__) from exc
            raise
        # The client runs these in its own thread, or here and now where the future is decided already.
        future.add_callback(functools.partial(self._delivered, size, round_))
        future.add_errback(functools.partial(self._failed, size, round_, decoded.event_id))
        return KafkaReceipt(decoded.event_id, self._topic, future, self._patience_s)

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
        # Batches leave by themselves after `linger_s`. The client's own flush is not used: it reports no failure, and
        # it breaks where a batch is split meanwhile.
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
        self._producer.close(timeout=GRACE_S)

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

    def _delivered(self, size: int, round_: int, _record: object) -> None:
        self._buffer.settle(size, round_)

    def _failed(self, size: int, round_: int, id_: str, cause: BaseException) -> None:
        failure = DeliveryFailed(id_, self._topic, type(cause).__name__)
        failure.__cause__ = cause
        self._buffer.settle(size, round_, failure)

    def _refuse_after_fork(self) -> None:
        # Before any lock is touched: the fork may have copied one that its owner, not here, can never release.
        if os.getpid() != self._pid:
            raise PublisherForked(self._pid, os.getpid())

    def _abandon(self) -> None:
        # `KafkaProducer.close` flushes without an end first; only its sender can be told to give up now. What is
        # still on the way then fails, so nobody waits for a receipt in vain.
        self._producer._sender.force_close()
        self._producer._sender.join(GRACE_S)
        self._producer.close(timeout=GRACE_S)

    def _disown(self) -> None:
        # Runs in a forked child: the finaliser and the exit handler of the client must not wait for its missing thread.
        self._producer._closed = True


_ALIVE: weakref.WeakSet[KafkaPublisher] = weakref.WeakSet()


def _disown_all() -> None:
    for publisher in list(_ALIVE):
        publisher._disown()


os.register_at_fork(after_in_child=_disown_all)


class _NoTopicCreation(KafkaNetClient):  # type: ignore[misc]
    """The client's network layer, told not to create topics: 3.0.12 takes that setting and loses it on the way here."""

    def __init__(self, **configs: Any) -> None:
        super().__init__(**configs)
        self.cluster.config["allow_auto_create_topics"] = False


def _connect(bootstrap: str, topic: str, options: PublisherOptions) -> KafkaProducer:
    request_timeout_s = min(options.request_timeout_s, options.delivery_timeout_s - options.linger_s)
    try:
        producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=options.client_id,
            enable_idempotence=True,
            acks="all",
            retries=float("inf"),
            compression_type="lz4",
            linger_ms=round(options.linger_s * 1000),
            batch_size=options.batch_bytes,
            max_request_size=REQUEST_BYTES,
            delivery_timeout_ms=round(options.delivery_timeout_s * 1000),
            request_timeout_ms=round(request_timeout_s * 1000),
            bootstrap_timeout_ms=round(options.connect_timeout_s * 1000),
            max_block_ms=round(options.block_s * 1000),
            # A broker that restarts is away for seconds; the default may look away for half a minute.
            reconnect_backoff_max_ms=1000,
            allow_auto_create_topics=False,
            partitioner=RememberingPartitioner(),
            kafka_client=_NoTopicCreation,
            metrics_enabled=False,
        )
    except KafkaTimeoutError as exc:
        raise KafkaUnreachable(bootstrap, options.connect_timeout_s) from exc
    try:
        # Now rather than with the first event, which would wait for it unaccounted.
        producer.partitions_for(topic)
    except KafkaError as exc:
        producer.close(timeout=GRACE_S)
        raise KafkaUnreachable(bootstrap, options.block_s) from exc
    return producer


def _require_topic(bootstrap: str, topic: str, options: PublisherOptions) -> None:
    # Listing is the one question about a topic that never creates it, on any broker.
    timeout_ms = round(options.connect_timeout_s * 1000)
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=timeout_ms)
    except (KafkaTimeoutError, ValueError) as exc:  # ValueError: an address that is none
        raise KafkaUnreachable(bootstrap, options.connect_timeout_s) from exc
    try:
        if topic not in admin.list_topics():
            raise TopicMissing(topic, bootstrap)
    except KafkaError as exc:
        raise KafkaUnreachable(bootstrap, options.connect_timeout_s) from exc
    finally:
        admin.close()


def _keep_personal_data_out_of_debug_logs() -> None:
    # At DEBUG kafka-python writes key, value and headers of every record.
    logger = logging.getLogger("kafka")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)
