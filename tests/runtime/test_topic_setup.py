"""Topics: created with the right settings, refused with the difference."""

from __future__ import annotations

import uuid

import pytest

from customer_timeline.schemas.topics import changes_topic, touchpoints_topic
from customer_timeline.streams.topic_setup import (
    SettingDifference,
    UnreachableKafkaError,
    WrongTopicError,
    ensure_topics,
    inspect_topics,
)


def _name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


def test_missing_topics_are_created_with_their_settings_and_then_found_right(kafka: str) -> None:
    specs = [touchpoints_topic(_name(), 3, 1), changes_topic(_name(), 2, 1)]
    assert [report.state for report in inspect_topics(kafka, specs)] == ["missing", "missing"]
    created = ensure_topics(kafka, specs)
    assert [(r.state, r.partitions, r.created, r.differences) for r in created] == [
        ("right", 3, True, ()),
        ("right", 2, True, ()),
    ]
    again = ensure_topics(kafka, specs)
    assert [r.created for r in again] == [False, False]
    assert [r.topic_id for r in again] == [r.topic_id for r in created]


def test_a_topic_that_forgets_or_takes_the_producers_time_is_refused_with_the_difference(
    kafka: str, make_topic: object
) -> None:
    name = make_topic(1, **{"retention.ms": "604800000", "message.timestamp.type": "CreateTime"})  # type: ignore[operator]
    with pytest.raises(WrongTopicError) as caught:
        ensure_topics(kafka, [touchpoints_topic(name, 1, 1)])
    assert set(caught.value.reports[0].differences) == {
        SettingDifference("retention.ms", "604800000", "-1"),
        SettingDifference("message.timestamp.type", "CreateTime", "LogAppendTime"),
    }
    assert "retention.ms is 604800000, must be -1" in str(caught.value)


def test_a_topic_with_fewer_copies_than_asked_for_is_refused(kafka: str, topic: str) -> None:
    spec = touchpoints_topic(topic, 4, 1)._replace(replication_factor=3)
    with pytest.raises(WrongTopicError, match=r"replication\.factor is 1, must be 3 or more"):
        ensure_topics(kafka, [spec])


def test_any_number_of_partitions_is_right(kafka: str, topic: str) -> None:
    (report,) = ensure_topics(kafka, [touchpoints_topic(topic, 1, 1)])
    assert (report.state, report.partitions) == ("right", 4)


def test_kafka_that_does_not_answer_is_said_so() -> None:
    with pytest.raises(UnreachableKafkaError, match=r"No Kafka broker answers at 127\.0\.0\.1:1"):
        inspect_topics("127.0.0.1:1", [], timeout_s=0.5)
