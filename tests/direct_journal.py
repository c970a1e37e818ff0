"""The journal without Kafka and without processes: several workers' journals on one database, taking turns by a seed.

One thread, so a run repeats exactly, and a log that goes wrong can be cut down to the few records that matter. What
only real concurrency can break (locks, fencing) is left to the racing tests; what a worker remembers from one batch to
the next, and what batches of any size do to each other, is found here a hundred times faster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg2
from digest import difference, digest_of
from generators import Sent, shuffled
from log_shapes import BATCHES
from pipeline import POLICY, SCHEMA, SECRET, ZONE
from reference.log_model import Record, reference

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.digest import CustomerDigest, TableDigest
from customer_timeline.projections.postgres.digests import digest_snapshot
from customer_timeline.projections.postgres.journal import PostgresJournal
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.codec import Codec
from customer_timeline.streams.decoding import decode_batch

TOPIC = "direct"
WAITING = ("fill_facts", "fill_cover", "fill_anchor")
FIRST_APPEND = datetime(2025, 1, 1, tzinfo=UTC)


def random_turns(random: Random, workers: int, batches: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Turns without end: any worker, any of the batch sizes."""
    while True:
        yield random.randrange(workers), random.choice(batches)


@dataclass(frozen=True)
class _Fetched:
    """What a consumer hands over."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class DirectRun:
    """A log spread over the partitions of as many journals, one each, and the turns in which they work.

    A turn is a worker and the most records it takes; turns of a worker with nothing left are passed over. `forgetful`
    percent of the turns begin with the worker started again, so that it remembers nothing. `filling`: as a rebuild is
    filled, where the facts of customers come last.
    """

    url: str
    log: Sequence[tuple[int, Sent]]  # partition, record
    turns: Iterable[tuple[int, int]]
    first_append: datetime = FIRST_APPEND
    forgetful: int = 0
    filling: bool = False
    codec: Codec = field(default_factory=lambda: Codec(POLICY, SECRET.encode()))

    def difference(self) -> str:
        """Apply the whole log to emptied tables; how they differ from the reference."""
        self.apply()
        expected = reference(self.records(), self.codec, POLICY, CustomerProjection(BusinessCalendar(ZONE)))
        return difference(expected, digest_of(self.url), recorded=True)

    def apply(self) -> None:
        """Apply the whole log to emptied tables."""
        self._empty()
        queues = self._queues()
        journals = [self._journal(part) for part in range(len(queues))]
        try:
            at = [0] * len(queues)
            chance = Random(len(self.log))
            for part, size in self.turns:
                if all(at[p] == len(queues[p]) for p in range(len(queues))):
                    break
                found = queues[part][at[part] : at[part] + size]
                if found:
                    if chance.randrange(100) < self.forgetful:
                        journals[part].close()
                        journals[part] = self._journal(part)
                    journals[part].apply(decode_batch(TOPIC, {part: found}, {part: at[part]}, self.codec))
                    at[part] += len(found)
            for journal in journals:
                journal.release(TOPIC)
        finally:
            for journal in journals:
                journal.close()
        if self.filling:
            finishing = wiring.finishing(self._settings())
            assert finishing.waits()
            finishing.prepare()
            for share in range(2):
                finishing.write(share, 2, lambda done: None)
            finishing.end()

    def records(self) -> list[Record]:
        """The log, as the reference reads it."""
        return [Record(r.value, _instant(r.timestamp), r.partition, r.offset) for q in self._queues() for r in q]

    def digests(self) -> tuple[Mapping[str, TableDigest], tuple[CustomerDigest, ...]]:
        """What the product itself says that the tables say: by table, and by customer."""
        with digest_snapshot(lambda: psycopg2.connect(self.url, options=f"-c search_path={SCHEMA}")) as snapshot:
            return snapshot.view().tables, tuple(snapshot.customers())

    def _queues(self) -> list[list[_Fetched]]:
        queues: list[list[_Fetched]] = [[] for _ in range(max(partition for partition, _ in self.log) + 1)]
        for number, (partition, sent) in enumerate(self.log):
            queue = queues[partition]
            stamp = int((self.first_append + timedelta(milliseconds=number)).timestamp() * 1000)
            queue.append(_Fetched(partition, len(queue), stamp, sent.key, sent.value, sent.headers))
        return queues

    def _journal(self, partition: int) -> PostgresJournal:
        journal = wiring.journal(self._settings(), self.codec, lambda step: None, filling=self.filling)
        journal.assign(TOPIC, None, [partition])
        return journal

    def _settings(self) -> Settings:
        return Settings(
            database_url=self.url,
            touchpoints_topic=TOPIC,
            identity_secret=SECRET,
            business_time_zone=ZONE,
        )

    def _empty(self) -> None:
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,))
            tables = [f"{SCHEMA}.{name}" for (name,) in cursor if "migration" not in name and name != "view_set"]
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
            cursor.execute(f"DROP TABLE IF EXISTS {', '.join(f'{SCHEMA}.{name}' for name in WAITING)}")
            if self.filling:
                cursor.execute("SELECT set_config('search_path', %s, true)", (SCHEMA,))
                cursor.execute(named_queries("filling.sql")["make_tables"])


def drawn(url: str, log: list[Sent], seed: int) -> DirectRun:
    """A way of the log through the workers."""
    random = Random(seed)
    workers = random.randint(1, 3)
    placed = [(random.randrange(workers), sent) for sent in shuffled(log, seed, twice_percent=10)]
    turns = random_turns(random, workers, random.choice(BATCHES))
    return DirectRun(url, placed, turns, forgetful=random.choice((0, 0, 30)))


def _instant(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
