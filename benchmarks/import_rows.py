"""What a row of a table costs: `python -m benchmarks.import_rows` prints rows/s, as CPU time and by the clock.

Imports the CDNOW purchases with the mapping of the examples: the whole pipeline with a publisher that keeps nothing,
the codec alone on the same events, and, unless `--no-kafka`, into a Kafka of its own with each client that is
installed. CPU time is what one process used and barely depends on neighbours; the clock is what a user waits for.
"""

from __future__ import annotations

import argparse
import gzip
import io
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, cast

from benchmarks.clients import CLIENTS, new_codec, own_kafka, topic_on
from customer_timeline.producers.protocol import Publisher
from customer_timeline.producers.tables.importer import TableImport
from customer_timeline.producers.tables.mapping import Mapping, parse_mapping
from customer_timeline.producers.tables.opening import check_mapping, open_table
from customer_timeline.runtime.clock import SystemClock

MAPPING = Path(__file__).resolve().parent.parent / "examples" / "mappings" / "cdnow.toml"


class Nowhere:
    """A publisher that keeps nothing: what is measured is the pipeline."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def publish(self, event: Any) -> None:
        self.values.append(event.value)

    def flush(self) -> None:
        pass


class Cost(NamedTuple):
    """What a run took."""

    rows: int
    cpu_s: float
    clock_s: float

    def line(self, name: str) -> str:
        by_cpu, by_clock = self.rows / self.cpu_s, self.rows / self.clock_s
        return (
            f"{name:<30}{by_cpu:>9,.0f} rows/s of CPU{by_clock:>9,.0f} rows/s by the clock{1e6 / by_cpu:>8.1f} µs a row"
        )


def measured(rows: int, work: Callable[[], None]) -> Cost:
    """The cost of `work`."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return Cost(rows, time.process_time() - cpu, time.perf_counter() - clock)


def whole_import(table: bytes, mapping: Mapping, publisher: Publisher) -> Cost:
    """The table through everything that `customer-timeline import` does with a row."""
    codec = new_codec()
    check_mapping(mapping, codec)
    opened = open_table(io.BytesIO(table), mapping)

    def refuse(row: Any, error: Exception) -> None:
        raise error

    with opened.report as report:
        run = TableImport(opened.plan, codec, publisher, report, reject=refuse, now=SystemClock().now)
        cost = measured(0, lambda: run.run(opened.table.rows))
        return cost._replace(rows=report.rows_read)


def codec_alone(values: list[bytes]) -> Cost:
    """The share that any way of publishing pays."""
    codec, now = new_codec(), SystemClock().now()

    def decode() -> None:
        for value in values:
            codec.decode(value, appended_at=now)

    return measured(len(values), decode)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import_rows", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of the pipeline; the best counts")
    parser.add_argument("--no-kafka", action="store_true", help="only the pipeline")
    options = parser.parse_args()
    packed = resources.files("customer_timeline.runtime") / "data" / "cdnow" / "CDNOW_master.txt.gz"
    table, mapping = gzip.decompress(packed.read_bytes()), parse_mapping(MAPPING.read_text(encoding="utf-8"))
    nowhere = Nowhere()
    costs = [whole_import(table, mapping, cast(Publisher, nowhere)) for _ in range(options.runs)]
    print(min(costs, key=lambda cost: cost.cpu_s).line("pipeline, published nowhere"))
    values = nowhere.values[: costs[0].rows]
    print(min((codec_alone(values) for _ in range(options.runs)), key=lambda cost: cost.cpu_s).line("codec alone"))
    if options.no_kafka:
        return
    with own_kafka() as bootstrap:
        for name, make in CLIENTS.items():
            with topic_on(bootstrap) as topic, make(bootstrap, topic, new_codec()) as publisher:
                print(whole_import(table, mapping, publisher).line(f"into Kafka, {name}"))


if __name__ == "__main__":
    main()
