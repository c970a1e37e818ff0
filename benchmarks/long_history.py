"""`python -m benchmarks.long_history`: what the state of one customer with a long history costs at an instant, and what
folding it again costs, with partial states and without.

One Postgres of the run's own, no Kafka: batches go through the journal as a worker applies them. All events are one
customer's, spread evenly over ten years; a history is measured at each length, then grows to the next. Without partial
states a history is folded event by event, as every customer was before there were any.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import orjson

from benchmarks.database import SCHEMA, connect
from benchmarks.event_data import identifier, order, page_view
from customer_timeline.projections.journal import TransientStorageError
from customer_timeline.projections.partials import facts_of
from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.postgres.timeline_store import decode_stored
from customer_timeline.runtime import wiring
from customer_timeline.runtime.embedded.postgres import EmbeddedPostgres
from customer_timeline.runtime.migrate import migrate
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.decoded import from_micros, to_micros
from customer_timeline.streams.decoding import decode_batch

_TOPIC = "long-history"
_BEGAN = datetime(2015, 1, 1, tzinfo=UTC)
_YEARS = timedelta(days=3_650)
_BATCH = 10_000
_ORDERS = 0.01
_ANN, _BOB = "user-0000001", "user-0000002"


@dataclass(frozen=True, slots=True)
class _Fetched:
    partition: int
    offset: int
    timestamp: int
    value: bytes
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Cost(NamedTuple):
    """Milliseconds: the state at an instant (median of several, and the longest), and dividing the customer."""

    as_of_ms: float
    as_of_most_ms: float
    divide_ms: float | None  # None: it does not end


class LongHistory:
    """The database of one run, and the customer in it."""

    def __init__(self, url: str, total: int) -> None:
        self._url = url
        settings = Settings(
            database_url=url,
            touchpoints_topic=_TOPIC,
            identity_secret="a secret of the benchmark",  # noqa: S106 - of a database that goes away
        )
        self._codec = wiring.codec(settings)
        self._projection = wiring.customer_projection(settings)
        self._journal = wiring.journal(settings, self._codec, lambda step: None)
        self._builder = wiring.partial_builder(settings, self._codec)
        self._total = total
        self._random = random.Random(20260101)
        self._offset = 0
        self.events = 0
        self._journal.assign(_TOPIC, None, [0])
        self._apply([_encoded("bob", 0.0, "page.viewed", [_BOB], page_view(0, self._random))])
        self._ann = self._query("SELECT identifier_id::text FROM identifier")[0][0]

    def grow(self, until: int) -> None:
        """Events up to that many, in the order in which they happened; partial states are thrown away."""
        self._query("UPDATE customer SET partial_until_us = NULL, partial_due_us = NULL")
        self._query("TRUNCATE partial_state")
        while self.events < until:
            step = range(self.events, min(self.events + _BATCH, until))
            self._apply([self._touchpoint(number, until) for number in step])
            self.events = step.stop
        self._ann = self._query("SELECT identifier_id::text FROM identifier WHERE value = %s", _ANN)[0][0]
        self._query("ANALYZE")

    def build(self) -> tuple[int, float]:
        """Build all partial states; returns how many, and the seconds."""
        self._query("UPDATE customer SET partial_due_us = 0")
        now_us = to_micros(_BEGAN + _YEARS + timedelta(days=1))
        began, built = time.perf_counter(), 0
        while (turn := self._builder.turn(now_us, 20_000)) is not None:
            built += turn.folded
        took_s = time.perf_counter() - began
        self._query("ANALYZE partial_state")
        return built, took_s

    def cost(self, cuts: int) -> Cost:
        """What reading at `cuts` random instants costs, each after one that is not counted, and dividing once."""
        times: list[float] = []
        for share in (0.5, *(random.Random(7).random() for _ in range(cuts))):
            times.append(self._as_of(_BEGAN + _YEARS * share)[0])
        return Cost(median(times[1:]), max(times[1:]), self._divide())

    def state(self) -> bytes:
        """The encoded state in the middle of the history."""
        return self._as_of(_BEGAN + _YEARS / 2)[1]

    def close(self) -> None:
        """Give everything back."""
        self._builder.close()
        self._journal.close()

    def _touchpoint(self, number: int, until: int) -> bytes:
        # A longer history is a denser one: each length has its events spread over all of the ten years.
        share = self._random.random() * 0.999
        if self._random.random() < _ORDERS:
            data, _ = order(number, self._random)
            return _encoded(f"e{number}", share, "purchase.completed", [_ANN], data)
        return _encoded(f"e{number}", share, "page.viewed", [_ANN], page_view(number, self._random))

    def _apply(self, values: Sequence[bytes]) -> None:
        stamp = int((_BEGAN + _YEARS).timestamp() * 1000)
        fetched = [_Fetched(0, self._offset + place, stamp, value) for place, value in enumerate(values)]
        batch = decode_batch(_TOPIC, {0: fetched}, {0: self._offset}, self._codec)
        if batch.rejected:
            raise ValueError(f"The benchmark made {len(batch.rejected)} records that are no events.")
        self._journal.apply(batch)
        self._offset += len(values)

    def _as_of(self, instant: datetime) -> tuple[float, bytes]:
        async def read() -> tuple[float, bytes]:
            reader = PostgresReader(self._url, SCHEMA, connections=1, timeout_s=600)
            try:
                await reader.health()
                began = time.perf_counter()
                parts = await reader.history(self._ann, as_of_us=to_micros(instant))
                if parts is None:
                    raise LookupError("The customer of the benchmark is not there.")
                events = (decode_stored(self._codec, value, from_micros(us)) for value, us in parts.events)
                facts = facts_of(self._projection, parts.partials, events)
                return (time.perf_counter() - began) * 1e3, self._projection.encode(facts)
            finally:
                await reader.aclose()

        return asyncio.run(read())

    def _divide(self) -> float | None:
        """An operator joins the customer with another and takes it back, which divides them again."""
        name = f"joined-{self._offset}"
        pair = {"a": identifier("user_id", _ANN), "b": identifier("user_id", _BOB)}
        self._apply([_encoded(name, 1.0, "identity.linked", None, {**pair, "reason": "one", "operator": "op"})])
        taken_back = _encoded(name, 1.0, "event.retracted", None, {"reason": "two", "operator": "op"}, revision=1)
        began = time.perf_counter()
        try:
            self._apply([taken_back])
        except TransientStorageError:
            # The worker would try again for ever. Here the partial states are built first.
            self._journal.assign(_TOPIC, None, [0])
            return None
        return (time.perf_counter() - began) * 1e3

    def _query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with closing(connect(self._url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []


def _encoded(
    name: str, share: float, kind: str, who: Sequence[str] | None, data: dict[str, Any], revision: int = 0
) -> bytes:
    if who is not None:
        data = {**data, "identifiers": [identifier("user_id", value) for value in who]}
    envelope = {
        "specversion": "1.0",
        "id": name,
        "source": "benchmark",
        "type": f"{kind}.v1",
        "time": (_BEGAN + _YEARS * share).isoformat(),
        "data": data,
    }
    return orjson.dumps({**envelope, "revision": revision} if revision else envelope)


@contextmanager
def own_database() -> Iterator[str]:
    """URL of a migrated database on a Postgres of its own."""
    # Below /tmp: Postgres, started by root, runs as a user that must be able to reach its folder.
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        postgres.start()
        try:
            migrate(postgres.url, SCHEMA)
            yield postgres.url
        finally:
            postgres.stop()


def main() -> None:
    """Measure and print, a line a length."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_history", description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 1_000, 100_000, 1_000_000])
    parser.add_argument("--cuts", type=int, default=7, help="instants at which a state is read (7)")
    options = parser.parse_args()
    print(f"{'events':>10}{'':<10}{'as of, ms':>12}{'at most':>10}{'divide, ms':>14}")
    with own_database() as url, closing(LongHistory(url, max(options.lengths))) as history:
        for length in sorted(options.lengths):
            history.grow(length)
            without = history.state()
            _say(length, "without", history.cost(options.cuts if length <= 10_000 else 1))
            built, took_s = history.build()
            if history.state() != without:
                raise ValueError(f"At {length} events the state is another one with partial states than without.")
            _say(length, "with", history.cost(options.cuts))
            print(f"{'':>10}built {built} partial states in {took_s:.1f} s", flush=True)


def _say(length: int, how: str, cost: Cost) -> None:
    divide = "does not end" if cost.divide_ms is None else f"{cost.divide_ms:,.0f}"
    print(f"{length:>10,} {how:<9}{cost.as_of_ms:>12,.1f}{cost.as_of_most_ms:>10,.1f}{divide:>14}", flush=True)


if __name__ == "__main__":
    main()
