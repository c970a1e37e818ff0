"""The log of a test: raw records appended to real partitions, read back as the reference wants them, and how far a
worker got.

Deliberately below the product's own producers: broken records, chosen partitions, and bytes as they are.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from random import Random
from typing import Any

import psycopg2
from generators import Sent
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from reference.log_model import Record
from worker_farm import DEADLINE_S, until

from customer_timeline.schemas.decoded import EPOCH
from customer_timeline.schemas.topics import touchpoints_topic

SETTLED_S = 90


def create_topic(bootstrap: str, topic: str, partitions: int = 4) -> None:
    """Make a topic as the product wants it."""
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        config = dict(touchpoints_topic(topic, partitions, 1).config)
        options = {"num_partitions": partitions, "replication_factor": 1, "configs": config}
        admin.create_topics({topic: options}, wait_for_metadata=True)


def recreate_topic(bootstrap: str, topic: str, partitions: int = 4) -> None:
    """Delete the topic and make another of the same name."""
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.delete_topics([topic])
        until(lambda: topic not in admin.list_topics(), f"topic {topic} is gone")
    create_topic(bootstrap, topic, partitions)


def anywhere(seed: int, partitions: int) -> Callable[[Sent], int]:
    """Partitions at random: correctness must not depend on the key."""
    random = Random(seed)
    return lambda sent: random.randrange(partitions)


def by_key(partitions: int) -> Callable[[Sent], int]:
    """Records of one key in one partition, as adapters send them."""
    return lambda sent: sum(sent.key or b"") % partitions


def append(bootstrap: str, topic: str, log: Iterable[Sent], partition_of: Callable[[Sent], int]) -> int:
    """Append in order; returns the number of records once all are in the log."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5, max_request_size=4 << 20)
    try:
        sent = [
            producer.send(topic, value=s.value, key=s.key, headers=list(s.headers), partition=partition_of(s))
            for s in log
        ]
        for future in sent:
            future.get(timeout=DEADLINE_S)
        return len(sent)
    finally:
        producer.close()


def read_back(bootstrap: str, topic: str) -> list[Record]:
    """Every record of the topic, by partition and offset."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", group_id=None
    )
    try:
        partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        out: list[Record] = []
        while any(consumer.position(p) < ends[p] for p in partitions):
            for records in consumer.poll(timeout_ms=1000).values():
                out.extend(_record(r) for r in records)
        return out
    finally:
        consumer.close()


def _record(r: object) -> Record:
    headers = dict(r.headers or ())  # type: ignore[attr-defined]
    recorded = headers.get("recordedtime")
    return Record(
        r.value,  # type: ignore[attr-defined]
        EPOCH + timedelta(milliseconds=r.timestamp),  # type: ignore[attr-defined]
        r.partition,  # type: ignore[attr-defined]
        r.offset,  # type: ignore[attr-defined]
        recorded.decode() if recorded else None,
    )


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """The next offset to be written, per partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        return {p.partition: offset for p, offset in consumer.end_offsets(partitions).items()}
    finally:
        consumer.close()


class _Kept(threading.local):
    """The connection of the thread's last question, and where it leads."""

    place: tuple[str, str] = ("", "")
    connection: Any = None


_kept = _Kept()


def ask(url: str, schema: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of the database, read on the connection of the last question where that led there.

    Conditions are asked many times a second: a process of Postgres for each would cost more than what is waited for.
    """
    if _kept.place == (url, schema):
        with contextlib.suppress(psycopg2.OperationalError, psycopg2.InterfaceError):
            # Postgres may have been restarted since, or the connection been ended.
            return _rows(statement, parameters)
    if _kept.connection is not None:
        _kept.connection.close()
    _kept.place, _kept.connection = ("", ""), None
    _kept.connection = psycopg2.connect(url, options=f"-c search_path={schema}")
    _kept.connection.autocommit = True
    _kept.place = (url, schema)
    return _rows(statement, parameters)


def _rows(statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with _kept.connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def applied_offsets(url: str, topic: str, schema: str = "customer_timeline") -> dict[int, int]:
    """How far the projector came, per partition, as Postgres has it."""
    return dict(ask(url, schema, "SELECT part, next_offset FROM projector_offset WHERE topic = %s", topic))


def caught_up(url: str, topic: str, ends: Mapping[int, int]) -> bool:
    """Every partition is applied to its end. While Postgres is away: no."""
    try:
        applied = applied_offsets(url, topic)
    except psycopg2.OperationalError:
        return False
    return all(applied.get(part, 0) >= end for part, end in ends.items())


def settle(bootstrap: str, url: str, topic: str, deadline_s: float = SETTLED_S) -> None:
    """Wait until the workers have applied the whole log."""
    ends = end_offsets(bootstrap, topic)
    until(lambda: caught_up(url, topic, ends), f"the log is applied up to {ends}", deadline_s, every_s=0.05)
