"""The worker as an operator runs it: two ways to start one app, a clean stop, metrics, and topics that it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from servers import MakeTopic, as_environment
from two_hands import event
from worker_farm import until

from customer_timeline.producers.touchpoints import email, page_viewed
from customer_timeline.runtime.embedded.ports import free_port
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import codec, publisher

BY_COMMAND = [sys.executable, "-m", "customer_timeline.runtime.cli.main", "worker"]
BY_FAUST = [sys.executable, "-m", "faust", "-A", "customer_timeline.runtime.worker:app", "worker", "-l", "warn"]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(command: list[str], **changed: str) -> subprocess.Popen[str]:
        with (tmp_path / f"worker-{len(started)}.log").open("w") as output:
            process = subprocess.Popen(
                command,
                env={**environment, **changed},
                cwd=tmp_path,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def _rows(settings: Settings, query: str) -> list[Any]:
    connection = psycopg2.connect(settings.database_url.get_secret_value())
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        rows = cursor.fetchall()
    connection.close()
    return rows


def _events(settings: Settings) -> int:
    ((count,),) = _rows(settings, "SELECT count(*) FROM customer_timeline.timeline")
    return int(count)


def _publish(settings: Settings, name: str) -> None:
    with publisher(settings) as log:
        log.publish_all([codec(settings).parse(event(name, 1, "email:ann@example.com"))])


@pytest.mark.parametrize("command", [BY_COMMAND, BY_FAUST], ids=["customer-timeline worker", "faust -A"])
def test_both_ways_start_the_same_app_and_stop_it_in_peace(
    start: Start, settings: Settings, command: list[str], tmp_path: Path
) -> None:
    _publish(settings, "e1")
    worker = start(command)
    until(lambda: _events(settings) == 1, "the event is in the timeline")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["worker-0.log"]  # nothing else is left where it ran


def test_what_a_worker_does_is_counted_for_prometheus(start: Start, settings: Settings) -> None:
    port = free_port()
    _publish(settings, "e1")
    start([*BY_COMMAND, "--metrics-port", str(port)])
    until(lambda: _events(settings) == 1, "the event is in the timeline")

    def told() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    until(lambda: "customer_timeline_events_applied_total 1.0" in told(), "the event is counted")
    text = told()
    assert 'customer_timeline_lag_events{partition="' in text
    assert 'customer_timeline_step_seconds_bucket{le="0.001",step="locked"}' in text
    assert "ann@example.com" not in text


def test_a_topic_that_forgets_is_refused_with_the_difference(
    settings: Settings, make_topic: MakeTopic, start: Start, tmp_path: Path
) -> None:
    forgetful = make_topic(1, **{"retention.ms": "1000", "message.timestamp.type": "CreateTime"})
    worker = start(BY_COMMAND, **as_environment(settings.model_copy(update={"touchpoints_topic": forgetful})))
    assert worker.wait(60) == 1
    log = (tmp_path / "worker-0.log").read_text()
    # One line says it all, and it is the last: a client may have had something to say on a busy machine before.
    (line,) = [said for said in log.splitlines() if "retention.ms" in said]
    assert log.endswith(f"{line}\n"), log
    assert "retention.ms is 1000, must be -1" in line
    assert "message.timestamp.type is CreateTime, must be LogAppendTime" in line


def test_log_lines_are_json_and_name_nobody(start: Start, settings: Settings, tmp_path: Path) -> None:
    _publish(settings, "e1")
    worker = start(BY_COMMAND)
    until(lambda: _events(settings) == 1, "the event is in the timeline")
    worker.send_signal(signal.SIGINT)
    worker.wait(30)
    lines = (tmp_path / "worker-0.log").read_text().splitlines()
    assert any(json.loads(line)["event"] == "partitions_taken_over" for line in lines)
    assert not any("ann@example.com" in line for line in lines)


def test_a_worker_tells_that_a_customer_fell_silent_although_nothing_happened(start: Start, settings: Settings) -> None:
    # Silent 30 days after the last sign of life, which is three seconds from now.
    last = datetime.now(UTC) - timedelta(days=30) + timedelta(seconds=3)
    with publisher(settings) as log:
        log.publish_all(
            [page_viewed(source="shop", time=last, identifiers=[email("ann@example.com")], channel="web", url="/")]
        )
    start(BY_COMMAND)

    def told() -> list[Any]:
        return _rows(
            settings,
            "SELECT payload ->> 'stage', payload -> 'flags', (payload ->> 'since')::timestamptz"
            " FROM customer_timeline.outbox WHERE kind = 'customer.stage_changed'",
        )

    until(lambda: bool(told()), "the silence is told")
    assert told() == [("prospect", ["silent"], last + timedelta(days=30))]
    assert _rows(settings, "SELECT stage, flags FROM customer_timeline.customer") == [("prospect", ["silent"])]
