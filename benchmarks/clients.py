"""The publishers that are compared, by the name of their client, and topics to compare them on."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from benchmarks.topic import BenchmarkTopic
from customer_timeline.producers.confluent_publisher import ConfluentPublisher
from customer_timeline.producers.publisher import KafkaPublisher
from customer_timeline.runtime.embedded.kafka import EmbeddedKafka
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy

PARTITIONS = 4
MakePublisher = Callable[[str, str, Codec], KafkaPublisher | ConfluentPublisher]
CLIENTS: Mapping[str, MakePublisher] = {"kafka-python": KafkaPublisher, "confluent": ConfluentPublisher}


def new_codec() -> Codec:
    """A codec with empty caches, as every process has at its beginning."""
    return Codec(IdentityPolicy(), b"a secret of the benchmark")


@contextmanager
def topic_on(bootstrap: str) -> Iterator[str]:
    """A topic for one run, with the settings of the product's own; it goes away with the run."""
    topic = BenchmarkTopic(bootstrap, f"bench-{uuid.uuid4().hex[:12]}", PARTITIONS)
    topic.create()
    _wait_until_known(bootstrap, topic.name)
    try:
        yield topic.name
    finally:
        topic.delete()


@contextmanager
def own_kafka() -> Iterator[str]:
    """The address of a Kafka for this run."""
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder:
        server = EmbeddedKafka(Path(folder) / "kafka", ephemeral=True)
        server.start()
        try:
            yield server.bootstrap
        finally:
            server.stop()


def _wait_until_known(bootstrap: str, topic: str) -> None:
    # The controller has made it; the broker that clients ask may learn of it a moment later.
    admin, until = AdminClient({"bootstrap.servers": bootstrap}), time.monotonic() + 30
    while topic not in admin.list_topics(timeout=10).topics:
        if time.monotonic() > until:
            raise TimeoutError(f"the broker does not know {topic}")
        time.sleep(0.01)
