"""Which partition a key belongs to: Kafka's own rule, so that any other client puts the same key in the same place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kafka.partitioner import DefaultPartitioner, murmur2

REMEMBERED_KEYS = 1 << 16


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
