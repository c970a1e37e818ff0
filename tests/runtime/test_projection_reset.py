"""Throwing the view away: everything is empty, the log's beginning is where workers go on, and nobody is overrun."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from customer_timeline.runtime.projection_reset import WorkersRunningError, reset
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import connect

OFFSETS = "SELECT part, next_offset, epoch, pid FROM projector_offset WHERE topic = %s ORDER BY part"


def _run(settings: Settings, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(connect(settings)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []


def _given_an_applied_log(settings: Settings) -> None:
    """Two partitions that were applied up to 7 by a worker that is gone, and one row in each of two tables."""
    for part in (0, 1):
        _run(
            settings,
            "INSERT INTO projector_offset (topic, part, next_offset, epoch, pid, backend_start, passed_at) "
            "VALUES (%s, %s, 7, 3, 1, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')",
            settings.touchpoints_topic,
            part,
        )
    _run(settings, "INSERT INTO projection_meta VALUES (true, 'v0', '{}', '2026-01-01T00:00:00Z')")
    _run(settings, "INSERT INTO outbox (kind, payload, created_at) VALUES ('x', '{}', '2026-01-01T00:00:00Z')")


@pytest.mark.parametrize("topic", [2], indirect=True)
def test_a_reset_empties_the_view_and_goes_on_where_the_log_begins(
    settings: Settings, kafka_admin: KafkaAdminClient
) -> None:
    _given_an_applied_log(settings)
    with closing(KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)) as producer:
        for _ in range(5):
            producer.send(settings.touchpoints_topic, b"{}", partition=1)
        producer.flush()
    # The first three of the five records of partition 1 were removed.
    kafka_admin.delete_records({TopicPartition(settings.touchpoints_topic, 1): 3})

    report = reset(settings)

    assert report.starts == {0: 0, 1: 3}
    assert {"timeline", "customer", "identifier", "link", "dead_letter", "outbox", "projection_meta"} <= set(
        report.tables
    )
    assert not {"schema_migration", "projector_offset"} & set(report.tables)
    for table in report.tables:
        assert _run(settings, f"SELECT count(*) FROM {table}") == [(0,)]
    # Nothing is applied yet, so nobody may be called silent.
    assert _run(settings, "SELECT count(passed_at) FROM projector_offset") == [(0,)]
    # Epochs go on, so that a worker that slept through it is still an old one.
    assert _run(settings, OFFSETS, settings.touchpoints_topic) == [(0, 0, 4, None), (1, 3, 4, None)]


@pytest.mark.parametrize("topic", [2], indirect=True)
def test_a_reset_is_refused_while_a_worker_holds_a_partition(settings: Settings) -> None:
    _given_an_applied_log(settings)
    with closing(connect(settings)) as worker, worker, worker.cursor() as cursor:
        cursor.execute(
            "UPDATE projector_offset SET pid = pg_backend_pid(), backend_start = "
            "(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) WHERE part = 1"
        )
        worker.commit()
        with pytest.raises(WorkersRunningError, match="partitions 1: stop them all") as caught:
            reset(settings)
    assert caught.value.partitions == (1,)
    assert _run(settings, "SELECT count(*) FROM outbox") == [(1,)]


def test_a_reset_without_a_topic_leaves_no_offsets(settings: Settings) -> None:
    _given_an_applied_log(settings)
    elsewhere = settings.model_copy(update={"touchpoints_topic": "never-made"})
    assert reset(elsewhere).starts == {}
    assert _run(settings, "SELECT count(*) FROM projector_offset") == [(0,)]
