"""Appending events to Kafka with kafka-python: idempotent, acknowledged by all replicas, bounded.

The publisher that is always there; `confluent_publisher` is the faster one. Adapters and the command line make one for
a process and share it. Everything that the client leaves open is closed here: its buffer has no bound, it creates
missing topics, it writes keys and values to its debug log, it waits for ever where it cannot get a producer id, and in
a forked child it waits for a thread that is not there.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.producer.future import FutureRecordMetadata, RecordMetadata

from customer_timeline.producers.delivery import (
    CONTENT_TYPE,
    GRACE_S,
    REQUEST_BYTES,
    BufferedPublisher,
    PublisherOptions,
)
from customer_timeline.producers.errors import DeliveryFailed, KafkaUnreachable, TopicMissing
from customer_timeline.producers.partitioning import RememberingPartitioner, partition_key
from customer_timeline.producers.protocol import Position, Receipt
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.position_token import EventPosition, PositionToken


class KafkaReceipt:
    """The promise of one event that `KafkaPublisher` accepted."""

    __slots__ = ("_future", "_timeout_s", "_topic", "_topic_id", "event_id")

    def __init__(self, id_: str, topic: str, topic_id: str, future: FutureRecordMetadata, timeout_s: float) -> None:
        self.event_id = id_
        self._topic = topic
        self._topic_id = topic_id
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

    def token(self, timeout_s: float | None = None) -> PositionToken:
        """See `Receipt.token`."""
        return PositionToken.of_events(self._topic_id, [EventPosition(*self.position(timeout_s)[1:])])


class KafkaPublisher(BufferedPublisher):
    """A `Publisher` on kafka-python. Connects when made, and raises `KafkaUnreachable` or `TopicMissing` then."""

    refusals = (KafkaError, ValueError)  # ValueError: the topic has gone

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        codec: Codec,
        options: PublisherOptions | None = None,
        now: Callable[[], datetime] = functools.partial(datetime.now, UTC),  # noqa: B008 - called later, not here
    ) -> None:
        super().__init__(topic, codec, options, now)
        _keep_personal_data_out_of_debug_logs()
        topic_id = _topic_id(bootstrap, topic, self._options)
        self._producer = _connect(bootstrap, topic, self._options)
        self._adopted(topic_id)

    def _send(self, event: DecodedEvent, size: int, round_: int) -> Receipt:
        future = self._producer.send(self._topic, value=event.value, key=partition_key(event), headers=[CONTENT_TYPE])
        # The client runs these in its own thread, or here and now where the future is decided already.
        future.add_callback(functools.partial(self._delivered, size, round_))
        future.add_errback(functools.partial(self._failed, size, round_, event.event_id))
        return KafkaReceipt(event.event_id, self._topic, self._topic_id, future, self._patience_s)

    def _delivered(self, size: int, round_: int, record: RecordMetadata) -> None:
        self._buffer.settle(size, round_, record.partition, record.offset)

    def _failed(self, size: int, round_: int, id_: str, cause: BaseException) -> None:
        failure = DeliveryFailed(id_, self._topic, type(cause).__name__)
        failure.__cause__ = cause
        self._buffer.fail(size, round_, failure)

    def _shut(self) -> None:
        self._producer.close(timeout=GRACE_S)

    def _abandon(self) -> None:
        # `KafkaProducer.close` flushes without an end first; only its sender can be told to give up now. What is
        # still on the way then fails, so nobody waits for a receipt in vain.
        self._producer._sender.force_close()
        self._producer._sender.join(GRACE_S)
        self._producer.close(timeout=GRACE_S)

    def _disown(self) -> None:
        # The finaliser and the exit handler of the client must not wait for its missing thread.
        self._producer._closed = True


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


def _topic_id(bootstrap: str, topic: str, options: PublisherOptions) -> str:
    """Kafka's id of the topic. Raises TopicMissing."""
    # Listing is the one question about a topic that never creates it, on any broker.
    timeout_ms = round(options.connect_timeout_s * 1000)
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=timeout_ms)
    except (KafkaTimeoutError, ValueError) as exc:  # ValueError: an address that is none
        raise KafkaUnreachable(bootstrap, options.connect_timeout_s) from exc
    try:
        if topic not in admin.list_topics():
            raise TopicMissing(topic, bootstrap)
        found = [one for one in admin.describe_topics([topic]) if not one.get("error_code")]
        if not found:  # it went between the two questions
            raise TopicMissing(topic, bootstrap)
        return str(found[0]["topic_id"])
    except KafkaError as exc:
        raise KafkaUnreachable(bootstrap, options.connect_timeout_s) from exc
    finally:
        admin.close()


def _keep_personal_data_out_of_debug_logs() -> None:
    # At DEBUG kafka-python writes key, value and headers of every record.
    logger = logging.getLogger("kafka")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)
