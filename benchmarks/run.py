"""`python -m benchmarks.run`: the worker beside its peers, freshness, API, growth, rebuilds, replays; see --help.

Starts its own Kafka and Postgres unless told where they are; the topics and databases that it makes go away with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.api_load import api_load
from benchmarks.contenders import CONTENDERS
from benchmarks.database import Databases
from benchmarks.freshness import freshness
from benchmarks.growth import by_customers, by_history
from benchmarks.identity import identity_costs
from benchmarks.machine import machine
from benchmarks.processes import PostgresCpu
from benchmarks.rebuild import rebuild
from benchmarks.replay import replays
from benchmarks.report import markdown, publish_figures, write
from benchmarks.switch import switching
from benchmarks.throughput import Bench, compare, first_pass
from benchmarks.workload import Scenario, Shape, Workload
from customer_timeline.runtime.embedded.kafka import EmbeddedKafka
from customer_timeline.runtime.embedded.postgres import EmbeddedPostgres

_PARTS = ("steady", "links", "new", "mixed", "freshness", "api", "growth", "identity", "rebuild", "switch", "replay")
# Who takes part in what. Mixed: only those that follow orders and cases to their customers, and the limit of all.
_SCENARIOS = {
    "steady": (Scenario.STEADY, tuple(contender.key for contender in CONTENDERS)),
    "links": (Scenario.NEW_LINKS, ("a1", "a2", "d", "e")),
    "new": (Scenario.ALL_NEW, ("a1", "a2", "d", "e")),
    "mixed": (Scenario.MIXED, ("a1", "a2", "e")),
}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `--quick` and `--full` only change defaults."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="20,000 events, 5,000 customers, one run each: about two minutes"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="growth up to a million customers, 100,000 events of one or of a value",
    )
    parser.add_argument("--events", type=int, help="measured records of each topic (200,000)")
    parser.add_argument("--customers", type=int, help="customers known before the measured stretch (50,000)")
    parser.add_argument("--repetitions", type=int, help="runs of every contender, interleaved (3)")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--batch", type=int, default=5_000, help="records in a batch, for every contender that batches")
    parser.add_argument("--slow-events", type=int, help="records for the Faust agent that commits each (20,000)")
    parser.add_argument("--seconds", type=int, help="length of each freshness and API measurement (20)")
    parser.add_argument(
        "--contenders", nargs="+", default=[c.key for c in CONTENDERS], choices=[c.key for c in CONTENDERS]
    )
    parser.add_argument("--parts", nargs="+", default=_PARTS, choices=_PARTS)
    parser.add_argument("--reads", type=int, default=500, help="reads a second while sets are switched")
    parser.add_argument("--connections", type=int, default=16, help="open connections of the API's client")
    parser.add_argument("--kafka", help="bootstrap address of a Kafka to use instead of an own one")
    parser.add_argument(
        "--postgres", help="administrator's URL of a Postgres on this machine to use instead of an own one"
    )
    parser.add_argument("--name", default="latest", help="results/<name>.json and .md")
    parser.add_argument(
        "--publish", action="store_true", help="also put the tables into docs/explanation/performance.md"
    )
    parsed = parser.parse_args(words)
    quick = parsed.quick
    for name, quickly, usual in (
        ("events", 20_000, 200_000),
        ("customers", 5_000, 50_000),
        ("repetitions", 1, 3),
        ("slow_events", 2_000, 20_000),
        ("seconds", 4, 20),
    ):
        if getattr(parsed, name) is None:
            setattr(parsed, name, quickly if quick else usual)
    if quick and parsed.batch == 5_000:
        parsed.batch = 1_000  # else a run would be four batches
    return parsed


@contextmanager
def servers(kafka: str | None, postgres: str | None) -> Iterator[tuple[str, str]]:
    """Bootstrap address and administrator's URL: the given ones, or those of servers started for this run."""
    with ExitStack() as stack:
        if kafka is None or postgres is None:
            # Below /tmp: Postgres, started by root, runs as a user that must be able to reach its folder.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp")))
            folder.chmod(0o755)
        if kafka is None:
            own_kafka = EmbeddedKafka(folder / "kafka")
            own_kafka.start()
            stack.callback(own_kafka.stop)
            kafka = own_kafka.bootstrap
        if postgres is None:
            own_postgres = EmbeddedPostgres(folder / "postgres")
            own_postgres.start()
            stack.callback(own_postgres.stop)
            postgres = own_postgres.url
        yield kafka, postgres


def say(line: str) -> None:
    """Progress, line by line."""
    print(line, flush=True)


def measure_all(options: argparse.Namespace, bench: Bench) -> dict[str, Any]:
    """Every part that was asked for."""
    shape = Shape(events=options.events, customers=options.customers, partitions=options.partitions)
    result: dict[str, Any] = {}
    for part, (scenario, able) in _SCENARIOS.items():
        keys = [key for key in options.contenders if key in able]
        if part in options.parts and keys:
            compared = compare(bench, replace(shape, scenario=scenario), keys, options.repetitions, say)
            result.setdefault("throughput", []).append(compared)
    if "freshness" in options.parts:
        result["freshness"] = freshness(bench, options.customers, (500, 5_000), options.seconds, say)
    if "api" in options.parts:
        result["api"] = _api(options, bench, shape)
    if "growth" in options.parts:
        sizes = (1_000, 100_000, 1_000_000) if options.full else sorted({1_000, min(options.customers, 100_000)})
        lengths = (10, 1_000, 100_000) if options.full else (10, 1_000)
        result["by_customers"] = by_customers(bench, sizes, options.events // 2, options.repetitions, say)
        result["by_history"] = by_history(bench, lengths, options.events // 20, options.repetitions, say)
    if "identity" in options.parts:
        shared_events = 100_000 if options.full else options.events // 10
        result["identity"] = identity_costs(bench.databases, options.batch, options.repetitions + 2, shared_events, say)
    if "rebuild" in options.parts:
        # A long log: what a rebuild does once at the end should not be most of it.
        result["rebuild"] = rebuild(bench, replace(shape, events=4 * shape.events), options.repetitions, say)
    if "switch" in options.parts:
        result["switch"] = switching(bench, shape, options.reads, options.repetitions, options.seconds, say)
    if "replay" in options.parts:
        # Long enough that starting processes is no large part of it.
        longer = replace(shape, events=options.events * 5)
        result["replay"] = replays(bench, longer, options.repetitions, say)
    return result


def _api(options: argparse.Namespace, bench: Bench, shape: Shape) -> list[dict[str, Any]]:
    topic = bench.create_topic("api", shape.partitions)
    workload = Workload(shape)
    topic.publish(workload.first_pass())
    topic.publish(workload.measured())
    first_pass(bench, topic, CONTENDERS[0], "api")
    run = bench.run(topic, bench.databases.url("api"), topic.published.ends())
    found = api_load(run, options.seconds, options.connections, say)
    bench.delete_topic(topic)
    bench.databases.drop("api")
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write the results, print the tables."""
    options = arguments(words)
    # Ended like by Ctrl-C: processes, topics and databases go away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with servers(options.kafka, options.postgres) as (kafka, postgres):
        label = f"bench-{os.getpid()}"
        databases = Databases(postgres, label.replace("-", "_"))
        bench = Bench(kafka, databases, PostgresCpu(postgres), label, options.batch, options.slow_events)
        facts = machine(databases.settings())
        try:
            measured = measure_all(options, bench)
        finally:
            bench.clean()
    parameters = {
        name: getattr(options, name) for name in ("events", "customers", "repetitions", "partitions", "batch")
    }
    result = {"machine": facts, "parameters": parameters, **measured}
    data, page = write(options.name, result)
    if options.publish:
        publish_figures(result)
    print(markdown(result))
    print(f"Written: {data.name} and {page.name} in benchmarks/results.")


if __name__ == "__main__":
    main()
