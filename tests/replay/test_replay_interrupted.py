"""A replay that is told to stop, once or in a hurry, stops; and goes on later to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from replay_runs import COMMAND, environment, expected, fill, hard_log, replay
from worker_farm import until

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
        with subprocess.Popen([*COMMAND, "replay", *words, "--max-rate", "20"], env=environ) as run:
            until(lambda output=output: _reads(output), "it reads")  # type: ignore[misc]
            for number in numbers:
                run.send_signal(number)
            assert run.wait(60) == 130
        assert not output.exists()
    _, told = replay(environ, *words)
    assert told["resumed"]
    assert output.read_bytes().splitlines() == expected(records)


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


def _reads(output: Path) -> bool:
    """Its processes have begun."""
    return any(output.with_name(f"{output.name}.replay").glob("*.values"))
