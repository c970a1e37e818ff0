"""Throw the view away, so that workers build it again from what the log holds. For the command `projection reset`.

Needed where the log is no longer the one that the view was made of: the topic was created again, or records were
removed before they were applied. Nothing is written to the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from psycopg2.sql import SQL, Identifier

from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import connect
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.streams.topic_identity import TopicIdentity

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

# Which migrations were applied and which set this is stays true; the offsets are set, not removed.
_KEPT = ("schema_migration", "projector_offset", "view_set")
_LOCK_TIMEOUT_MS = 5_000


class WorkersRunningError(CustomerTimelineError):
    """Workers hold partitions. `partitions` are those that somebody holds."""

    def __init__(self, partitions: list[int]) -> None:
        self.partitions = tuple(partitions)
        told = ", ".join(map(str, partitions))
        super().__init__(f"Workers hold the partitions {told}: stop them all, then try again.")


class ResetReport(NamedTuple):
    """What was done: the tables that are empty now, and the position in the log at which each partition begins."""

    tables: tuple[str, ...]
    starts: Mapping[int, int]


def reset(settings: Settings) -> ResetReport:
    """Empty every table of the view in one transaction, and go on from where the log begins.

    Raises WorkersRunningError while a worker lives, and KafkaError or psycopg2.Error where a server does not answer.
    """
    topic = settings.touchpoints_topic
    starts = _log_starts(settings.kafka_bootstrap, topic)
    topic_id = _topic_id(settings.kafka_bootstrap, topic) if starts else None
    with (
        closing(connect(settings, application="customer-timeline reset")) as connection,
        connection,  # one transaction
        connection.cursor() as cursor,
    ):
        cursor.execute("SET LOCAL lock_timeout = %s", [_LOCK_TIMEOUT_MS])
        # A worker that starts now waits here, and takes over what the reset leaves.
        cursor.execute("LOCK TABLE projector_offset IN EXCLUSIVE MODE")
        _refuse_while_workers_run(cursor, topic)
        tables = _empty_tables(cursor)
        _set_offsets(cursor, topic, topic_id, starts)
    return ResetReport(tables, starts)


def _log_starts(bootstrap: str, topic: str) -> dict[int, int]:
    consumer: Any = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    with closing(consumer):
        partitions = [TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic) or ())]
        found = consumer.beginning_offsets(partitions) if partitions else {}
    return {partition.partition: int(start) for partition, start in found.items()}


def _topic_id(bootstrap: str, topic: str) -> str | None:
    with closing(TopicIdentity(bootstrap, topic)) as identity:
        return identity.read()


def _refuse_while_workers_run(cursor: Cursor, topic: str) -> None:
    cursor.execute(
        "SELECT held.part FROM projector_offset AS held JOIN pg_stat_activity AS backend "
        "ON backend.pid = held.pid AND backend.backend_start = held.backend_start "
        "WHERE held.topic = %s ORDER BY held.part",
        [topic],
    )
    running = [part for (part,) in cursor.fetchall()]
    if running:
        raise WorkersRunningError(running)


def _empty_tables(cursor: Cursor) -> tuple[str, ...]:
    cursor.execute(
        "SELECT tablename::text FROM pg_tables "
        "WHERE schemaname = current_schema() AND tablename <> ALL (%s) ORDER BY tablename",
        [list(_KEPT)],
    )
    tables = tuple(name for (name,) in cursor.fetchall())
    cursor.execute(SQL("TRUNCATE {}").format(SQL(", ").join(map(Identifier, tables))))
    return tables


def _set_offsets(cursor: Cursor, topic: str, topic_id: str | None, starts: Mapping[int, int]) -> None:
    cursor.execute("DELETE FROM projector_offset WHERE topic <> %s OR part <> ALL (%s)", [topic, list(starts)])
    for part, start in starts.items():
        # The epoch goes on: a worker that sleeps since before the reset must not meet its own number again. Nothing has
        # been passed: the sweeper would call all those silent whose events are yet to be applied again.
        cursor.execute(
            "INSERT INTO projector_offset (topic, part, topic_id, next_offset, epoch) VALUES (%s, %s, %s, %s, 0) "
            "ON CONFLICT (topic, part) DO UPDATE SET topic_id = EXCLUDED.topic_id, next_offset = EXCLUDED.next_offset, "
            "epoch = projector_offset.epoch + 1, pid = NULL, backend_start = NULL, passed_at = NULL",
            [topic, part, topic_id, start],
        )
