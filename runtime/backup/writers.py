"""Appends records to one topic exactly as they are: bytes, headers, partition, time. Not for events: see `producers`.

Positions are foretold by the caller and compared with those that Kafka gives, so that nobody else's record, and no
record twice, comes between two of ours unnoticed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Final, Protocol

from customer_timeline.runtime.backup.errors import BackupError, BackupRefused
from customer_timeline.streams.log_reader import LogRecord

_PATIENCE_S: Final = 120.0
_FLUSH_S: Final = 0.5
# Well below what the topics take: librdkafka does not divide a batch that Kafka finds too large.
_BATCH_BYTES: Final = 512 << 10
_REQUEST_BYTES: Final = 16 << 20


class RestoreInterrupted(BackupError):  # noqa: N818 - named for what is the case
    """Kafka did not take all records; what it took is in the topic, in order."""

    def __init__(self, topic: str, cause: str) -> None:
        self.topic = topic
        self.cause = cause
        super().__init__(
            f"Kafka did not take all records of {topic} ({cause}). Run the same command again: it goes on there."
        )


class RecordWriter(Protocol):
    """Appends to one topic, in order."""

    def append(self, records: Sequence[tuple[LogRecord, int]]) -> None:
        """Append records of one partition, each with the position that it must get; returns when Kafka has all.

        Raises RestoreInterrupted, or BackupRefused where somebody else writes to the topic.
        """
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


def open_writer(bootstrap: str, topic: str) -> RecordWriter:
    """A writer by the fastest client that is installed."""
    return (
        ConfluentRecordWriter(bootstrap, topic) if find_spec("confluent_kafka") else KafkaRecordWriter(bootstrap, topic)
    )


def _foreign(topic: str, partition: int, wanted: int, got: int) -> BackupRefused:
    return BackupRefused(
        f"Somebody else writes to {topic} while it is restored: a record of partition {partition} came to position "
        f"{got} instead of {wanted}. Stop whoever it is, and run the same command again: it compares what is there."
    )


class ConfluentRecordWriter:
    """With librdkafka."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        from confluent_kafka import Producer

        self._topic = topic
        self._problem: BackupError | None = None
        self._producer: Any = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 20,
                "batch.size": _BATCH_BYTES,
                "message.max.bytes": _REQUEST_BYTES,
                "queue.buffering.max.kbytes": 65_536,
                "delivery.timeout.ms": int(_PATIENCE_S * 1000),
                "compression.type": "lz4",
                "allow.auto.create.topics": False,
                "log_level": 0,
            }
        )

    def append(self, records: Sequence[tuple[LogRecord, int]]) -> None:
        """See `RecordWriter.append`."""
        for record, position in records:
            while True:
                try:
                    self._producer.produce(
                        self._topic,
                        value=record.value,
                        key=record.key,
                        partition=record.partition,
                        timestamp=record.timestamp,
                        headers=list(record.headers),
                        on_delivery=lambda error, message, wanted=position: self._told(error, message, wanted),
                    )
                    break
                except BufferError:  # its queue is full: what it holds has to go first
                    self._producer.poll(0.1)
            self._raise_problem()
        # Every record is told of within the client's own time-out. In short steps: Python sees signals between them.
        while self._producer.flush(_FLUSH_S):
            self._raise_problem()
        self._raise_problem()

    def _told(self, error: Any, message: Any, wanted: int) -> None:
        if self._problem is not None:
            return
        if error is not None:
            self._problem = RestoreInterrupted(self._topic, error.name())
        elif message.offset() not in (wanted, -1):  # -1: Kafka has it already and forgot where; the end is compared
            self._problem = _foreign(self._topic, message.partition(), wanted, message.offset())

    def _raise_problem(self) -> None:
        if self._problem is not None:
            raise self._problem

    def close(self) -> None:
        """See `RecordWriter.close`."""
        from confluent_kafka import KafkaException

        with contextlib.suppress(KafkaException):
            self._producer.purge()
            self._producer.poll(0)


class KafkaRecordWriter:
    """With kafka-python, which is always there."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        self._topic = topic
        try:
            self._producer: Any = KafkaProducer(
                bootstrap_servers=bootstrap,
                enable_idempotence=True,
                acks="all",
                linger_ms=5,
                batch_size=_BATCH_BYTES,
                max_request_size=_REQUEST_BYTES,
                compression_type="lz4",
                delivery_timeout_ms=int(_PATIENCE_S * 1000),
                allow_auto_create_topics=False,
            )
        except KafkaError as exc:
            raise RestoreInterrupted(topic, type(exc).__name__) from exc

    def append(self, records: Sequence[tuple[LogRecord, int]]) -> None:
        """See `RecordWriter.append`."""
        from kafka.errors import KafkaError

        try:
            sent = [(self._send(record), record.partition, position) for record, position in records]
            self._producer.flush(_PATIENCE_S)
            for future, partition, wanted in sent:
                got = future.get(timeout=_PATIENCE_S).offset
                if got not in (wanted, -1):
                    raise _foreign(self._topic, partition, wanted, got)
        except KafkaError as exc:
            raise RestoreInterrupted(self._topic, type(exc).__name__) from exc

    def _send(self, record: LogRecord) -> Any:
        if any(content is None for _, content in record.headers) or (record.key is None and record.value is None):
            raise BackupRefused(
                f"The record at {record.partition}/{record.offset} of the backup has no value where kafka-python must "
                "have one. Restore with the other client: pip install 'customer-timeline[fast]'."
            )
        return self._producer.send(
            self._topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            partition=record.partition,
            timestamp_ms=record.timestamp,
        )

    def close(self) -> None:
        """See `RecordWriter.close`."""
        self._producer.close(timeout=1)
