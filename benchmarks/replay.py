"""What a replay costs: records a second to NDJSON and to Parquet, beside a bare consumer, and whether memory grows.

The bare consumer is one process of librdkafka that takes every record and looks at none. All go in turns, so that
neighbours on a shared machine disturb all alike. The replays are the command as a user starts it, with all that it
takes to start and to put the output in place.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Any, NamedTuple

import psutil

from benchmarks.processes import ContenderError
from benchmarks.throughput import Bench
from benchmarks.topic import BenchmarkTopic
from benchmarks.workload import Shape, Workload
from customer_timeline.runtime.settings import PREFIX
from customer_timeline.streams.log_reader import open_log

_COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "replay")
_OUTPUTS = ("ndjson", "parquet")
_LOOK_S = 0.5  # looking at the memory takes a hundredth of that
_ORPHAN_S = 10


class Turn(NamedTuple):
    """One run: records of the log a second, the processors' microseconds a record, and the most memory in MB."""

    records_per_s: float
    cpu_us: float
    peak_mb: float


def replays(bench: Bench, shape: Shape, repetitions: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Replays of one topic beside the bare consumer; and of a quarter of it, for the memory."""
    topic = _filled(bench, "replay", shape)
    quarter = _filled(bench, "replay-quarter", replace(shape, events=shape.events // 4))
    turns: dict[str, list[Turn]] = {name: [] for name in ("bare", *_OUTPUTS)}
    smaller: dict[str, list[Turn]] = {to: [] for to in _OUTPUTS}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(repetitions):
            turns["bare"].append(_bare(topic))
            for to in _OUTPUTS:
                smaller[to].append(_replayed(quarter, to, Path(folder)))
                turns[to].append(_replayed(topic, to, Path(folder)))
            told = ", ".join(f"{name} {found[-1].records_per_s:,.0f}" for name, found in turns.items())
            say(f"replay, run {number + 1}: {told} records/s")
    for one in (topic, quarter):
        bench.delete_topic(one)
    return [_row(to, shape.events, turns[to], turns["bare"], smaller[to]) for to in _OUTPUTS]


def _row(to: str, events: int, found: list[Turn], bare: list[Turn], smaller: list[Turn]) -> dict[str, Any]:
    ratios = (one.records_per_s / by.records_per_s for one, by in zip(found, bare, strict=True))
    return {
        "output": to,
        "events": events,
        "runs": len(found),
        "records_per_s": round(median(one.records_per_s for one in found)),
        "slowest": round(min(one.records_per_s for one in found)),
        "fastest": round(max(one.records_per_s for one in found)),
        "to_bare": round(median(ratios), 2),
        "cpu_us": round(median(one.cpu_us for one in found), 1),
        "peak_mb": round(median(one.peak_mb for one in found)),
        "quarter_peak_mb": round(median(one.peak_mb for one in smaller)),
    }


def _filled(bench: Bench, slug: str, shape: Shape) -> BenchmarkTopic:
    topic = bench.create_topic(slug, shape.partitions)
    topic.publish(Workload(shape).measured())
    return topic


def _bare(topic: BenchmarkTopic) -> Turn:
    """Take every record, in this process."""
    reader = open_log(topic.bootstrap, topic.name, client="confluent")
    clock, cpu = time.perf_counter(), time.process_time()
    count = 0
    for partition, found in reader.bounds().items():
        count += sum(map(len, reader.read(partition, found.first, found.end)))
    turn = Turn(count / (time.perf_counter() - clock), (time.process_time() - cpu) / count * 1e6, 0)
    reader.close()
    return turn


def _replayed(topic: BenchmarkTopic, to: str, folder: Path) -> Turn:
    """Run the command."""
    named = {"KAFKA_BOOTSTRAP": topic.bootstrap, "TOUCHPOINTS_TOPIC": topic.name}
    environment = {**os.environ, **{f"{PREFIX}{name}": value for name, value in named.items()}}
    words = ("--to", to, "--output", str(folder / to), "--from-start", "--json")
    _adopt_orphans()
    before = set(psutil.Process().children())
    cpu, clock, peak = _cpu(), time.perf_counter(), 0
    with tempfile.TemporaryFile() as told:
        run = subprocess.Popen([*_COMMAND, *words], env=environment, stdout=told, stderr=told)
        while run.returncode is None:
            peak = max(peak, _memory(run.pid))
            with suppress(subprocess.TimeoutExpired):
                run.wait(_LOOK_S)
        took_s = time.perf_counter() - clock
        for orphan in set(psutil.Process().children()) - before:
            orphan.wait(_ORPHAN_S)
        cpu_s = _cpu() - cpu
        told.seek(0)
        last = (told.read().decode().splitlines() or [""])[-1]
    if run.returncode != 0:
        raise ContenderError(last)
    records = json.loads(last)["records_read"]
    return Turn(records / took_s, cpu_s / records * 1e6, peak / 1e6)


def _memory(pid: int) -> int:
    """What the process and its children hold, without pages of files: those the kernel takes back as it likes. What
    they have in common since they were forked counts once.
    """
    try:
        return sum(_anonymous(one.pid) for one in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)])
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return 0


def _anonymous(pid: int) -> int:
    """The process's share of pages that belong to no file, in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))


def _adopt_orphans() -> None:
    """Become the parent of processes that a command leaves for a moment: else nobody here is told what they took.

    The processes of a replay are forked from one that ends only after the command has.
    """
    set_child_subreaper = 36  # prctl(2)
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the processes of a replay cannot be measured: this needs Linux")


def _cpu() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
