"""What the proofs of backup and restore share: the commands as processes, and a log with every kind of record in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from signal import Signals
from typing import Any

from kafka import KafkaProducer

from customer_timeline.runtime.settings import PREFIX
from customer_timeline.streams.log_reader import LogRecord, open_log

CLI = (sys.executable, "-m", "customer_timeline.runtime.cli.main")
DONE_WITHIN_S = 120
_STOPPED = Path(__file__).with_name("stopped_restore.py")


def environment(bootstrap: str, topic: str) -> dict[str, str]:
    """Where the commands find the log."""
    topics = {f"{PREFIX}TOUCHPOINTS_TOPIC": topic, f"{PREFIX}OPERATIONS_TOPIC": f"{topic}.operations"}
    return {**os.environ, f"{PREFIX}KAFKA_BOOTSTRAP": bootstrap, **topics}


def run(env: Mapping[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*CLI, *map(str, words)], env=env, capture_output=True, text=True, timeout=DONE_WITHIN_S, check=False
    )


def told(env: Mapping[str, str], *words: object) -> Any:
    """What a command that must succeed says with `--json`."""
    done = run(env, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stopped_restore(
    env: Mapping[str, str], step: str, nth: int, number: Signals, folder: Path
) -> subprocess.CompletedProcess[str]:
    """`restore`, which gets the signal at the `nth` arrival at the step; see `stopped_restore.py`."""
    words = [sys.executable, str(_STOPPED), step, str(nth), str(int(number)), str(folder)]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=DONE_WITHIN_S, check=False)


def append_odd_records(bootstrap: str, topic: str, count: int) -> None:
    """Records in every partition: with and without key, value and headers, some repeated, none of them an event."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=2)
    for number in range(count):
        key = (None, b"", f"key {number}".encode())[number % 3]
        value = None if number % 5 == 4 and key is not None else f"value {number} ".encode() * (number % 50)
        headers = [("a", b"\xff\x00"), ("a", b""), ("recordedtime", b"no instant")][: number % 4]
        producer.send(topic, value, key, headers, partition=number % 4)
    producer.flush()
    producer.close()


def everything(bootstrap: str, topic: str) -> list[LogRecord]:
    """The whole log, times included."""
    reader = open_log(bootstrap, topic)
    try:
        return [
            record._replace(headers=list(record.headers))
            for partition, bounds in reader.bounds().items()
            for batch in reader.read(partition, bounds.first, bounds.end)
            for record in batch
        ]
    finally:
        reader.close()


def segments(folder: Path) -> list[Path]:
    """Every finished file of records."""
    return sorted(folder.rglob("*.zst"))
