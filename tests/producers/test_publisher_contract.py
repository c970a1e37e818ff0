"""What every publisher promises, whatever is behind it: run on the log in memory and on a real Kafka.

Another client passes when it is added to the fixture `log`.
"""

from __future__ import annotations

import gc
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from kafka.admin import KafkaAdminClient
from published_log import CODEC, NOON, identifier_id, read_log, viewed

from customer_timeline.producers.confluent_publisher import ConfluentPublisher
from customer_timeline.producers.errors import PublisherClosed, PublisherForked
from customer_timeline.producers.memory import MemoryPublisher, MemoryRecord
from customer_timeline.producers.partitioning import partition_key
from customer_timeline.producers.protocol import Position, Publisher
from customer_timeline.producers.publisher import KafkaPublisher
from customer_timeline.producers.touchpoints import email, member_id, page_viewed
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.envelope import event_id
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason
from customer_timeline.schemas.position_token import EventPosition, PositionToken


class Log(Protocol):
    """A publisher and what it wrote."""

    @property
    def publisher(self) -> Publisher:
        """The publisher under test."""

    def records(self) -> list[MemoryRecord]:
        """Everything in the log."""


class InMemory:
    def __init__(self) -> None:
        self.publisher = MemoryPublisher(CODEC)

    def records(self) -> list[MemoryRecord]:
        return sorted(self.publisher.records)


class OnKafka:
    def __init__(self, bootstrap: str, topic: str, client: type[KafkaPublisher | ConfluentPublisher]) -> None:
        self._where = bootstrap, topic
        self.publisher = client(bootstrap, topic, CODEC)

    def records(self) -> list[MemoryRecord]:
        return read_log(*self._where)


@pytest.fixture(params=[InMemory, KafkaPublisher, ConfluentPublisher], ids=["memory", "kafka-python", "confluent"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    if request.param is InMemory:
        yield InMemory()
        return
    on_kafka = OnKafka(request.getfixturevalue("kafka"), request.getfixturevalue("topic"), request.param)
    yield on_kafka
    on_kafka.publisher.close()


def test_a_receipt_tells_the_position_at_which_the_event_stands(log: Log) -> None:
    receipt = log.publisher.publish(viewed("1"))

    position = receipt.position(timeout_s=30)

    assert receipt.done()
    assert receipt.event_id == event_id("/shop", "1")
    assert [record.position for record in log.records()] == [position]


def test_a_receipt_gives_the_position_as_a_token_that_names_the_event(log: Log) -> None:
    receipt = log.publisher.publish(viewed("1"))

    token = receipt.token(timeout_s=30)

    assert token.events == (EventPosition(*receipt.position()[1:]),)
    assert PositionToken.parse(str(token)) == token


def test_a_publisher_gives_one_token_of_everything_acknowledged(log: Log) -> None:
    assert log.publisher.token is None
    receipts = [log.publisher.publish(viewed(str(number), f"person{number}@example.com")) for number in range(8)]
    log.publisher.flush()
    few = log.publisher.token

    assert few is not None
    assert few.events is not None
    assert few == PositionToken.merged(receipt.token() for receipt in receipts)

    log.publisher.publish_all(viewed(f"more{number}", f"person{number}@example.com") for number in range(100))

    many = log.publisher.token
    assert many is not None
    assert many.events is None
    ends = {record.position.partition: record.position.offset + 1 for record in log.records()}
    assert dict(many.next_offsets) == ends


def test_publish_all_returns_the_positions_in_the_order_given(log: Log) -> None:
    events = [viewed(str(number), f"person{number % 7}@example.com") for number in range(50)]

    positions = log.publisher.publish_all(events)

    at = {record.position: record.value for record in log.records()}
    assert len(set(positions)) == 50
    assert [CODEC.parse(at[position]).id for position in positions] == [str(number) for number in range(50)]


def test_a_record_is_a_cloud_event_under_the_key_of_its_anchor(log: Log) -> None:
    event = page_viewed(
        source="/shop",
        id="1",
        time=NOON,
        identifiers=[email("ann@example.com"), member_id("M-1")],
        channel="web",
        url="https://shop.example.com/",
    )

    log.publisher.publish_all([event])

    (record,) = log.records()
    # A member id is stronger than an email, so the event is anchored there.
    assert record.key == identifier_id("member_id", "M-1").encode()
    assert record.headers == (("content-type", b"application/cloudevents+json"),)
    assert CODEC.parse(record.value) == event


@pytest.mark.parametrize("type_name", CATALOGUE)
def test_a_decoded_event_has_the_key_that_the_codec_gives_the_event(type_name: str) -> None:
    model = CATALOGUE[type_name]
    said: dict[str, Any] = {
        "specversion": "1.0",
        "id": "1",
        "source": "/tests",
        "type": type_name,
        "time": NOON.isoformat(),
        "revision": model.least_revision,
        "data": dict(model.example),
    }
    value = json.dumps(said).encode()

    assert partition_key(CODEC.decode(value, appended_at=NOON)) == CODEC.partition_key(CODEC.parse(value))


def test_events_with_one_key_keep_their_order(log: Log) -> None:
    log.publisher.publish_all(viewed(str(number)) for number in range(200))

    records = log.records()
    assert len({record.position.partition for record in records}) == 1
    assert [CODEC.parse(record.value).id for record in records] == [str(number) for number in range(200)]


def test_every_client_puts_one_key_in_the_same_partition(kafka: str, topic: str) -> None:
    events = [viewed(str(number), f"person{number}@example.com") for number in range(50)]
    partitions = []
    for client in (KafkaPublisher, ConfluentPublisher):
        with client(kafka, topic, CODEC) as publisher:
            partitions.append([position.partition for position in publisher.publish_all(events)])

    assert partitions[0] == partitions[1]
    assert len(set(partitions[0])) > 1


def test_every_client_calls_the_topic_by_the_id_that_kafka_gave_it(
    kafka: str, topic: str, kafka_admin: KafkaAdminClient
) -> None:
    ids = set()
    for client in (KafkaPublisher, ConfluentPublisher):
        with client(kafka, topic, CODEC) as publisher:
            ids.add(publisher.publish(viewed("1")).token().topic_id)

    assert ids == {str(kafka_admin.describe_topics([topic])[0]["topic_id"])}


def test_a_decoded_event_is_written_byte_for_byte(log: Log) -> None:
    original = b" " + CODEC.encode(viewed("1")).replace(b'":', b'" : ')

    log.publisher.publish_all([CODEC.decode(original, appended_at=NOON)])

    assert [record.value for record in log.records()] == [original]


def test_what_would_be_a_dead_letter_is_refused_and_nothing_is_accepted(log: Log) -> None:
    blocked = page_viewed(
        source="/shop", time=NOON, identifiers=[member_id("null")], channel="web", url="https://shop.example.com/"
    )
    elsewhere = page_viewed(
        source="/shop", time=NOON, identifiers=[email("a@example.com")], channel="pigeon", url="https://a.example.com/"
    )
    tomorrow = page_viewed(
        source="/shop",
        time=datetime.now(UTC) + timedelta(days=1),
        identifiers=[email("a@example.com")],
        channel="web",
        url="https://a.example.com/",
    )
    for event, reason in (
        (blocked, RejectionReason.NO_USABLE_IDENTIFIER),
        (elsewhere, RejectionReason.INVALID_FIELD),
        (tomorrow, RejectionReason.FUTURE),
    ):
        with pytest.raises(InvalidEvent) as caught:
            log.publisher.publish(event)
        assert caught.value.reason is reason

    log.publisher.flush()
    assert log.publisher.counts == (0, 0, 0)
    assert log.records() == []


def test_flush_returns_when_all_that_was_accepted_is_in_the_log(log: Log) -> None:
    receipts = [log.publisher.publish(viewed(str(number))) for number in range(300)]

    log.publisher.flush()

    assert all(receipt.done() for receipt in receipts)
    assert log.publisher.counts == (300, 300, 0)
    assert len(log.records()) == 300


def test_flush_with_nothing_published_returns(log: Log) -> None:
    log.publisher.flush()
    log.publisher.flush()


def test_threads_may_share_a_publisher(log: Log) -> None:
    positions: dict[str, Position] = {}

    def publish(thread: int) -> None:
        for number in range(250):
            id_ = f"{thread}-{number}"
            positions[id_] = log.publisher.publish(viewed(id_, f"{thread}@example.com")).position(30)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {CODEC.parse(record.value).id: record.position for record in log.records()} == positions
    assert len(positions) == 1000


def test_leaving_the_block_delivers_everything(log: Log) -> None:
    with log.publisher as publisher:
        for number in range(100):
            publisher.publish(viewed(str(number)))

    assert Counter(CODEC.parse(record.value).id for record in log.records()) == {str(n): 1 for n in range(100)}


def test_an_exception_that_leaves_the_block_stays_and_what_was_published_is_delivered(log: Log) -> None:
    def interrupted() -> None:
        with log.publisher as publisher:
            publisher.publish(viewed("1"))
            raise LookupError

    with pytest.raises(LookupError):
        interrupted()

    assert len(log.records()) == 1


def test_use_after_close_is_refused(log: Log) -> None:
    log.publisher.close()
    log.publisher.close()

    with pytest.raises(PublisherClosed, match="closed"):
        log.publisher.publish(viewed("1"))
    assert log.records() == []


def test_use_after_a_fork_is_refused_in_the_child_and_the_parent_goes_on(log: Log) -> None:
    log.publisher.publish_all([viewed("1")])

    child = os.fork()
    if child == 0:
        # No assertion may leave the child: it would run the rest of the suite a second time.
        os._exit(_outcome_in_child(log))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    log.publisher.publish_all([viewed("2")])
    assert len(log.records()) == 2


def _outcome_in_child(log: Log) -> int:
    refused = 0
    for use in (lambda: log.publisher.publish(viewed("3")), log.publisher.flush, lambda: log.publisher.counts):
        try:
            use()
        except PublisherForked as error:
            refused += str(os.getpid()) in str(error) and error.made_in_pid == os.getppid()
    # What the end of a program does: neither may wait for a thread that only the parent has.
    log.publisher.close()
    vars(log).clear()
    gc.collect()
    return 0 if refused == 3 else 1
