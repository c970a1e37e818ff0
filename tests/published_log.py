"""Events to publish, and the log to read back: what the tests of producers share."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import MetadataEmptyBrokerList

from customer_timeline.producers.memory import MemoryRecord
from customer_timeline.producers.protocol import Position
from customer_timeline.producers.touchpoints import Event, email, page_viewed
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import Identifier
from customer_timeline.schemas.identity_policy import IdentityPolicy

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
READ_WITHIN_S = 60

CODEC = Codec(IdentityPolicy(), b"secret of the tests")


def viewed(id_: str, who: str = "ann@example.com") -> Event[Any]:
    """A page view of one person."""
    url = "https://shop.example.com/"
    return page_viewed(source="/shop", id=id_, time=NOON, identifiers=[email(who)], channel="web", url=url)


def identifier_id(kind: str, value: str) -> str:
    """The id of a value that can be used."""
    found = CODEC.space.normalise(kind, value)
    assert isinstance(found, Identifier)
    return found.identifier_id


def read_log(bootstrap: str, topic: str) -> list[MemoryRecord]:
    """Every record of the topic, partition by partition, in the order of the log."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        partitions = _partitions(consumer, topic)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        return sorted(_read_until(consumer, consumer.end_offsets(partitions)))
    finally:
        consumer.close()


def _partitions(consumer: Any, topic: str) -> list[TopicPartition]:
    """Asked again where the only broker has just come back and its controller does not count it yet."""
    deadline = time.monotonic() + READ_WITHIN_S
    while True:
        try:
            return [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        except MetadataEmptyBrokerList:
            if time.monotonic() > deadline:
                raise


def _read_until(consumer: Any, ends: dict[TopicPartition, int]) -> list[MemoryRecord]:
    found: list[MemoryRecord] = []
    deadline = time.monotonic() + READ_WITHIN_S
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"read {len(found)} records, not all up to {ends}")
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                position = Position(record.topic, record.partition, record.offset)
                found.append(MemoryRecord(position, record.key, record.value, tuple(record.headers)))
    return found
