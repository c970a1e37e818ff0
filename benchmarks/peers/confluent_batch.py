"""(d) A plain confluent-kafka consumer: a batch, `execute_values`, the offsets in the same transaction, one thread."""

from __future__ import annotations

from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks.peers.session import Progress, Task, read_task
from benchmarks.peers.store import BatchStore
from customer_timeline.schemas.decoded import DecodedEvent

_STORE_OFFSET = """
INSERT INTO projector_offset (topic, part, next_offset, epoch) VALUES (%s, %s, %s, 0)
ON CONFLICT (topic, part) DO UPDATE SET next_offset = excluded.next_offset
"""


def run(task: Task) -> None:
    """Consume until the process is stopped."""
    codec, connection, progress = task.codec(), task.connect(), Progress(task.start)
    store = BatchStore(connection)
    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "enable.auto.commit": False,
            "fetch.min.bytes": 1,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    consumer.assign([TopicPartition(task.topic, part, offset) for part, offset in task.start.items()])
    while True:
        batch: list[tuple[DecodedEvent, int, int]] = []
        for message in consumer.consume(task.batch, timeout=0.1):
            partition, offset, value = message.partition(), message.offset(), message.value()
            if message.error() is not None or partition is None or offset is None or value is None:
                raise KafkaException(message.error())
            appended_at = datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC)
            batch.append((codec.decode(value, appended_at=appended_at), partition, offset))
            progress.next_offsets[partition] = offset + 1
        if not batch:
            continue
        store.apply(batch)
        with connection.cursor() as cursor:
            for part, offset in progress.next_offsets.items():
                cursor.execute(_STORE_OFFSET, (task.topic, part, offset))
        connection.commit()
        progress.committed()


if __name__ == "__main__":
    run(read_task())
