"""`customer-timeline restore`: a log in another Kafka that nothing can tell from the first, and views equal to its."""

from __future__ import annotations

import contextlib
import signal
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from generators import Shape, seeded_log
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from live_log import anywhere, create_topic, end_offsets
from log_copies import append_odd_records, environment, everything, run, segments, stopped_restore, told
from pipeline import Pipeline
from servers import SCHEMA, MakeTopic
from worker_farm import Farm

from customer_timeline.producers.operations import OperationsLog
from customer_timeline.runtime.backup.kafka_topics import kafka_topics
from customer_timeline.runtime.backup.writers import ConfluentRecordWriter, KafkaRecordWriter, RecordWriter
from customer_timeline.runtime.embedded import EmbeddedKafka
from customer_timeline.runtime.migrate import migrate
from customer_timeline.schemas.operations import Operation, OperationPlace, decode_operation
from customer_timeline.schemas.topics import operations_topic, touchpoints_topic
from customer_timeline.streams.log_reader import LogRecord
from customer_timeline.streams.topic_setup import TopicSetupError, ensure_topics, inspect_topics


def settings_of(bootstrap: str, topic: str) -> dict[str, str]:
    """The settings that were made for the topic."""
    with kafka_topics(bootstrap) as topics:
        found = topics.facts(topic)
    assert found is not None
    return dict(found.config)


def discarded(topic: str, offset: int) -> Operation:
    """An operation about one record."""
    return Operation(
        operation_id=uuid.UUID(int=1),
        kind="discarded",
        operator="ops",
        reason="a test",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
        places=(OperationPlace(topic=topic, partition=0, offset=offset),),
    )


def backed_up(kafka: str, topic: str, folder: Path) -> None:
    told(environment(kafka, topic), "backup", "--output", folder, "--segment-mib", "1")


def test_a_restored_log_fills_equal_views(
    farm: Farm,
    pipeline: Pipeline,
    other_kafka: EmbeddedKafka,
    empty_database: Callable[[], str],
    tmp_path: Path,
) -> None:
    pipeline.append(seeded_log(7, Shape(events=600)), anywhere(7, 4))
    pipeline.start(100)
    pipeline.settle()
    backed_up(pipeline.bootstrap, pipeline.topic, tmp_path)

    told(environment(other_kafka.bootstrap, pipeline.topic), "restore", tmp_path)

    url = empty_database()
    migrate(url, SCHEMA)
    with contextlib.closing(Pipeline(farm, other_kafka.bootstrap, url, pipeline.topic)) as copy:
        copy.start(60)
        copy.settle()
        assert copy.digests() == pipeline.digests()
        # Recorded times too, which the digest leaves out.
        copy.check(pipeline.expected(), recorded=True)


def test_bytes_order_partitions_and_times_are_kept(
    kafka: str, topic: str, other_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    append_odd_records(kafka, topic, 600)
    backed_up(kafka, topic, tmp_path)

    answer = told(environment(other_kafka.bootstrap, topic), "restore", tmp_path)

    assert everything(other_kafka.bootstrap, topic) == everything(kafka, topic)
    assert all(partition["positions_kept"] for partition in answer["partitions"])
    # From now on Kafka stamps records itself again, and a worker takes the topic.
    (report,) = inspect_topics(other_kafka.bootstrap, [touchpoints_topic(topic, 4, 1)])
    assert report.state == "right"
    assert settings_of(other_kafka.bootstrap, topic) == settings_of(kafka, topic)


def test_a_topic_that_exists_and_never_held_a_record_is_taken(
    kafka: str, topic: str, other_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    append_odd_records(kafka, topic, 40)
    backed_up(kafka, topic, tmp_path)
    create_topic(other_kafka.bootstrap, topic)

    told(environment(other_kafka.bootstrap, topic), "restore", tmp_path)

    assert everything(other_kafka.bootstrap, topic) == everything(kafka, topic)
    assert settings_of(other_kafka.bootstrap, topic) == settings_of(kafka, topic)


def test_a_kafka_that_holds_records_is_refused(kafka: str, topic: str, tmp_path: Path) -> None:
    append_odd_records(kafka, topic, 8)
    backed_up(kafka, topic, tmp_path)

    done = run(environment(kafka, topic), "restore", tmp_path)

    assert (done.returncode, "holds records" in done.stderr) == (1, True)
    assert end_offsets(kafka, topic) == {0: 2, 1: 2, 2: 2, 3: 2}


def test_a_damaged_backup_is_refused_before_anything_is_written(
    kafka: str, topic: str, other_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    append_odd_records(kafka, topic, 400)
    backed_up(kafka, topic, tmp_path)
    damaged = segments(tmp_path)[-1]
    content = bytearray(damaged.read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content)

    done = run(environment(other_kafka.bootstrap, topic), "restore", tmp_path)

    assert (done.returncode, f"{topic}/{damaged.name}" in done.stderr) == (1, True)
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=other_kafka.bootstrap)) as admin:
        assert topic not in admin.list_topics()


def test_a_restore_that_is_stopped_anywhere_is_continued_and_keeps_workers_off_meanwhile(
    kafka: str, topic: str, other_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    operations = f"{topic}.operations"
    create_topic(kafka, operations)
    append_odd_records(kafka, topic, 800)
    append_odd_records(kafka, operations, 80)
    told(environment(kafka, topic), "backup", "--output", tmp_path)
    env = environment(other_kafka.bootstrap, topic)
    specs = [touchpoints_topic(name, 4, 1) for name in (topic, operations)]

    # Topics are filled in the order of the backup, each partition of 200 (of 20) records in one chunk.
    for step, nth, number, there in (
        ("append", 2, signal.SIGKILL, 300),
        ("append", 2, signal.SIGINT, 500),
        ("append", 4, signal.SIGTERM, 830),
        ("finish", 1, signal.SIGKILL, 880),
    ):
        done = stopped_restore(env, step, nth, number, tmp_path)

        if number == signal.SIGKILL:
            assert done.returncode == -number
        else:
            assert (done.returncode, "interrupted. Run the same command again to go on." in done.stderr) == (130, True)
        assert sum(_held(other_kafka, name) for name in (topic, operations)) == there
        assert inspect_topics(other_kafka.bootstrap, specs)[0].state == "different"
    refused = run(env, "backup", "--output", tmp_path / "other")
    assert "is being restored" in refused.stderr

    answer = told(env, "restore", tmp_path)

    assert (answer["records"], answer["found"]) == (880, 880)
    for name in (topic, operations):
        assert everything(other_kafka.bootstrap, name) == everything(kafka, name)
    assert [report.state for report in inspect_topics(other_kafka.bootstrap, specs)] == ["right", "right"]


def _held(kafka: EmbeddedKafka, topic: str) -> int:
    with kafka_topics(kafka.bootstrap) as topics:
        return sum(end_offsets(kafka.bootstrap, topic).values()) if topics.facts(topic) else 0


def test_a_topic_whose_settings_kafka_does_not_change_is_named(kafka: str, topic: str) -> None:
    with kafka_topics(kafka) as topics, pytest.raises(TopicSetupError, match=f"{topic}: .*retention.ms"):
        topics.finish_restore({topic: {"retention.ms": "for ever"}})


def test_an_interrupted_restore_into_which_somebody_wrote_is_refused(
    kafka: str, topic: str, other_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    append_odd_records(kafka, topic, 8)
    backed_up(kafka, topic, tmp_path)
    told(environment(other_kafka.bootstrap, topic), "restore", tmp_path)
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=other_kafka.bootstrap)) as admin:
        half = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"message.timestamp.type": "CreateTime"})
        admin.alter_configs([half])
    with contextlib.closing(KafkaProducer(bootstrap_servers=other_kafka.bootstrap)) as producer:
        producer.send(topic, b"not of the backup", partition=2)
        producer.flush()

    done = run(environment(other_kafka.bootstrap, topic), "restore", tmp_path)

    assert (done.returncode, "somebody else wrote to it" in done.stderr) == (1, True)


def test_a_log_with_gaps_is_restored_without_them_and_says_so(
    kafka: str, topic: str, other_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka, transactional_id=f"gaps-{topic}", enable_idempotence=True)
    producer.init_transactions()
    for number in range(3):  # each transaction leaves a marker behind, which is a position without a record
        producer.begin_transaction()
        producer.send(topic, f"value {number}".encode(), partition=0)
        producer.commit_transaction()
    producer.close()
    operations = f"{topic}.operations"
    ensure_topics(kafka, [operations_topic(operations, 1)])
    with OperationsLog(kafka, operations) as log:
        log.append(discarded(topic, 4))
    backed_up(kafka, topic, tmp_path)

    answer = told(environment(other_kafka.bootstrap, topic), "restore", tmp_path)

    assert [one["positions_kept"] for one in answer["partitions"]] == [False, True, True, True, True]
    assert answer["partitions"][-1]["renamed"] == 1
    before, after = everything(kafka, topic), everything(other_kafka.bootstrap, topic)
    assert [one.offset for one in before] == [0, 2, 4]
    assert after == [one._replace(offset=position) for position, one in enumerate(before)]
    (told_there,) = everything(other_kafka.bootstrap, operations)
    assert [place.offset for place in decode_operation(told_there.value).places] == [2]
    # Another run compares what is there with the same translation.
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=other_kafka.bootstrap)) as admin:
        half = {"message.timestamp.type": "CreateTime"}
        names = (topic, operations)
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=half) for name in names])
    again = told(environment(other_kafka.bootstrap, topic), "restore", tmp_path)
    assert (again["found"], again["records"]) == (4, 4)


@pytest.mark.parametrize("open_one", [ConfluentRecordWriter, KafkaRecordWriter])
def test_every_client_writes_records_as_they_are(
    open_one: Callable[[str, str], RecordWriter], kafka: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(1, **{"message.timestamp.type": "CreateTime"})
    records = [LogRecord(0, n, 1_600_000_000_000 + n, None if n % 2 else b"", b"", [("a", b"\xff")]) for n in range(50)]
    with contextlib.closing(open_one(kafka, topic)) as writer:
        writer.append([(record, record.offset) for record in records])

    assert everything(kafka, topic) == records
