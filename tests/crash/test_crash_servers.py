"""Servers that go away under a running worker, and a topic that is another one under the same name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from digest import difference, digest_of
from generators import Shape, seeded_log
from live_log import anywhere, applied_offsets, caught_up, end_offsets, recreate_topic
from pipeline import SCHEMA, Pipeline
from worker_farm import Farm, Worker, until

from customer_timeline.runtime.embedded import EmbeddedKafka, EmbeddedPostgres
from customer_timeline.runtime.migrate import migrate

SHAPE = Shape(events=250, people=30)


def _halfway(pipeline: Pipeline) -> bool:
    return sum(applied_offsets(pipeline.url, pipeline.topic).values()) > 60


def _under_load(pipeline: Pipeline, seed: int, disturb: Callable[[], None]) -> None:
    """Append, start a worker with small batches, disturb it in the middle, append more, and compare."""
    pipeline.append(seeded_log(seed, SHAPE), anywhere(seed, 4))
    worker = pipeline.start(10)
    until(lambda: _halfway(pipeline), "the worker is in the middle")
    disturb()
    pipeline.append(seeded_log(seed + 1, SHAPE), anywhere(seed, 4))
    pipeline.settle()
    assert worker.poll() is None, pipeline.last_words()
    pipeline.check()


@pytest.mark.parametrize("mode", ["clean", "kill"])
def test_a_worker_outlives_a_restart_of_kafka(
    farm: Farm, own_kafka: EmbeddedKafka, database: str, mode: Literal["clean", "kill"]
) -> None:
    pipeline = Pipeline(farm, own_kafka.bootstrap, database, "touchpoints-of-a-restart")
    pipeline.make_topic()
    try:
        _under_load(pipeline, 51, lambda: own_kafka.restart(mode))
    finally:
        pipeline.close()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_worker_outlives_a_restart_of_postgres(
    farm: Farm, kafka: str, topic: str, own_postgres: EmbeddedPostgres, mode: Literal["fast", "immediate"], seed: int
) -> None:
    migrate(own_postgres.url, SCHEMA)
    pipeline = Pipeline(farm, kafka, own_postgres.url, topic)
    try:
        _under_load(pipeline, 61 + seed, lambda: own_postgres.restart(mode))
    finally:
        pipeline.close()


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_a_worker_outlives_fifty_restarts_of_postgres(
    farm: Farm, kafka: str, topic: str, own_postgres: EmbeddedPostgres, mode: Literal["fast", "immediate", "kill"]
) -> None:
    migrate(own_postgres.url, SCHEMA)
    pipeline = Pipeline(farm, kafka, own_postgres.url, topic)
    try:
        worker = pipeline.start(10)
        for round_ in range(50):
            rest = threading.Thread(
                target=pipeline.append, args=(seeded_log(round_, Shape(events=120, people=30)), anywhere(round_, 4))
            )
            rest.start()
            own_postgres.restart(mode)
            rest.join()
            pipeline.settle()
            assert worker.poll() is None, pipeline.last_words()
        pipeline.check()
    finally:
        pipeline.close()


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["clean", "kill"])
def test_a_worker_outlives_fifty_restarts_of_kafka(
    farm: Farm, own_kafka: EmbeddedKafka, database: str, mode: Literal["clean", "kill"]
) -> None:
    pipeline = Pipeline(farm, own_kafka.bootstrap, database, "touchpoints-of-restarts")
    pipeline.make_topic()
    try:
        worker = pipeline.start(10)
        for round_ in range(50):
            pipeline.append(seeded_log(round_, Shape(events=120, people=30)), anywhere(round_, 4))
            own_kafka.restart(mode)
            pipeline.settle()
            assert worker.poll() is None, pipeline.last_words()
        pipeline.check()
    finally:
        pipeline.close()


def _stops_with_a_command(worker: Worker, topic: str) -> None:
    assert worker.wait() not in (0, 70), worker.log()
    last = worker.log()
    assert topic in last
    assert "customer-timeline " in last.replace("customer-timeline:", "")
    assert "Traceback" not in last


@pytest.mark.parametrize("running", [True, False], ids=["under a running worker", "while no worker runs"])
def test_a_topic_that_is_another_one_under_the_same_name_stops_the_worker(pipeline: Pipeline, running: bool) -> None:
    pipeline.append(seeded_log(71, SHAPE), anywhere(71, 4))
    worker = pipeline.start(100)
    pipeline.settle()
    before = digest_of(pipeline.url)
    if not running:
        worker.kill()
    recreate_topic(pipeline.bootstrap, pipeline.topic)
    pipeline.append(seeded_log(72, SHAPE), anywhere(72, 4))
    if not running:
        worker = pipeline.start(100)
    _stops_with_a_command(worker, pipeline.topic)
    assert difference(before, digest_of(pipeline.url), recorded=True) == ""


def test_a_topic_shorter_than_what_was_applied_stops_the_worker(pipeline: Pipeline) -> None:
    pipeline.append(seeded_log(73, SHAPE), anywhere(73, 4))
    pipeline.start(100)
    pipeline.settle()
    pipeline.close()
    pipeline.execute("UPDATE projector_offset SET next_offset = next_offset + 1000")
    worker = pipeline.start(100)
    _stops_with_a_command(worker, pipeline.topic)


def test_a_folder_of_kafka_that_came_back_empty_stops_the_worker(farm: Farm, own_folder: Path, database: str) -> None:
    """Not the same cluster: same address, same topic name, nothing in it."""
    with EmbeddedKafka(own_folder / "one") as first:
        pipeline = Pipeline(farm, first.bootstrap, database, "touchpoints-of-a-loss")
        pipeline.make_topic()
        pipeline.append(seeded_log(74, SHAPE), anywhere(74, 4))
        pipeline.start(100)
        pipeline.settle()
        pipeline.close()
        port = int(first.bootstrap.rpartition(":")[2])
    with EmbeddedKafka(own_folder / "two", port) as second:
        pipeline.make_topic()
        worker = pipeline.start(100)
        _stops_with_a_command(worker, pipeline.topic)
        assert not caught_up(pipeline.url, pipeline.topic, {0: 10**9})
        assert end_offsets(second.bootstrap, pipeline.topic) == dict.fromkeys(range(4), 0)
