"""The key of an event, and the partition of a key: Kafka's own rule, so any client puts one key in the same place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kafka.partitioner import DefaultPartitioner, murmur2

from customer_timeline.schemas.decoded import DecodedEvent

REMEMBERED_KEYS = 1 << 16


def partition_key(event: DecodedEvent) -> bytes | None:
    """The record's key, as `Codec.partition_key` gives it for an event that is not decoded yet."""
    key = event.decides[0].identifier_id if event.decides else event.anchor_id
    return None if key is None else key.encode()


class RememberingPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """The default partitioner, which hashes in plain Python, with a memory of the hashes of recent keys."""

    def __init__(self) -> None:
        self._hash = lru_cache(REMEMBERED_KEYS)(murmur2)

    def partition(
        self, topic: str, key: Any, serialized_key: bytes | None, value: Any, serialized_value: Any, cluster: Any
    ) -> int:
        """The partition of a record; where it has no key any one will do."""
        partitions = cluster.partitions_for_topic(topic)
        if serialized_key is None or not partitions:
            return int(super().partition(topic, key, serialized_key, value, serialized_value, cluster))
        return int(sorted(partitions)[(self._hash(serialized_key) & 0x7FFFFFFF) % len(partitions)])
