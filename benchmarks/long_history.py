"""`python -m benchmarks.long_history`: what the state of one customer with a long history costs at an instant, and what
folding it again costs, with partial states and without.

One Postgres of the run's own, no Kafka. All events are one customer's, spread evenly over ten years; a history is
measured at each length, then grows to the next. The first 5,000 go through the journal, as a worker applies them; the
others are copies of these under other ids and at other times, made by Postgres, because a million through the journal
take minutes. Without partial states a history is folded event by event, as all were before there were any. CPU is that
of this process: the clock also counts Postgres, and whoever else is on the machine.
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
_PUBLISHED = 5_000
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


# $1 copies of every event of the customer, anywhere in the ten years.
_MORE = """
INSERT INTO timeline (event_id, anchor_id, strongest_id, identifier_ids, thing_ids, type, channel, direction,
    sign_of_life, listed, occurred_at, recorded_at, revision, part, position, record_hash, data_quality, event)
SELECT gen_random_uuid(), t.anchor_id, t.strongest_id, t.identifier_ids, t.thing_ids, t.type, t.channel, t.direction,
    t.sign_of_life, t.listed, copy.at, t.recorded_at, t.revision, t.part, t.position, t.record_hash, t.data_quality,
    t.event || jsonb_build_object('id', gen_random_uuid(), 'time', to_char(copy.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
FROM timeline t CROSS JOIN LATERAL (
    SELECT timestamptz '2015-01-01 00:00:00+00' + random() * interval '3646 days' AS at, t.event_id
    FROM generate_series(1, %s)
) copy
WHERE t.anchor_id = %s
"""


class Cost(NamedTuple):
    """Milliseconds: the state at an instant (median of several, and the longest), and dividing the customer."""

    as_of_ms: float
    as_of_cpu_ms: float
    as_of_most_ms: float
    divide_ms: float | None  # None: it does not end


class LongHistory:
    """The database of one run, and the customer in it."""

    def __init__(self, url: str) -> None:
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
        self._random = random.Random(20260101)
        self._offset = 0
        self._to_take_back = b""
        self.events = 0
        self._journal.assign(_TOPIC, None, [0])
        self._apply([_encoded("bob", 0.0, "page.viewed", [_BOB], page_view(0, self._random))])
        self._ann = self._query("SELECT identifier_id::text FROM identifier")[0][0]

    def grow(self, until: int) -> None:
        """Events up to about that many; partial states are thrown away."""
        self._query("UPDATE customer SET partial_until_us = NULL, partial_due_us = NULL")
        self._query("TRUNCATE partial_state")
        if self.events < _PUBLISHED:
            step = range(self.events, min(_PUBLISHED, until))
            self._apply([self._touchpoint(number) for number in step])
            self.events = step.stop
        self._ann = self._query("SELECT identifier_id::text FROM identifier WHERE value = %s", _ANN)[0][0]
        copies = until // self.events - 1
        if copies > 0:
            self._query(_MORE, copies, self._ann)
            self.events *= copies + 1
            self._query("UPDATE customer SET events = %s WHERE customer_id = %s", self.events, self._ann)
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

    def cost(self, cuts: int) -> tuple[Cost, bytes]:
        """What reading in the middle of the history and at further random instants costs, and dividing once; and the
        encoded state in the middle.
        """
        draw = random.Random(7)
        found = [self._as_of(_BEGAN + _YEARS * share) for share in (0.5, *(draw.random() for _ in range(cuts)))]
        times = [ms for ms, _, _ in found]
        return Cost(median(times), median(cpu for _, cpu, _ in found), max(times), self._divide()), found[0][2]

    def close(self) -> None:
        """Give everything back."""
        self._builder.close()
        self._journal.close()

    def _touchpoint(self, number: int) -> bytes:
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

    def _as_of(self, instant: datetime) -> tuple[float, float, bytes]:
        async def read() -> tuple[float, float, bytes]:
            reader = PostgresReader(self._url, SCHEMA, connections=1, timeout_s=600)
            try:
                await reader.health()
                began, cpu = time.perf_counter(), time.process_time()
                parts = await reader.history(self._ann, as_of_us=to_micros(instant))
                if parts is None:
                    raise LookupError("The customer of the benchmark is not there.")
                events = (decode_stored(self._codec, value, from_micros(us)) for value, us in parts.events)
                facts = facts_of(self._projection, parts.partials, events)
                encoded = self._projection.encode(facts)
                return (time.perf_counter() - began) * 1e3, (time.process_time() - cpu) * 1e3, encoded
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
            # The worker would try again for ever.
            self._journal.assign(_TOPIC, None, [0])
            self._to_take_back = taken_back
            return None
        return (time.perf_counter() - began) * 1e3

    def divide_at_last(self) -> None:
        """What did not end without partial states, now that they are there."""
        self._apply([self._to_take_back])

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
    parser.add_argument("--cuts", type=int, default=6, help="further instants at which a state is read (6)")
    options = parser.parse_args()
    print(f"{'events':>10}{'':<10}{'as of, ms':>12}{'its CPU':>10}{'at most':>10}{'divide, ms':>14}", flush=True)
    with own_database() as url, closing(LongHistory(url)) as history:
        for length in sorted(options.lengths):
            history.grow(length)
            cost, without = history.cost(options.cuts if length <= 10_000 else 0)
            _say(length, "without", cost)
            built, took_s = history.build()
            if cost.divide_ms is None:
                history.divide_at_last()
            cost, state = history.cost(options.cuts)
            if state != without:
                raise ValueError(f"At {length} events the state is another one with partial states than without.")
            _say(length, "with", cost)
            print(f"{'':>10}built {built} partial states in {took_s:.1f} s", flush=True)


def _say(length: int, how: str, cost: Cost) -> None:
    divide = "does not end" if cost.divide_ms is None else f"{cost.divide_ms:,.0f}"
    row = f"{length:>10,} {how:<9}{cost.as_of_ms:>12,.1f}{cost.as_of_cpu_ms:>10,.1f}{cost.as_of_most_ms:>10,.1f}"
    print(f"{row}{divide:>14}", flush=True)


if __name__ == "__main__":
    main()
