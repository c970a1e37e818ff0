"""How far the views are behind the log."""

from __future__ import annotations

from datetime import timedelta

import psycopg2
import pytest
from kafka import KafkaProducer

from customer_timeline.api.config import LagUnknownError, PartitionLag
from customer_timeline.runtime.clock import FixedClock
from customer_timeline.runtime.embedded.ports import free_port
from customer_timeline.runtime.lag import LagProbe
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.decoded import EPOCH, from_micros


def append(settings: Settings, partition: int, count: int) -> list[int]:
    """Append records; returns when each was appended, in milliseconds since 1970."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    try:
        sent = [producer.send(settings.touchpoints_topic, b"x" * 5000, partition=partition) for _ in range(count)]
        return [future.get(timeout=30).timestamp for future in sent]
    finally:
        producer.close()


def applied_up_to(settings: Settings, partition: int, next_offset: int) -> None:
    connection = psycopg2.connect(settings.database_url.get_secret_value())
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO customer_timeline.projector_offset (topic, part, next_offset, epoch) "
                "VALUES (%s, %s, %s, 1)",
                (settings.touchpoints_topic, partition, next_offset),
            )
    finally:
        connection.close()


def test_lag_counts_the_records_not_applied_and_how_long_the_oldest_has_waited(settings: Settings) -> None:
    topic = settings.touchpoints_topic
    appended = append(settings, 0, 5)
    append(settings, 1, 2)
    newest_partition_2 = append(settings, 2, 1)
    applied_up_to(settings, 0, 2)  # offsets 2, 3 and 4 wait
    applied_up_to(settings, 1, 2)  # nothing waits
    # partition 2 was never read: its one record waits; partition 3 is empty
    clock = FixedClock(from_micros(appended[2] * 1000) + timedelta(seconds=90))
    probe = LagProbe(settings, clock)
    waited_2 = (clock.at - from_micros(newest_partition_2[0] * 1000)).total_seconds()
    expected = (
        PartitionLag(topic, 0, 3, 90.0),
        PartitionLag(topic, 1, 0, 0.0),
        PartitionLag(topic, 2, 1, waited_2),
        PartitionLag(topic, 3, 0, 0.0),
    )
    assert probe() == expected
    assert probe() == expected
    append(settings, 3, 1)
    assert probe()[3].events == 1
    probe.close()


def test_a_topic_that_is_not_there_is_no_lag_of_zero(settings: Settings) -> None:
    probe = LagProbe(settings.model_copy(update={"touchpoints_topic": "never-made"}), FixedClock(EPOCH))
    with pytest.raises(LagUnknownError, match="never-made"):
        probe()
    probe.close()


def test_a_log_that_does_not_answer_is_unknown_lag(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{free_port()}"})
    with pytest.raises(LagUnknownError, match="check Kafka"):
        LagProbe(nowhere, FixedClock(EPOCH))()
