"""The other provider of servers: the official images. Needs a Docker engine; says loudly where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import SCHEMA, DockerProvider

from customer_timeline.runtime.migrate import migrate, pending
from customer_timeline.schemas.topics import touchpoints_topic
from customer_timeline.streams.topic_setup import ensure_topics

pytestmark = pytest.mark.docker


@pytest.fixture
def provider() -> Iterator[DockerProvider]:
    made = DockerProvider()
    yield made
    made.stop()


def test_the_official_images_take_the_tables_and_the_topics(provider: DockerProvider) -> None:
    url = provider.postgres()
    assert migrate(url, SCHEMA)
    assert pending(url, SCHEMA) == []
    (report,) = ensure_topics(provider.kafka(), [touchpoints_topic("touchpoints", 4, 1)])
    assert (report.state, report.partitions, report.created) == ("right", 4, True)
