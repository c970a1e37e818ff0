"""What only a real Kafka can show: restarts, outages, back-pressure, topics that are missing, what the client logs."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient
from kafka.errors import InvalidReplicationFactorError
from published_log import CODEC, read_log, viewed
from silent_broker import silent

from customer_timeline.producers.confluent_publisher import ConfluentPublisher
from customer_timeline.producers.delivery import PublisherOptions
from customer_timeline.producers.errors import (
    BufferFull,
    DeliveryFailed,
    FlushTimeout,
    KafkaUnreachable,
    PublishError,
    TopicMissing,
)
from customer_timeline.producers.protocol import Receipt
from customer_timeline.producers.publisher import KafkaPublisher
from customer_timeline.runtime.embedded import EmbeddedKafka

TOPIC = "touchpoints"
SHORT = PublisherOptions(delivery_timeout_s=3)  # long enough for a busy machine to deliver what it can
Place = tuple[str, str]
Client = type[KafkaPublisher | ConfluentPublisher]


@pytest.fixture(params=[KafkaPublisher, ConfluentPublisher], ids=["kafka-python", "confluent"])
def client(request: pytest.FixtureRequest) -> Client:
    """Every publisher on Kafka keeps every one of these promises."""
    found: Client = request.param
    return found


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    """A Kafka of this module's own, to be stopped and restarted."""
    folder = Path(tempfile.mkdtemp(prefix="ct-publisher-"))
    server = EmbeddedKafka(folder / "kafka").start()
    yield server
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def place(broker: EmbeddedKafka) -> Place:
    """Its address and a new topic."""
    name = f"touchpoints-{uuid.uuid4().hex[:12]}"
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
        wait_until(lambda: is_made(admin, name))
    return broker.bootstrap, name


def is_made(admin: KafkaAdminClient, topic: str) -> bool:
    """Make the topic; false while the controller does not count a broker that was silent, or away, just before."""
    try:
        admin.create_topics({topic: {"num_partitions": 4, "replication_factor": 1}}, wait_for_metadata=True)
    except InvalidReplicationFactorError:
        return False
    return True


def wait_until(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


def test_a_broker_restarted_under_load_loses_nothing_and_doubles_nothing(
    client: Client, broker: EmbeddedKafka, place: Place
) -> None:
    receipts: dict[str, Receipt] = {}
    stop = threading.Event()

    def load(thread: int) -> None:
        number = 0
        while not stop.is_set():
            id_ = f"{thread}-{number}"
            receipts[id_] = publisher.publish(viewed(id_, f"{number % 50}@example.com"))
            number += 1

    def wait_for_more() -> None:
        so_far = publisher.counts.acknowledged
        wait_until(lambda: publisher.counts.acknowledged > so_far + 500)

    with client(*place, CODEC, PublisherOptions(buffer_bytes=4 * 1024 * 1024)) as publisher:
        threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for mode in ("kill", "clean"):
            wait_for_more()
            broker.restart(mode)
        wait_for_more()
        stop.set()
        for thread in threads:
            thread.join()
        publisher.flush()
        positions = {id_: receipt.position(0) for id_, receipt in receipts.items()}
        assert publisher.counts == (len(receipts), len(receipts), 0)

    log = read_log(*place)
    assert Counter(CODEC.parse(record.value).id for record in log) == dict.fromkeys(receipts, 1)
    assert {CODEC.parse(record.value).id: record.position for record in log} == positions


def test_publish_waits_for_room_then_refuses_and_goes_on_when_kafka_is_back(
    client: Client, broker: EmbeddedKafka, place: Place
) -> None:
    accepted: list[str] = []

    def fill() -> None:
        for number in range(1000):
            publisher.publish(viewed(str(number)))
            accepted.append(str(number))

    with client(*place, CODEC, PublisherOptions(buffer_bytes=50_000, block_s=0.5)) as publisher:
        publisher.publish_all([viewed("first")])
        with (
            silent(broker),
            pytest.raises(BufferFull, match=r"not accepted: \d+ bytes still wait for Kafka after 0.5 s"),
        ):
            fill()
        publisher.flush()
        publisher.publish_all([viewed("last")])

    # Every event counts with 1,024 bytes of bookkeeping, and its JSON has between 180 and 300 bytes.
    assert 50_000 // (1024 + 300) <= len(accepted) <= 50_000 // (1024 + 180)
    ids = Counter(CODEC.parse(record.value).id for record in read_log(*place))
    assert ids == dict.fromkeys(["first", *accepted, "last"], 1)


def test_an_event_that_is_not_delivered_in_time_fails_its_receipt_and_the_next_flush_once(
    client: Client, broker: EmbeddedKafka, place: Place
) -> None:
    with client(*place, CODEC, SHORT) as publisher:
        publisher.publish_all([viewed("first")])
        with silent(broker):
            receipt = publisher.publish(viewed("late"))
            with pytest.raises(DeliveryFailed) as caught:
                publisher.flush()

        assert caught.value.event_id == receipt.event_id
        with pytest.raises(DeliveryFailed, match="Publish it again"):
            receipt.position()
        assert publisher.counts == (2, 1, 1)
        publisher.flush()


def test_after_a_failure_the_publisher_goes_on(client: Client, broker: EmbeddedKafka, place: Place) -> None:
    with client(*place, CODEC, SHORT) as publisher:
        publisher.publish_all([viewed("first")])
        with silent(broker), pytest.raises(DeliveryFailed):
            publisher.publish_all([viewed("late")])
        with pytest.raises(DeliveryFailed):
            publisher.flush()
        publisher.publish_all([viewed(str(number)) for number in range(20)])

    ids = Counter(CODEC.parse(record.value).id for record in read_log(*place))
    # The late one may have arrived when the broker woke up; nobody was told that it had.
    assert ids - Counter(["late"]) == dict.fromkeys(["first", *map(str, range(20))], 1)


def test_close_gives_up_at_its_time_limit_and_leaves_no_receipt_undecided(
    client: Client, broker: EmbeddedKafka, place: Place
) -> None:
    publisher = client(*place, CODEC)
    publisher.publish_all([viewed("first")])
    with silent(broker):
        receipt = publisher.publish(viewed("late"))
        with pytest.raises(FlushTimeout, match=r"1 events were still unacknowledged after 0.3 s"):
            publisher.close(timeout_s=0.3)

        with pytest.raises(DeliveryFailed):
            receipt.position(0)


def test_a_failure_to_deliver_becomes_a_note_of_the_exception_that_leaves_the_block(
    client: Client, broker: EmbeddedKafka, place: Place
) -> None:
    def interrupted() -> None:
        with client(*place, CODEC, SHORT) as publisher, silent(broker):
            publisher.publish(viewed("late"))
            publisher.flush()

    def troubled() -> None:
        with client(*place, CODEC, SHORT) as publisher:
            stack.enter_context(silent(broker))
            publisher.publish(viewed("late"))
            raise LookupError("the adapter's own trouble")

    with pytest.raises(DeliveryFailed):
        interrupted()
    with contextlib.ExitStack() as stack, pytest.raises(LookupError, match="own trouble") as caught:
        troubled()
    assert "did not acknowledge event" in caught.value.__notes__[0]


def test_a_kafka_that_does_not_answer_is_named_within_the_time_limit(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(KafkaUnreachable, match=rf"Kafka at {address} did not answer within 0.5 s"):
            client(address, TOPIC, CODEC, PublisherOptions(connect_timeout_s=0.5))
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-host.invalid:9092"])
def test_a_wrong_address_is_named(client: Client, address: str) -> None:
    with pytest.raises(KafkaUnreachable, match=address):
        client(address, TOPIC, CODEC, PublisherOptions(connect_timeout_s=0.5))


def test_a_missing_topic_is_refused_and_not_created(client: Client, kafka: str, kafka_admin: KafkaAdminClient) -> None:
    with pytest.raises(TopicMissing, match="'no-such-topic' does not exist"):
        client(kafka, "no-such-topic", CODEC)

    assert "no-such-topic" not in kafka_admin.list_topics()


def test_a_topic_deleted_under_the_publisher_fails_the_event_and_is_not_created_again(
    client: Client, kafka: str, kafka_admin: KafkaAdminClient, topic: str
) -> None:
    options = PublisherOptions(delivery_timeout_s=3, block_s=1)
    publisher = client(kafka, topic, CODEC, options)
    publisher.publish_all([viewed("1")])
    kafka_admin.delete_topics([topic])

    with pytest.raises(PublishError):
        publisher.publish_all([viewed("2")])

    assert topic not in kafka_admin.list_topics()
    with pytest.raises(PublishError):
        publisher.close()


def test_no_personal_data_is_logged_at_any_level(
    client: Client, kafka: str, topic: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("kafka"), "level", logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    with client(kafka, topic, CODEC) as publisher:
        publisher.publish_all([viewed("1", "ann@example.com")])

    assert "ann@example.com" not in caplog.text
    assert "shop.example.com" not in caplog.text


def test_a_batch_larger_than_the_topic_takes_is_split_and_flush_knows(
    kafka: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(1, **{"max.message.bytes": "20000", "compression.type": "uncompressed"})
    events = [viewed(f"{number}-{number * 7919 % 1000}") for number in range(400)]
    with KafkaPublisher(kafka, topic, CODEC, PublisherOptions(batch_bytes=1 << 20, linger_s=0.2)) as publisher:
        receipts = [publisher.publish(event) for event in events]
        publisher.flush()

    log = read_log(kafka, topic)
    at = {record.position: CODEC.parse(record.value).id for record in log}
    assert [at[receipt.position(0)] for receipt in receipts] == [event.id for event in events]
    assert len(log) == 400
