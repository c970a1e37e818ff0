"""Hears from the consumer group which partitions come and go, and hands that to whoever writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition


class PartitionHolder(Protocol):
    """Who takes partitions over and gives them up."""

    async def take_over(self, consumer: AIOKafkaConsumer, partitions: Sequence[int]) -> None:
        """Become the writer of `partitions`, which may be none."""

    async def give_up(self) -> None:
        """Stop being the writer of any partition."""

    def trouble(self, error: Exception) -> None:
        """Remember why a take-over failed."""


class Assignments(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The listener of one consumer."""

    def __init__(self, holder: PartitionHolder, consumer: AIOKafkaConsumer) -> None:
        self._holder = holder
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """The group is dealt again: everything is given up."""
        await self._holder.give_up()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """These partitions are ours now."""
        # aiokafka logs what a listener raises and goes on without a position; the holder raises it instead.
        try:
            await self._holder.take_over(self._consumer, sorted(place.partition for place in assigned))
        except Exception as error:  # noqa: BLE001 - raised again by the holder
            self._holder.trouble(error)
