"""The topics of the log, as they should be."""

from __future__ import annotations

from customer_timeline.schemas.envelope import MAX_EVENT_BYTES
from customer_timeline.schemas.topics import changes_topic, touchpoints_topic


def test_the_log_is_kept_for_ever_and_stamped_by_the_broker() -> None:
    spec = touchpoints_topic("touchpoints", 4, 1)
    assert (spec.name, spec.partitions, spec.replication_factor) == ("touchpoints", 4, 1)
    assert spec.config["retention.ms"] == spec.config["retention.bytes"] == "-1"
    assert spec.config["cleanup.policy"] == "delete"
    assert spec.config["message.timestamp.type"] == "LogAppendTime"


def test_the_greatest_event_fits() -> None:
    assert int(touchpoints_topic("t", 1, 1).config["max.message.bytes"]) > MAX_EVENT_BYTES


def test_a_record_counts_as_written_when_two_of_three_copies_have_it() -> None:
    assert touchpoints_topic("t", 1, 1).config["min.insync.replicas"] == "1"
    assert touchpoints_topic("t", 1, 3).config["min.insync.replicas"] == "2"


def test_changes_are_kept_for_a_week() -> None:
    assert changes_topic("c", 1, 1).config["retention.ms"] == str(7 * 86_400_000)
