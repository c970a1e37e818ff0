"""How far the views are behind the log: offsets that Postgres owns, compared with the ends of the partitions."""

from __future__ import annotations

import threading
from typing import Any

import psycopg2
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from customer_timeline.api.config import Lag, LagUnknownError, PartitionLag
from customer_timeline.runtime.clock import Clock
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import connect
from customer_timeline.schemas.decoded import from_micros

_TIMEOUT_S = 3.0
_FETCH_BYTES = 4096


class LagProbe:
    """Asks the log and Postgres; safe to call from any thread. Connections are kept, and renewed after an error."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._consumer: Any = None
        self._database: Any = None

    def __call__(self) -> Lag:
        """The lag of every partition. Raises LagUnknownError where the log or Postgres does not answer."""
        with self._lock:
            try:
                return self._measure()
            except KafkaError as exc:
                self._close()
                raise LagUnknownError(
                    f"The log does not answer: check Kafka at {self._settings.kafka_bootstrap}."
                ) from exc
            except psycopg2.Error as exc:
                self._close()
                raise LagUnknownError("Postgres does not say how far the views are: see /readyz, postgres.") from exc

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            self._close()

    def _measure(self) -> Lag:
        topic = self._settings.touchpoints_topic
        if self._database is None:
            self._database = connect(self._settings, application="customer-timeline lag")
            self._database.autocommit = True
        with self._database.cursor() as cursor:
            cursor.execute("SELECT part, next_offset FROM projector_offset WHERE topic = %s", [topic])
            applied = dict(cursor.fetchall())
        if self._consumer is None:
            self._consumer = _consumer(self._settings.kafka_bootstrap)
        found = self._consumer.partitions_for_topic(topic)
        if not found:
            raise LagUnknownError(f"There is no topic {topic}: a worker creates it when it starts.")
        partitions = [TopicPartition(topic, part) for part in sorted(found)]
        ends = self._consumer.end_offsets(partitions)
        behind = {
            partition: (applied.get(partition.partition, 0), ends[partition] - applied.get(partition.partition, 0))
            for partition in partitions
        }
        waiting = self._waiting_s({partition: start for partition, (start, events) in behind.items() if events > 0})
        return tuple(
            PartitionLag(topic, partition.partition, max(events, 0), waiting.get(partition, 0.0))
            for partition, (_, events) in behind.items()
        )

    def _waiting_s(self, starts: dict[Any, int]) -> dict[Any, float]:
        """How long the oldest record that is not applied yet has been in the log, per partition."""
        waited: dict[Any, float] = {}
        for partition, start in starts.items():
            self._consumer.assign([partition])
            self._consumer.seek(partition, start)
            records = self._consumer.poll(timeout_ms=int(_TIMEOUT_S * 1000), max_records=1)
            for found in records.get(partition, [])[:1]:
                appended_at = from_micros(found.timestamp * 1000)
                waited[partition] = max(0.0, (self._clock.now() - appended_at).total_seconds())
        return waited

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        if self._database is not None:
            self._database.close()
            self._database = None


def end_of(bootstrap: str, topic: str, partition: int = 0) -> int:
    """The position that the next record of a partition gets. Raises LagUnknownError."""
    at = TopicPartition(topic, partition)
    consumer = None
    try:
        consumer = _consumer(bootstrap)
        return int(consumer.end_offsets([at])[at])
    except KafkaError as exc:
        raise LagUnknownError(f"The topic {topic} does not answer: check Kafka at {bootstrap}.") from exc
    finally:
        if consumer is not None:
            consumer.close()


def _consumer(bootstrap: str) -> Any:
    timeout_ms = int(_TIMEOUT_S * 1000)
    return KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        auto_offset_reset="earliest",
        max_poll_records=1,
        max_partition_fetch_bytes=_FETCH_BYTES,
        bootstrap_timeout_ms=timeout_ms,
        request_timeout_ms=timeout_ms,
    )
