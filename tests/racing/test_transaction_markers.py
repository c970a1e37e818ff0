"""Producers that write in transactions: the markers at their ends have positions, but are no records and no lag."""

from __future__ import annotations

import contextlib
import re
import urllib.request
from collections.abc import Iterator
from datetime import datetime

import pytest
from kafka import KafkaProducer
from live_log import applied_offsets, end_offsets
from pipeline import Pipeline
from two_hands import event
from worker_farm import until

from customer_timeline.api.config import PartitionLag
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.embedded.ports import free_port
from customer_timeline.runtime.lag import LagProbe
from customer_timeline.runtime.settings import Settings


@pytest.fixture
def transactional(pipeline: Pipeline) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(bootstrap_servers=pipeline.bootstrap, transactional_id=f"shop-{pipeline.topic}")
    producer.init_transactions()
    yield producer
    producer.close()


def _write(producer: KafkaProducer, topic: str, *numbers: int) -> None:
    """One transaction: an event in each of the first two partitions a number, and a marker in both at its end."""
    producer.begin_transaction()
    for number in numbers:
        for partition in (0, 1):
            name = f"{number}-{partition}"
            producer.send(topic, event(name, number, f"email:{name}@x.test"), partition=partition)
    producer.commit_transaction()


def _told_lag(port: int) -> dict[int, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        told = answer.read().decode()
    found = re.findall(r'^customer_timeline_lag_events\{partition="(\d+)"\} (\S+)$', told, re.MULTILINE)
    return {int(partition): float(lag) for partition, lag in found}


def _passed_at(pipeline: Pipeline) -> list[datetime | None]:
    return [at for (at,) in pipeline.query("SELECT passed_at FROM projector_offset ORDER BY part")]


def test_lag_is_nothing_once_all_that_can_be_read_is_applied(pipeline: Pipeline, transactional: KafkaProducer) -> None:
    port = free_port()
    _write(transactional, pipeline.topic, 1, 2)
    settings = pipeline.settings(500, "w0") | {"metrics_port": str(port)}
    pipeline.workers.append(pipeline.farm.start(settings))
    ends = end_offsets(pipeline.bootstrap, pipeline.topic)
    assert ends == {0: 3, 1: 3, 2: 0, 3: 0}  # two events and a marker
    until(lambda: applied_offsets(pipeline.url, pipeline.topic) == ends, "the markers are passed")
    until(lambda: _told_lag(port) == {0: 0.0, 1: 0.0}, "the metric says so")
    with contextlib.closing(LagProbe(Settings(**settings), SystemClock())) as probe:  # type: ignore[arg-type]
        assert probe() == tuple(PartitionLag(pipeline.topic, part, 0, 0.0) for part in range(4))
    _write(transactional, pipeline.topic, 3)
    until(lambda: applied_offsets(pipeline.url, pipeline.topic) == {**ends, 0: 5, 1: 5}, "it goes on after them")
    pipeline.check()


def test_a_partition_that_ends_with_a_marker_does_not_keep_time_from_passing(
    pipeline: Pipeline, transactional: KafkaProducer
) -> None:
    _write(transactional, pipeline.topic, 1)
    pipeline.start()
    until(lambda: pipeline.query("SELECT count(*) FROM timeline") == [(2,)], "the events are in the timeline")
    ((now,),) = pipeline.query("SELECT clock_timestamp()")
    until(
        lambda: all(at is not None and at > now for at in _passed_at(pipeline)),
        "all partitions have passed that instant",
    )


def test_a_worker_that_starts_at_a_marker_passes_it(pipeline: Pipeline, transactional: KafkaProducer) -> None:
    """As one does that was killed after the last record, or that comes after a version that did not pass markers."""
    _write(transactional, pipeline.topic, 1)
    first = pipeline.start()
    until(lambda: pipeline.query("SELECT count(*) FROM timeline") == [(2,)], "the events are in the timeline")
    first.kill()
    pipeline.execute("UPDATE projector_offset SET next_offset = 1 WHERE part IN (0, 1)")
    pipeline.start()
    pipeline.settle()
    pipeline.check()
