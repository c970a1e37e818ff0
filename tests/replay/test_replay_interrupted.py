"""A replay that is told to stop, once or in a hurry, stops; and goes on later to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from replay_runs import COMMAND, environment, expected, fill, hard_log, replay
from worker_farm import until

from customer_timeline.runtime.embedded import EmbeddedKafka
from customer_timeline.runtime.interrupts import Interrupted, interruptible
from customer_timeline.runtime.replay import run
from customer_timeline.runtime.settings import Settings

TOPIC = "replay-interrupted"


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)], ids=["once", "twice"])
def test_stops_however_often_it_is_told_to_and_goes_on_later(
    kafka: str, tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    topic = f"{TOPIC}-{len(numbers)}"
    records = fill(kafka, topic, hard_log(5, 800))
    environ = {**os.environ, **environment(kafka, topic)}
    # A second signal in the wrong moment made it wait for ever, now and then: so some runs are stopped.
    for attempt in range(len(numbers) ** 2):
        output = tmp_path / f"{attempt}.ndjson"
        words = ("--to", "ndjson", "--output", str(output))
        with subprocess.Popen([*COMMAND, "replay", *words, "--max-rate", "20"], env=environ) as running:
            until(lambda output=output: _reads(output), "it reads")  # type: ignore[misc]
            for number in numbers:
                running.send_signal(number)
            assert running.wait(60) == 130
        assert not output.exists()
    _, told = replay(environ, *words)
    assert told["resumed"]
    assert output.read_bytes().splitlines() == expected(records)


def test_records_that_were_deleted_before_they_were_read_are_not_skipped(kafka: str, tmp_path: Path) -> None:
    topic = f"{TOPIC}-deleted"
    records = fill(kafka, topic, hard_log(7, 400))
    environ = {**os.environ, **environment(kafka, topic)}
    output = tmp_path / "events.ndjson"
    words = ("--to", "ndjson", "--output", str(output))
    with subprocess.Popen([*COMMAND, "replay", *words, "--max-rate", "20"], env=environ) as running:
        until(lambda: _reads(output), "it reads")
        running.terminate()
        assert running.wait(60) == 130
    counts = Counter(record.partition for record in records)
    first = {partition: count - 20 for partition, count in counts.items()}
    admin = AdminClient({"bootstrap.servers": kafka})
    gone = [TopicPartition(topic, partition, offset) for partition, offset in first.items()]
    for deleted in admin.delete_records(gone).values():
        deleted.result(60)
    again = subprocess.run([*COMMAND, "replay", *words], env=environ, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "begin anew (a replay with --from-start)" in again.stderr
    assert not output.exists()
    replay(environ, *words, "--from-start")
    left = [record for record in records if record.offset >= first[record.partition]]
    assert output.read_bytes().splitlines() == expected(left)


def test_a_disk_that_is_full_is_told_and_the_replay_goes_on_once_there_is_room(kafka: str, tmp_path: Path) -> None:
    records = fill(kafka, f"{TOPIC}-full", hard_log(6, 300))
    environ = {**os.environ, **environment(kafka, f"{TOPIC}-full")}
    output = tmp_path / "events.ndjson"
    words = ("--to", "ndjson", "--output", str(output))
    for most_bytes in (20, 20_000):  # what fits into no file: the question of the replay, or its events
        full = subprocess.run(
            ["prlimit", f"--fsize={most_bytes}", *COMMAND, "replay", *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert full.returncode == 1, full.stderr
        assert full.stderr == (
            f"customer-timeline: The replay could not write to {output}.replay: File too large. Make room, and run the "
            "same command again: it goes on where it stood.\n"
        )
        assert not output.exists()
    replay(environ, *words)
    assert output.read_bytes().splitlines() == expected(records)


# Runs the command; Kafka, whose process is the first word, falls silent before the log is read.
_SILENCING = """
import os, signal, sys
from customer_timeline.runtime.cli.main import main
from customer_timeline.runtime.replay import run
broker, crew = int(sys.argv.pop(1)), run.Crew
def silencing(*given):
    os.kill(broker, signal.SIGSTOP)
    return crew(*given)
run.Crew = silencing
main()
"""


def test_stops_while_kafka_is_silent_and_goes_on_once_it_speaks(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    records = fill(own_kafka.bootstrap, TOPIC, hard_log(7, 300))
    environ = {**os.environ, **environment(own_kafka.bootstrap, TOPIC)}
    output = tmp_path / "events.ndjson"
    words = ("--to", "ndjson", "--output", str(output))
    command = [sys.executable, "-c", _SILENCING, str(own_kafka.pid), "replay", *words]
    with subprocess.Popen(command, env=environ) as running:
        try:
            until(lambda: _reads(output), "it reads")
            running.send_signal(signal.SIGINT)
            assert running.wait(50) == 130  # of itself it would find out after a minute
        finally:
            running.kill()
            os.kill(own_kafka.pid, signal.SIGCONT)
    replay(environ, *words)
    assert output.read_bytes().splitlines() == expected(records)


def test_ctrl_c_is_heard_while_kafka_is_asked_where_the_log_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, end, closed = threading.Event(), threading.Event(), threading.Event()

    class Waiting:
        def bounds(self) -> None:
            # Like librdkafka's calls: on the main thread no handler would run before it returns.
            assert threading.current_thread() is not threading.main_thread()
            asked.set()
            end.wait(60)

        def close(self) -> None:
            closed.set()

    def pressing() -> None:
        asked.wait()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(run, "open_log", lambda *_, **__: Waiting())
    threading.Thread(target=pressing, daemon=True).start()
    try:
        with interruptible(), pytest.raises(Interrupted):
            run.replay(Settings(), run.Question("ndjson"), run.Ways(), lambda *_: {}, lambda *_: None)
        assert not closed.is_set()  # under the hands of the other thread
    finally:
        end.set()


def _reads(output: Path) -> bool:
    """Its processes have begun."""
    return any(output.with_name(f"{output.name}.replay").glob("*.values"))
