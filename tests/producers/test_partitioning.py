"""The same key goes to the same partition whichever client publishes it."""

from __future__ import annotations

import uuid

import pytest
from kafka.partitioner import DefaultPartitioner

from customer_timeline.producers.partitioning import RememberingPartitioner


class Cluster:
    def __init__(self, partitions: int) -> None:
        self._partitions = set(range(partitions))

    def topics(self) -> set[str]:
        return {"t"}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self._partitions if topic == "t" else None

    available_partitions_for_topic = partitions_for_topic


@pytest.mark.parametrize("partitions", [1, 4, 7, 12])
def test_every_key_goes_where_the_default_partitioner_puts_it(partitions: int) -> None:
    ours, default, cluster = RememberingPartitioner(), DefaultPartitioner(), Cluster(partitions)

    for key in [b"", b"a", *(uuid.uuid5(uuid.NAMESPACE_DNS, str(number)).hex.encode() for number in range(500))]:
        for _ in range(2):
            assert ours.partition("t", key, key, None, b"", cluster) == default.partition(
                "t", key, key, None, b"", cluster
            )


def test_a_record_without_key_goes_to_any_partition() -> None:
    ours, cluster = RememberingPartitioner(), Cluster(3)

    assert {ours.partition("t", None, None, None, b"", cluster) for _ in range(200)} == {0, 1, 2}


def test_a_topic_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="not found"):
        RememberingPartitioner().partition("other", b"k", b"k", None, b"", Cluster(3))
