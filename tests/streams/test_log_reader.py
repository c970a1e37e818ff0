"""What reads the log in bulk: every client gives the same records, between the positions asked for and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import live_log
import pytest
from kafka import KafkaProducer
from servers import MakeTopic
from silent_broker import silent

from customer_timeline.runtime.embedded import EmbeddedKafka
from customer_timeline.streams import log_reader
from customer_timeline.streams.log_reader import (
    Bounds,
    LogMissing,
    LogReader,
    LogRecord,
    LogUnreachable,
    LogUnreadable,
    open_log,
)

COUNT = 2_500


@pytest.fixture(scope="module")
def filled(kafka: str) -> str:
    """A topic with numbered records in partition 1 and none in partition 0."""
    from kafka.admin import KafkaAdminClient, NewTopic

    name = "log-reader"
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(name, 2, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka, linger_ms=5)
    for number in range(COUNT):
        producer.send(name, f"value {number}".encode(), b"key", [("number", str(number).encode())], partition=1)
    producer.send(name, None, b"key", partition=1)
    producer.flush()
    producer.close()
    return name


@pytest.fixture(params=["confluent", "kafka-python"])
def reader(request: pytest.FixtureRequest, kafka: str, filled: str) -> Iterator[LogReader]:
    """A reader of that topic, by each client."""
    found = open_log(kafka, filled, client=request.param)
    yield found
    found.close()


def _read(reader: LogReader, start: int, until: int) -> list[LogRecord]:
    return [record for batch in reader.read(1, start, until) for record in batch]


def test_bounds_are_the_first_position_and_the_next_to_come(reader: LogReader) -> None:
    assert reader.bounds() == {0: Bounds(0, 0), 1: Bounds(0, COUNT + 1)}


def test_records_come_whole_and_in_order(reader: LogReader) -> None:
    found = _read(reader, 0, COUNT + 1)
    assert [record.offset for record in found] == list(range(COUNT + 1))
    assert found[7].value == b"value 7"
    assert found[7].key == b"key"
    assert list(found[7].headers) == [("number", b"7")]
    assert found[7].timestamp > 0
    assert found[-1].value is None


def test_a_stretch_begins_and_ends_where_it_was_asked_to(reader: LogReader) -> None:
    assert [record.offset for record in _read(reader, 100, 103)] == [100, 101, 102]
    assert _read(reader, 5, 5) == []
    assert [record.offset for record in _read(reader, 3, 4)] == [3]


def test_a_stretch_left_halfway_does_not_leak_into_the_next(reader: LogReader) -> None:
    next(iter(reader.read(1, 0, COUNT)))
    assert [record.offset for record in _read(reader, 2_000, 2_002)] == [2_000, 2_001]


def test_a_stretch_behind_the_end_of_the_log_is_refused(reader: LogReader) -> None:
    with pytest.raises(LogUnreadable, match="position 900000"):
        _read(reader, 900_000, 900_001)


def test_a_stretch_ends_at_markers_of_a_transaction(kafka: str, make_topic: MakeTopic) -> None:
    topic = make_topic(1)
    producer = KafkaProducer(bootstrap_servers=kafka, transactional_id=f"reader-{topic}", enable_idempotence=True)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"in a transaction", partition=0)
    producer.commit_transaction()
    producer.close()
    clients: tuple[Literal["confluent", "kafka-python"], ...] = ("confluent", "kafka-python")
    for client in clients:
        reader = open_log(kafka, topic, client=client)
        end = reader.bounds()[0].end
        assert [r.value for batch in reader.read(0, 0, end) for r in batch] == [b"in a transaction"]
        assert end == 2  # the record and the marker
        reader.close()


@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_a_topic_that_does_not_exist_is_named(kafka: str, client: Literal["confluent", "kafka-python"]) -> None:
    reader = open_log(kafka, "no-such-topic", client=client)
    with pytest.raises(LogMissing, match="'no-such-topic' does not exist"):
        reader.bounds()
    reader.close()


@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_a_kafka_that_is_away_is_named(
    client: Literal["confluent", "kafka-python"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "_ANSWER_S", 1.5)  # nobody is there, however long it is waited for
    with pytest.raises(LogUnreachable, match="did not answer"):
        open_log("127.0.0.1:1", "touchpoints", client=client).bounds()


@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_a_topic_that_was_just_made_is_empty(kafka: str, client: Literal["confluent", "kafka-python"]) -> None:
    """Its partitions may have no leader yet that knows of them: about one topic in six had none when it was asked."""
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        for number in range(20):
            name = f"just-made-{client}-{number}"
            admin.create_topics({name: {"num_partitions": 8, "replication_factor": 1}}, wait_for_metadata=True)
            reader = open_log(kafka, name, client=client)
            assert reader.bounds() == dict.fromkeys(range(8), Bounds(0, 0))
            reader.close()
    finally:
        admin.close()


def test_it_may_be_closed_while_somebody_reads(reader: LogReader) -> None:
    reading = reader.read(1, 0, COUNT)
    assert next(iter(reading))
    reader.close()
    reading.close()  # type: ignore[attr-defined]  # what is iterated over is a generator


@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_who_waits_for_a_silent_kafka_can_leave(
    own_kafka: EmbeddedKafka, client: Literal["confluent", "kafka-python"]
) -> None:
    live_log.create_topic(own_kafka.bootstrap, "log", 1)
    reader = open_log(own_kafka.bootstrap, "log", client=client)
    reader.bounds()

    def leave() -> None:
        raise LookupError

    with silent(own_kafka):
        with pytest.raises(LookupError):
            next(reader.read(0, 0, 1, while_silent=leave))
        reader.close()
