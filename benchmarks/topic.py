"""Creates the benchmark's topics and fills them, with librdkafka because it is the quickest way to a full topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.workload import Published, Record
from customer_timeline.schemas.topics import touchpoints_topic

HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", b"application/cloudevents+json")]
_SERVER = "bootstrap.servers"


class BenchmarkTopic:
    """One topic on the given Kafka, with the settings that the product gives its own."""

    def __init__(self, bootstrap: str, name: str, partitions: int) -> None:
        self.bootstrap = bootstrap
        self.name = name
        self.published = Published(partitions)
        self._admin = AdminClient({_SERVER: bootstrap})

    def create(self) -> None:
        """Create the topic; fails if it exists."""
        spec = touchpoints_topic(self.name, self.published.partitions, 1)
        new = NewTopic(spec.name, spec.partitions, spec.replication_factor, config=dict(spec.config))
        for future in self._admin.create_topics([new]).values():
            future.result(30)

    def delete(self) -> None:
        """Remove the topic and its records."""
        for future in self._admin.delete_topics([self.name]).values():
            future.result(30)

    def publish(self, records: Iterable[Record]) -> dict[int, int]:
        """Append `records` in order and return the next offset of each partition; raises if any was not stored."""
        failures: list[str] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(str(error))

        producer = producer_for(self.bootstrap, linger_ms=20)
        for record in records:
            while True:
                try:
                    producer.produce(
                        self.name, record.value, record.key, record.partition, on_delivery=delivered, headers=HEADERS
                    )
                    break
                except BufferError:
                    producer.poll(0.05)
            self.published.add(record)
            producer.poll(0)
        producer.flush(120)
        if failures:
            raise KafkaException(f"{len(failures)} records were not stored, the first because of: {failures[0]}")
        return self.published.ends()

    def start_group_at(self, group: str, offsets: dict[int, int]) -> None:
        """Commit `offsets` for a consumer group that has no member yet, so that it starts there."""
        consumer = KafkaConsumer({_SERVER: self.bootstrap, "group.id": group, "enable.auto.commit": False})
        places = [TopicPartition(self.name, part, offset) for part, offset in offsets.items()]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()


def producer_for(bootstrap: str, *, linger_ms: float) -> Producer:
    """An idempotent producer with lz4, like the product's, in librdkafka."""
    return Producer(
        {
            _SERVER: bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": linger_ms,
            "queue.buffering.max.messages": 200_000,
        }
    )
