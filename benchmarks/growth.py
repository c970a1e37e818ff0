"""Whether an event costs more when there are more customers, or when its customer has a longer history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.throughput import Bench, Measurement, check, first_pass, measure
from benchmarks.workload import Shape, Workload

_WORKER = CONTENDERS[0]
_SMALL_BATCH = 50


def by_customers(bench: Bench, sizes: Sequence[int], events: int, repetitions: int, say: Any) -> list[dict[str, Any]]:
    """Cost per event with that many customers.

    Every batch touches about 1,000 of them, drawn from all: a batch over fewer customers is cheaper by itself, and that
    is not the question.
    """
    found = []
    for size in sizes:
        shape = Shape(events=events, customers=size, window=bench.batch, per_window=min(1_000, size))
        name = f"customers_{size}"
        best = _costs(bench, shape, name, repetitions)
        found.append({"customers": size, **_cost(best)})
        say(f"{size:,} customers: {found[-1]['wall_us']} µs an event")
    return found


def by_history(bench: Bench, lengths: Sequence[int], events: int, repetitions: int, say: Any) -> list[dict[str, Any]]:
    """Cost per event for one customer who has that many already; every batch of 50 reads and writes the state."""
    found = []
    for length in lengths:
        shape = Shape(events=events, customers=1_000, only_customer=7)
        best = _costs(bench, shape, f"history_{length}", repetitions, before=length, batch=_SMALL_BATCH)
        found.append({"events_before": length, **_cost(best)})
        say(f"a customer with {length:,} events: {found[-1]['wall_us']} µs an event")
    return found


def _costs(
    bench: Bench, shape: Shape, name: str, repetitions: int, *, before: int = 0, batch: int | None = None
) -> Measurement:
    """The fastest of some runs: growth shows in what an event costs at least."""
    workload = Workload(shape)
    topic = bench.create_topic(name, shape.partitions)
    topic.publish(workload.first_pass())
    if before:
        earlier = Workload(replace(shape, events=before, seed=shape.seed + 1, first_number=shape.events))
        topic.publish(earlier.measured())
    begin = topic.published.ends()
    first_pass(bench, topic, _WORKER, name)
    end = topic.publish(workload.measured())
    total = sum(end.values()) - sum(begin.values())
    results = []
    for _ in range(repetitions):
        url = bench.databases.copy(name, f"{name}_run")
        bench.databases.settle(f"{name}_run")
        result, _last = measure(bench, _WORKER, bench.run(topic, url, begin, batch=batch), total)
        check(_WORKER, url, topic.published.answer(end))
        results.append(result)
    bench.databases.drop(f"{name}_run")
    bench.databases.drop(name)
    bench.delete_topic(topic)
    return max(results, key=lambda result: result.events_per_s)


def _cost(result: Measurement) -> dict[str, float]:
    return {
        "wall_us": round(1e6 / result.events_per_s, 1),
        "worker_cpu_us": round(result.cpu_s_per_million, 1),
        "postgres_cpu_us": round(result.postgres_cpu_s_per_million, 1),
    }
