"""From publishing to a readable row: events at a steady rate, and a reader that watches the rows become visible.

The offset of a partition and the rows of its events are committed together, so an event is readable from the moment
when `projector_offset.next_offset` has passed it. The reader asks for the offsets every 2 ms; that is in the figures.
An event's clock starts when it was due, not when the producer found time for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.database import connect, offsets
from benchmarks.processes import ContenderError
from benchmarks.throughput import Bench, first_pass, running, wait_for
from benchmarks.topic import HEADERS, producer_for
from benchmarks.workload import Record, Shape, Workload

_POLL_S = 0.002
_DRAIN_S = 60


@dataclass(slots=True)
class Watch:
    """Pairs the instants at which records were due with those at which they became readable."""

    database: str
    topic: str
    begin: dict[int, int]
    due: dict[int, list[float]] = field(init=False)
    readable: dict[int, list[float]] = field(init=False)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.due = {part: [] for part in self.begin}
        self.readable = {part: [] for part in self.begin}

    def published(self, record: Record, due_at: float) -> None:
        """Take note of a record handed to the producer; partitions keep their order, so a list for each will do."""
        self.due[record.partition].append(due_at)

    def watch(self) -> None:
        """Read the offsets until stopped; runs in a thread of its own."""
        with closing(connect(self.database)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not self.stop.wait(_POLL_S):
                reached = offsets(cursor, self.topic)
                now = time.monotonic()
                for part, offset in reached.items():
                    seen = self.readable[part]
                    seen.extend([now] * (offset - self.begin[part] - len(seen)))

    def outstanding(self) -> int:
        """Published records that are not readable yet."""
        return sum(len(due) for due in self.due.values()) - sum(len(seen) for seen in self.readable.values())

    def delays_ms(self, after: float) -> list[float]:
        """Milliseconds from due to readable, of the records due after the instant `after`."""
        return [
            (seen - due) * 1_000
            for part in self.begin
            for due, seen in zip(self.due[part], self.readable[part], strict=True)
            if due >= after
        ]


def publish_at(rate: int, records: Sequence[Record], bootstrap: str, watch: Watch) -> float:
    """Publish `records` at `rate` a second, at the instants when they are due; returns the first such instant."""
    producer = producer_for(bootstrap, linger_ms=1)
    begin = time.monotonic() + 0.1
    for number, record in enumerate(records):
        due_at = begin + number / rate
        wait = due_at - time.monotonic()
        if wait > 0.001:
            producer.poll(0)
            time.sleep(wait)
        watch.published(record, due_at)
        producer.produce(watch.topic, record.value, record.key, record.partition, headers=HEADERS)
    if producer.flush(60):
        raise ContenderError("Kafka did not store every record of the freshness measurement.")
    return begin


def freshness(bench: Bench, customers: int, rates: Sequence[int], seconds: int, say: Any) -> list[dict[str, Any]]:
    """p50 and p99 at each rate, with one worker that is caught up when it starts. The first quarter is warm-up."""
    worker = CONTENDERS[0]
    found = []
    for rate in rates:
        shape = Shape(events=rate * seconds, customers=customers)
        workload = Workload(shape)
        topic = bench.create_topic(f"fresh-{rate}", shape.partitions)
        topic.publish(workload.first_pass())
        name = f"fresh_{rate}"
        first_pass(bench, topic, worker, name)
        records = list(workload.measured())
        begin = topic.published.ends()
        run = bench.run(topic, bench.databases.url(name), begin)
        watch = Watch(run.database, topic.name, begin)
        with running(worker, run) as (processes, tracker):
            wait_for(tracker, processes, begin, 0)
            _wait_until_joined(tracker, processes)
            reader = threading.Thread(target=watch.watch)
            reader.start()
            try:
                began = publish_at(rate, records, bench.bootstrap, watch)
                _drain(watch, processes)
            finally:
                watch.stop.set()
                reader.join()
        delays = watch.delays_ms(began + seconds / 4)
        cuts = quantiles(delays, n=100)
        found.append({"rate": rate, "events": len(delays), "p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)})
        say(f"freshness at {rate}/s: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")
        bench.databases.drop(name)
        bench.delete_topic(topic)
    return found


def _wait_until_joined(tracker: Any, processes: Sequence[Any]) -> None:
    deadline = time.monotonic() + _DRAIN_S
    while time.monotonic() < deadline:
        sample = tracker.latest()
        if sample is not None and sample.workers >= 1:
            return
        processes[0].check()
        time.sleep(0.01)
    raise ContenderError("The worker took no partition within a minute.")


def _drain(watch: Watch, processes: Sequence[Any]) -> None:
    deadline = time.monotonic() + _DRAIN_S
    while watch.outstanding():
        processes[0].check()
        if time.monotonic() > deadline:
            raise ContenderError(f"{watch.outstanding()} records were not readable within a minute.")
        time.sleep(0.01)
