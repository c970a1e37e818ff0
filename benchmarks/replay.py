"""What a replay costs: `python -m benchmarks.replay` prints events/s to NDJSON and Parquet beside a bare consumer.

The topic is that of the other parts (a tenth are copies), on a Kafka of the run's own. The bare consumer is one
process of librdkafka that takes every record and looks at none. All go in turns, so that neighbours on a shared machine
disturb all alike; the ratio of neighbouring turns counts. The replays are the command as a user starts it, with all
that it takes to start and to put the output in place.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import NamedTuple

from benchmarks.clients import own_kafka
from benchmarks.topic import BenchmarkTopic
from benchmarks.workload import Shape, Workload
from customer_timeline.runtime.settings import PREFIX
from customer_timeline.streams.log_reader import open_log

_TOPIC = "replay"
_COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "replay")


class Turn(NamedTuple):
    """One run: records of the log a second, and the processors' microseconds a record."""

    records_per_s: float
    cpu_us: float


def bare(bootstrap: str) -> Turn:
    """Take every record, in this process."""
    reader = open_log(bootstrap, _TOPIC, client="confluent")
    clock, cpu = time.perf_counter(), time.process_time()
    count = 0
    for partition, found in reader.bounds().items():
        count += sum(map(len, reader.read(partition, found.first, found.end)))
    turn = Turn(count / (time.perf_counter() - clock), (time.process_time() - cpu) / count * 1e6)
    reader.close()
    return turn


def replayed(bootstrap: str, to: str, folder: Path) -> Turn:
    """Run the command."""
    environment = {**os.environ, f"{PREFIX}KAFKA_BOOTSTRAP": bootstrap, f"{PREFIX}TOUCHPOINTS_TOPIC": _TOPIC}
    cpu, clock = _cpu(), time.perf_counter()
    done = subprocess.run(
        [*_COMMAND, "--to", to, "--output", str(folder / to), "--from-start", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    took_s, cpu_s = time.perf_counter() - clock, _cpu() - cpu
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stderr.splitlines()[-1])
    return Turn(told["records_read"] / took_s, cpu_s / told["records_read"] * 1e6)


def _cpu() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="records of the topic (1,000,000)")
    parser.add_argument("--turns", type=int, default=3, help="turns of each (3)")
    options = parser.parse_args()
    turns: dict[str, list[Turn]] = {"bare": [], "ndjson": [], "parquet": []}
    with own_kafka() as bootstrap, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        topic = BenchmarkTopic(bootstrap, _TOPIC, 4)
        topic.create()
        topic.publish(Workload(Shape(events=options.events)).measured())
        for _ in range(options.turns):
            turns["bare"].append(bare(bootstrap))
            for to in ("ndjson", "parquet"):
                turns[to].append(replayed(bootstrap, to, Path(folder)))
    for name, found in turns.items():
        ratio = median(one.records_per_s / by.records_per_s for one, by in zip(found, turns["bare"], strict=True))
        rate, cpu = median(one.records_per_s for one in found), median(one.cpu_us for one in found)
        print(f"{name:<8}{rate:>10,.0f} records/s {ratio:>6.2f} of bare {cpu:>7.1f} µs of CPU a record")


if __name__ == "__main__":
    main()
