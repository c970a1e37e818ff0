"""What publishing costs with either client: `python -m benchmarks.publish` prints events/s beside each other.

Both publishers append the same decoded events (the CDNOW purchases) to a Kafka of the run's own, in turns, so that
neighbours on a shared machine disturb both alike; each turn ends when everything is acknowledged. The median of the
turns counts, and so does the ratio of the turns that follow each other. CPU is that of the publishing process.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from statistics import median
from typing import NamedTuple

import orjson

from benchmarks.clients import CLIENTS, MakePublisher, new_codec, own_kafka, topic_on
from customer_timeline.runtime.cdnow import cdnow_events
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.schemas.decoded import DecodedEvent


class Turn(NamedTuple):
    """One client's run."""

    events_per_s: float
    cpu_us: float


def publish_once(make: MakePublisher, bootstrap: str, events: list[DecodedEvent]) -> Turn:
    """Publish all and wait until all are acknowledged; connecting is not counted."""
    with topic_on(bootstrap) as topic, make(bootstrap, topic, new_codec()) as publisher:
        publisher.publish_all(events[:100])
        clock, cpu = time.perf_counter(), time.process_time()
        for event in events:
            publisher.publish(event)
        publisher.flush()
        took_s, cpu_s = time.perf_counter() - clock, time.process_time() - cpu
        assert publisher.counts.failed == 0
    return Turn(len(events) / took_s, cpu_s / len(events) * 1e6)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__)
    parser.add_argument("--events", type=int, default=60_000, help="events of a turn (60,000)")
    parser.add_argument("--turns", type=int, default=3, help="turns of each client (3)")
    options = parser.parse_args()
    codec, now = new_codec(), SystemClock().now()
    events = [
        codec.decode(orjson.dumps(event), appended_at=now) for event in islice(cdnow_events(False), options.events)
    ]
    turns: dict[str, list[Turn]] = {name: [] for name in CLIENTS}
    with own_kafka() as bootstrap:
        for _ in range(options.turns):
            for name, make in CLIENTS.items():
                turns[name].append(publish_once(make, bootstrap, events))
    for name, found in turns.items():
        rates = [turn.events_per_s for turn in found]
        print(
            f"{name:<14}{median(rates):>10,.0f} events/s ({min(rates):,.0f} to {max(rates):,.0f})"
            f"{median(turn.cpu_us for turn in found):>8.1f} µs CPU an event"
        )
    slow, fast = (turns[name] for name in ("kafka-python", "confluent"))
    ratios = [quick.events_per_s / usual.events_per_s for usual, quick in zip(slow, fast, strict=True)]
    print(f"confluent is {median(ratios):.1f} times as fast ({min(ratios):.1f} to {max(ratios):.1f} over the turns)")


if __name__ == "__main__":
    main()
