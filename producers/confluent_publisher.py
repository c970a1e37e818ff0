"""Appending events to Kafka with librdkafka: the same promises as with kafka-python, at a fraction of the cost.

Needs the extra `fast` (confluent-kafka), which is imported only here. librdkafka batches, compresses and sends in its
own threads without Python's lock; what is left in Python is one call for an event and one callback for its fate.
Whoever calls back is a thread of ours, so that receipts are decided whether or not anybody publishes.

One difference remains: librdkafka never splits a batch that a topic finds too large. The topics of this product take
more than `batch_bytes`; on another one lower it, or events fail with MSG_SIZE_TOO_LARGE.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from customer_timeline.producers.buffer import DeliveryBuffer
from customer_timeline.producers.delivery import (
    CONTENT_TYPE,
    GRACE_S,
    REQUEST_BYTES,
    BufferedPublisher,
    PublisherOptions,
)
from customer_timeline.producers.errors import DeliveryFailed, KafkaUnreachable, PackageMissing, TopicMissing
from customer_timeline.producers.partitioning import partition_key
from customer_timeline.producers.protocol import Position, Receipt
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.position_token import EventPosition, PositionToken

try:
    from confluent_kafka import KafkaException, Message, Producer, TopicCollection
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import KafkaError
except ImportError as exc:
    raise PackageMissing("The publisher `confluent` needs confluent-kafka", "fast") from exc

_POLL_S: Final = 0.1
_LOGGER: Final = logging.getLogger("kafka.librdkafka")  # below `kafka`, so that one level rules both clients
_WAITERS: Final = threading.Lock()


class ConfluentReceipt:
    """The promise of one event that `ConfluentPublisher` accepted."""

    __slots__ = (
        "_buffer",
        "_failure",
        "_position",
        "_round",
        "_size",
        "_timeout_s",
        "_topic",
        "_topic_id",
        "_waiter",
        "event_id",
    )

    def __init__(
        self, id_: str, topic: str, topic_id: str, timeout_s: float, buffer: DeliveryBuffer, size: int, round_: int
    ) -> None:
        self.event_id = id_
        self._topic = topic
        self._topic_id = topic_id
        self._timeout_s = timeout_s
        self._buffer = buffer
        self._size = size
        self._round = round_
        self._position: Position | None = None
        self._failure: DeliveryFailed | None = None
        # Made by the first who waits: an event that nobody waits for must not pay for one.
        self._waiter: threading.Event | None = None

    def done(self) -> bool:
        """See `Receipt.done`."""
        return self._position is not None or self._failure is not None

    def position(self, timeout_s: float | None = None) -> Position:
        """See `Receipt.position`."""
        if not self.done():
            with _WAITERS:
                waiter = self._waiter = self._waiter or threading.Event()
            # The fate may have been told between the two: then nobody will set the event, and nobody needs to.
            if not self.done():
                waiter.wait(self._timeout_s if timeout_s is None else timeout_s)
        if self._failure is not None:
            raise self._failure
        if self._position is None:
            raise DeliveryFailed(self.event_id, self._topic, "no answer yet")
        if self._position.offset < 0:
            # Kafka says "I have that already" for a batch older than those whose offsets it remembers.
            raise DeliveryFailed(self.event_id, self._topic, "it is in the log, its offset was forgotten")
        return self._position

    def token(self, timeout_s: float | None = None) -> PositionToken:
        """See `Receipt.token`."""
        return PositionToken.of_events(self._topic_id, [EventPosition(*self.position(timeout_s)[1:])])

    def decided(self, error: KafkaError | None, message: Message) -> None:
        """What librdkafka calls when the fate of the event is known."""
        if error is None:
            partition, offset = message.partition(), message.offset()
            position = self._position = Position(
                self._topic, -1 if partition is None else partition, -1 if offset is None else offset
            )
            self._told()
            self._buffer.settle(self._size, self._round, position.partition, position.offset)
        else:
            failure = DeliveryFailed(self.event_id, self._topic, error.name())
            failure.__cause__ = KafkaException(error)
            self._failure = failure
            self._told()
            self._buffer.fail(self._size, self._round, failure)

    def _told(self) -> None:
        if self._waiter is not None:
            self._waiter.set()


class ConfluentPublisher(BufferedPublisher):
    """A `Publisher` on librdkafka. Connects when made, and raises `KafkaUnreachable` or `TopicMissing` then."""

    refusals = (KafkaException, BufferError)

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        codec: Codec,
        options: PublisherOptions | None = None,
        now: Callable[[], datetime] = functools.partial(datetime.now, UTC),  # noqa: B008 - called later, not here
    ) -> None:
        super().__init__(topic, codec, options, now)
        self._producer, topic_id = _connect(bootstrap, topic, self._options)
        self._stop = threading.Event()
        # It knows the client and not us, so that a publisher that was forgotten can go.
        self._poller = threading.Thread(
            target=_call_back, args=(self._producer, self._stop), name="publisher-callbacks", daemon=True
        )
        self._poller.start()
        self._adopted(topic_id)

    def _send(self, event: DecodedEvent, size: int, round_: int) -> Receipt:
        receipt = ConfluentReceipt(
            event.event_id, self._topic, self._topic_id, self._patience_s, self._buffer, size, round_
        )
        self._producer.produce(
            self._topic,
            value=event.value,
            key=partition_key(event),
            headers=[CONTENT_TYPE],
            on_delivery=receipt.decided,
        )
        return receipt

    def _shut(self) -> None:
        self._stop.set()
        self._poller.join(GRACE_S)

    def _abandon(self) -> None:
        self._producer.purge(in_queue=True, in_flight=True)
        # The failures of what was purged are told by callbacks like all others.
        until = time.monotonic() + GRACE_S
        while self._on_the_way() and time.monotonic() < until:
            self._producer.poll(_POLL_S)
        self._shut()

    def _on_the_way(self) -> bool:
        counts = self._buffer.counts
        return counts.accepted > counts.acknowledged + counts.failed

    def _disown(self) -> None:
        # Destroying the client waits for threads that the child does not have: here it lives for ever.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))


def _call_back(producer: Producer, stop: threading.Event) -> None:
    while not stop.is_set():
        producer.poll(_POLL_S)


def _connect(bootstrap: str, topic: str, options: PublisherOptions) -> tuple[Producer, str]:
    """The client, and Kafka's id of the topic."""
    try:
        producer = Producer(_configuration(bootstrap, options), logger=_LOGGER)
        # Listing is the one question about a topic that never creates it, on any broker.
        topics = producer.list_topics(timeout=options.connect_timeout_s).topics
    except KafkaException as exc:
        raise KafkaUnreachable(bootstrap, options.connect_timeout_s) from exc
    if topic not in topics:
        raise TopicMissing(topic, bootstrap)
    return producer, _topic_id(bootstrap, topic, options)


def _topic_id(bootstrap: str, topic: str, options: PublisherOptions) -> str:
    admin = AdminClient({"bootstrap.servers": bootstrap, "allow.auto.create.topics": False}, logger=_LOGGER)
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=options.connect_timeout_s)
        found = described[topic].result().topic_id
    except KafkaException as exc:
        if exc.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:  # it went between the two questions
            raise TopicMissing(topic, bootstrap) from exc
        raise KafkaUnreachable(bootstrap, options.connect_timeout_s) from exc
    # Java's two longs, which have a sign.
    halves = (found.get_most_significant_bits(), found.get_least_significant_bits())
    high, low = (half & 0xFFFF_FFFF_FFFF_FFFF for half in halves)
    return str(uuid.UUID(int=high << 64 | low))


def _configuration(bootstrap: str, options: PublisherOptions) -> dict[str, Any]:
    request_timeout_s = min(options.request_timeout_s, options.delivery_timeout_s)
    chosen = {} if options.client_id is None else {"client.id": options.client_id}
    return {
        **chosen,
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": round(options.linger_s * 1000),
        "batch.size": options.batch_bytes,
        "message.max.bytes": REQUEST_BYTES,
        "delivery.timeout.ms": round(options.delivery_timeout_s * 1000),
        "request.timeout.ms": round(request_timeout_s * 1000),
        "socket.timeout.ms": round(request_timeout_s * 1000),
        "reconnect.backoff.max.ms": 1000,
        "allow.auto.create.topics": False,
        # Where Kafka's own clients put a key: both publishers may write to one topic.
        "partitioner": "murmur2_random",
        # The bound is ours, in bytes; the client's must never be met before.
        "queue.buffering.max.messages": 0,
        "queue.buffering.max.kbytes": (options.buffer_bytes + REQUEST_BYTES) // 1024 + 1024,
    }
