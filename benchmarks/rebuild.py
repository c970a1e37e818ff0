"""A rebuild beside one live worker on the same topic, from its beginning: events a second, index build included."""

from __future__ import annotations

import time
from contextlib import closing
from statistics import median
from typing import Any

from benchmarks.contenders import CONTENDERS, product_command, worker_environment
from benchmarks.database import SCHEMA, connect, one
from benchmarks.processes import ContenderError, MeasuredProcess
from benchmarks.throughput import Bench, check, measure
from benchmarks.workload import Shape, Workload

_WORKER = CONTENDERS[0]
_STALL_S = 600
_SECOND = f"{SCHEMA}_rebuild"
_STANDS = f"""
SELECT (SELECT coalesce(sum(next_offset), 0)::bigint FROM {_SECOND}.projector_offset),
    (SELECT filled_at IS NOT NULL FROM {_SECOND}.view_set)
"""


def rebuild(bench: Bench, shape: Shape, repetitions: int, say: Any) -> list[dict[str, Any]]:
    """One live worker from the first record on, then a rebuild beside what it wrote, found equal; by turns."""
    workload = Workload(shape)
    topic = bench.create_topic("rebuild", shape.partitions)
    topic.publish(workload.first_pass())
    end = topic.publish(workload.measured())
    total = sum(end.values())
    begin = dict.fromkeys(end, 0)
    live: list[float] = []
    rebuilt: list[float] = []
    shares: list[float] = []
    for repetition in range(repetitions):
        url = bench.databases.create("rebuild")
        run = bench.run(topic, url, begin)
        result, last = measure(bench, _WORKER, run, total)
        check(_WORKER, url, topic.published.answer(last.offsets))
        bench.databases.settle("rebuild")
        rate, share = _filled(url, worker_environment(run))
        live.append(result.events_per_s)
        rebuilt.append(rate)
        shares.append(share)
        say(f"rebuild, run {repetition + 1}: {rate:,.0f} events/s; one live worker {result.events_per_s:,.0f}")
        bench.databases.drop("rebuild")
    bench.delete_topic(topic)
    return [
        {
            "events": total,
            "worker_per_s": round(median(live)),
            "rebuild_per_s": round(median(rebuilt)),
            "to_worker": round(median(r / w for r, w in zip(rebuilt, live, strict=True)), 2),
            "index_share": round(median(shares), 2),
        }
    ]


def _filled(url: str, environment: dict[str, str]) -> tuple[float, float]:
    """Events a second from the first commit to the last index, and which part of that time the indexes took."""
    del environment["CUSTOMER_TIMELINE_BATCH_EVENTS"]
    words = ("rebuild", "start", "--until-filled")
    with MeasuredProcess(product_command(*words), environment) as process, closing(connect(url)) as connection:
        connection.autocommit = True
        deadline = time.monotonic() + _STALL_S
        began: tuple[float, int] | None = None
        indexing = time.monotonic()
        most = 0
        while True:
            if time.monotonic() > deadline:
                raise ContenderError(process.failure())
            process.check()
            with connection.cursor() as cursor:
                cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{_SECOND}.view_set",))
                if not one(cursor):
                    continue
                cursor.execute(_STANDS)
                applied, filled = cursor.fetchone() or (0, False)
            now = time.monotonic()
            if began is None and applied:
                began = now, applied
            if applied > most:
                most, indexing = applied, now
            if filled and began is not None:
                break
            time.sleep(0.01)
        process.process.wait(_STALL_S)
    _verify(environment)
    seconds = now - began[0]
    return (most - began[1]) / seconds, (now - indexing) / seconds


def _verify(environment: dict[str, str]) -> None:
    """Raise ContenderError unless the rebuild says what the worker wrote."""
    process = MeasuredProcess(product_command("rebuild", "verify"), environment)
    try:
        if process.process.wait(_STALL_S) != 0:
            raise ContenderError(process.failure())
    finally:
        process.stop()
