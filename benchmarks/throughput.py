"""Events per second of every contender on one topic: prepared once, then runs interleaved and checked for agreement."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.contenders import CONTENDERS, Contender, Run, Sample, Tracker, follow, start
from benchmarks.database import Databases, states_digest, unassessed, written
from benchmarks.processes import ContenderError, MeasuredProcess, PostgresCpu
from benchmarks.topic import BenchmarkTopic
from benchmarks.workload import Answer, Shape, Workload
from customer_timeline.projections.stage_rules import StageRules

_STALL_S = 120


class DisagreementError(Exception):
    """A contender wrote something else than the events say; its speed is of no interest."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run. CPU seconds are per million events; memory is the sum of the peaks of its processes."""

    contender: str
    events: int
    seconds: float
    events_per_s: float
    cpu_s_per_million: float
    postgres_cpu_s_per_million: float
    peak_mb: float


@dataclass(slots=True)
class Bench:
    """The servers, and names that keep this invocation apart from any other."""

    bootstrap: str
    databases: Databases
    postgres_cpu: PostgresCpu
    label: str
    batch: int
    limit: int
    runs: int = 0
    topics: dict[str, BenchmarkTopic] = field(default_factory=dict)

    def create_topic(self, slug: str, partitions: int) -> BenchmarkTopic:
        """A new topic of this invocation."""
        topic = BenchmarkTopic(self.bootstrap, f"{self.label}-{slug}", partitions)
        topic.create()
        self.topics[topic.name] = topic
        return topic

    def delete_topic(self, topic: BenchmarkTopic) -> None:
        """Remove a topic that is no longer needed."""
        topic.delete()
        del self.topics[topic.name]

    def clean(self) -> None:
        """Remove every topic and database that is left."""
        for topic in list(self.topics.values()):
            self.delete_topic(topic)
        self.databases.drop_all()

    def run(
        self,
        topic: BenchmarkTopic,
        database: str,
        begin: dict[int, int],
        *,
        limited: bool = False,
        batch: int | None = None,
    ) -> Run:
        """A run with a consumer group of its own."""
        self.runs += 1
        name = f"{self.label}-{self.runs}"
        limit = self.limit if limited else 0
        return Run(self.bootstrap, topic.name, database, begin, name, batch or self.batch, limit)


@contextmanager
def running(contender: Contender, run: Run) -> Iterator[tuple[list[MeasuredProcess], Tracker]]:
    """The contender's processes and a tracker, both ended afterwards."""
    processes = start(contender, run)
    tracker = follow(contender, run, processes)
    try:
        yield processes, tracker
    finally:
        for process in processes:
            process.stop()
        tracker.close()


def wait_for(tracker: Tracker, processes: Sequence[MeasuredProcess], begin: dict[int, int], records: int) -> Sample:
    """Wait until `records` are applied; raises ContenderError where a process ends, or nothing moves for 2 minutes."""
    moved_at, reached = time.monotonic(), -1
    while True:
        sample = tracker.latest()
        applied = sample.applied(begin) if sample else 0
        if sample is not None and applied >= records:
            return sample
        for process in processes:
            process.check()
        if applied != reached:
            moved_at, reached = time.monotonic(), applied
        elif time.monotonic() - moved_at > _STALL_S:
            raise ContenderError(f"{processes[0].command[1:4]} stands still at {applied} of {records} records.")
        time.sleep(0.002)


def _wait_for_all_workers(
    tracker: Tracker, processes: Sequence[MeasuredProcess], begin: dict[int, int], workers: int, records: int
) -> Sample:
    """Wait until every worker holds partitions and every partition has moved since; the clock starts there.

    Raises ContenderError where all `records` were applied before: nothing is left to measure.
    """
    wait_for(tracker, processes, begin, 1)
    joined: Sample | None = None
    while True:
        sample = tracker.latest()
        if sample is not None and joined is None and sample.workers == workers:
            joined = sample
        if sample is not None and joined is not None:
            moved = [part for part, offset in sample.offsets.items() if offset > joined.offsets[part]]
            if len(moved) == len(joined.offsets) or workers == 1:
                return sample
        if sample is not None and sample.applied(begin) >= records:
            raise ContenderError(f"One of {workers} workers took all {records} records before the last one joined.")
        for process in processes:
            process.check()
        time.sleep(0.002)


def measure(bench: Bench, contender: Contender, run: Run, records: int) -> tuple[Measurement, Sample]:
    """Time from the first commit to the last: the start of the process and its first batch are left out."""
    with running(contender, run) as (processes, tracker):
        first = _wait_for_all_workers(tracker, processes, run.start, contender.workers, records)
        cpu = [process.usage().cpu_s for process in processes]
        postgres = bench.postgres_cpu.seconds()
        last = wait_for(tracker, processes, run.start, records)
        usage = [process.usage() for process in processes]
        postgres = bench.postgres_cpu.seconds() - postgres
    events = last.applied(run.start) - first.applied(run.start)
    seconds = last.at - first.at
    if events <= 0 or seconds <= 0:
        raise ContenderError(
            f"{contender.title}: one batch took all records; publish more events or use smaller batches."
        )
    million = events / 1e6
    worker_cpu = sum(used.cpu_s for used in usage) - sum(cpu)
    peak = sum(used.peak_bytes for used in usage) / 2**20
    result = Measurement(
        contender.key, events, seconds, events / seconds, worker_cpu / million, postgres / million, peak
    )
    return result, last


def first_pass(bench: Bench, topic: BenchmarkTopic, contender: Contender, template: str) -> None:
    """Let `contender` write what the topic holds now into the new database `template`, and leave it settled."""
    url = bench.databases.create(template)
    begin = dict.fromkeys(topic.published.ends(), 0)
    run = bench.run(topic, url, begin)
    with running(contender, run) as (processes, tracker):
        wait_for(tracker, processes, begin, sum(topic.published.ends().values()))
    check(contender, url, topic.published.answer(topic.published.ends()))
    bench.databases.settle(template)


def check(contender: Contender, url: str, expected: Answer) -> None:
    """Raise DisagreementError unless the tables hold what the events say, and the product's worker gave all a stage."""
    found = written(url, customers=contender.keeps_customers)
    if not contender.keeps_customers:
        expected = expected._replace(customers=0)
    if found != expected:
        raise DisagreementError(f"{contender.title} wrote {found}; the events say {expected}.")
    if contender.peer is None:
        without = unassessed(url, StageRules().version)
        if without:
            raise DisagreementError(f"{contender.title} left {without} customers with events but without a stage.")


def compare(bench: Bench, shape: Shape, keys: Sequence[str], repetitions: int, say: Any) -> dict[str, Any]:
    """Run the contenders named by `keys` in turn, `repetitions` times, on one topic of `shape`."""
    chosen = [contender for contender in CONTENDERS if contender.key in keys]
    workload, slug = Workload(shape), shape.scenario.name.lower()
    topic = bench.create_topic(slug, shape.partitions)
    topic.publish(workload.first_pass())
    begin = topic.published.ends()
    writers = {"ours": CONTENDERS[0], "peers": next(c for c in CONTENDERS if c.key == "d")}
    needed = {_template(contender) for contender in chosen}
    for kind in sorted(needed):
        first_pass(bench, topic, writers[kind], f"{slug}_{kind}")
    end = topic.publish(workload.measured())
    total = sum(end.values()) - sum(begin.values())
    measured: list[Measurement] = []
    digests: dict[str, str] = {}
    for repetition in range(repetitions):
        for contender in chosen:
            limited = contender.limited and bench.limit < total
            name = f"{slug}_run"
            url = bench.databases.copy(f"{slug}_{_template(contender)}", name)
            bench.databases.settle(name)
            run = bench.run(topic, url, begin, limited=limited)
            if contender.peer in ("faust_each", "faust_take"):
                topic.start_group_at(run.name, begin)
            result, last = measure(bench, contender, run, bench.limit if limited else total)
            check(contender, url, topic.published.answer(last.offsets if limited else end))
            if contender.keeps_customers and not limited:
                digests[contender.key] = states_digest(url)
            measured.append(result)
            rate, cpu, database_cpu = result.events_per_s, result.cpu_s_per_million, result.postgres_cpu_s_per_million
            say(
                f"{shape.scenario}, run {repetition + 1}: {contender.key} {rate:,.0f} events/s, "
                f"{cpu:.0f} CPU s per million and {database_cpu:.0f} of Postgres"
            )
    if len(set(digests.values())) > 1:
        raise DisagreementError(f"The contenders folded different states: {digests}")
    bench.delete_topic(topic)
    for name in (*(f"{slug}_{kind}" for kind in needed), f"{slug}_run"):
        bench.databases.drop(name)
    return {
        "scenario": str(shape.scenario),
        "answer": topic.published.answer(end)._asdict(),
        "states_agree": sorted(digests),
        "contenders": [summary(contender, measured) for contender in chosen],
    }


def _template(contender: Contender) -> str:
    return "ours" if contender.peer is None else "peers"


def summary(contender: Contender, measured: Sequence[Measurement]) -> dict[str, Any]:
    """The median run of one contender, and how far its runs lie apart."""
    own = [result for result in measured if result.contender == contender.key]
    fields = ("events_per_s", "cpu_s_per_million", "postgres_cpu_s_per_million", "peak_mb")
    medians = {name: round(median(getattr(result, name) for result in own), 1) for name in fields}
    rates = [round(result.events_per_s) for result in own]
    runs = [asdict(result) for result in own]
    return {
        "key": contender.key,
        "title": contender.title,
        **medians,
        "slowest": min(rates),
        "fastest": max(rates),
        "runs": runs,
    }
