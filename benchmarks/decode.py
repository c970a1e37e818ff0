"""What one record costs the codec: `python -m benchmarks.decode` prints microseconds an event, best of short runs.

Short runs, because on a shared machine the best of them is the one that nobody interrupted. Warm: every identifier is
in the caches of the codec, as in steady state. Cold: every event names a new email address and a new phone number.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count, islice

import orjson

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.json_schema import example_event

RUN_EVENTS, RUNS = 20, 500
APPENDED = datetime(2026, 6, 1, tzinfo=UTC)


def best_us(values: Iterable[bytes], codec: Codec) -> float:
    """Least microseconds an event over all runs; `values` are consumed."""
    endless, best = iter(values), float("inf")
    for _ in range(RUNS):
        batch = list(islice(endless, RUN_EVENTS))
        started = time.perf_counter()
        for value in batch:
            codec.decode(value, appended_at=APPENDED)
        best = min(best, (time.perf_counter() - started) / RUN_EVENTS)
    return best * 1e6


def repeated(value: bytes) -> Iterator[bytes]:
    """The same record for ever."""
    while True:
        yield value


def strangers() -> Iterator[bytes]:
    """Purchases by people never seen before."""
    record = example_event(CATALOGUE["purchase.completed.v1"])
    for number in count():
        email = {"kind": "email", "value": f"person{number}@example.com"}
        phone = {"kind": "phone", "value": f"+1202555{number % 10_000:04}"}
        record["data"] = {**record["data"], "identifiers": [email, phone]}
        yield orjson.dumps(record)


def main() -> None:
    """Print one line a type, and one for identifiers never seen before."""
    codec = Codec(IdentityPolicy(), b"a secret of the benchmark")
    for name, data in CATALOGUE.items():
        value = orjson.dumps(example_event(data))
        print(f"{name:<24}{len(value):>6} bytes {best_us(repeated(value), codec):>8.1f} µs")
    print(f"{'new identifiers':<36}{best_us(strangers(), codec):>10.1f} µs")


if __name__ == "__main__":
    main()
