"""The tables as a system, filled by two journals that take turns, or by worker processes that read a topic of Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import live_log
import psycopg2
from generators import Sent
from pipeline import SCHEMA, Pipeline
from stateful.plain_customers import FOR_EVER, Customer
from stateful.system import CODEC, POLICY, PROJECTION, RULES, Stages, cents_of, recorded_at

from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.projections.postgres.cut_reader import PostgresCutReader
from customer_timeline.projections.postgres.journal import PostgresJournal
from customer_timeline.projections.reading import TimelineFilter
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.streams.decoding import decode_batch

TOPIC = "stateful"
_CUSTOMERS = """
    SELECT c.customer_id::text, c.events, c.purchases,
        coalesce(c.facts #>> '{purchases,by_currency,USD,gross}', '0.00'),
        ARRAY(SELECT identifier_id::text FROM identifier AS i WHERE i.customer_id = c.customer_id),
        ARRAY(SELECT event_id::text FROM touchpoints AS t WHERE t.customer_id = c.customer_id)
    FROM customer AS c
"""


def customers_in(url: str) -> dict[str, Customer]:
    """What the tables say."""
    found = {}
    for customer_id, count, purchases, gross, members, events in _query(url, _CUSTOMERS):
        assert count == len(events), "the row counts the events of the timeline"
        found[customer_id] = Customer(frozenset(members), frozenset(events), purchases, cents_of(gross))
    return found


async def customers_then(url: str, cut: Cut) -> dict[str, Customer]:
    """What the reader of the past says, asked for every identifier."""
    reader = PostgresCutReader(url, SCHEMA, CODEC, POLICY, PROJECTION, RULES, connections=1)
    past = Past(cut, "cut")
    found: dict[str, Customer] = {}
    try:
        for (identifier_id,) in _query(url, "SELECT identifier_id::text FROM identifier"):
            record = await reader.customer(identifier_id, past)
            page = await reader.timeline(identifier_id, past, TimelineFilter(), limit=1_000)
            if record is None or page is None:
                assert (record, page) == (None, None)
                continue
            facts = PROJECTION.initial() if record.facts is None else PROJECTION.decode(record.facts)
            found[record.customer_id] = Customer(
                frozenset(member.identifier_id for member in record.members),
                frozenset(row.event_id for row in page.rows),
                PROJECTION.columns(facts).purchases,
                cents_of(_gross(facts)),
            )
    finally:
        await reader.aclose()
    return found


def _gross(facts: CustomerFacts) -> str:
    sums = facts.purchases.get("by_currency")
    return sums["USD"]["gross"] if sums and "USD" in sums else "0.00"


def stages_in(url: str, at_us: int) -> Stages:
    """What the schedules say of an instant."""
    rows = _query(url, "SELECT customer_id::text, stage_entry(schedule, %s) FROM customer", at_us)
    return {customer: None if entry is None else (entry[1], tuple(entry[2])) for customer, entry in rows}


def _query(url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    with contextlib.closing(_connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _connect(url: str) -> Any:
    return psycopg2.connect(url, options=f"-c search_path={SCHEMA} -c timezone=UTC")


def empty(url: str) -> None:
    """Forget all that earlier examples wrote."""
    with contextlib.closing(_connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,))
        tables = [f"{SCHEMA}.{name}" for (name,) in cursor if "migration" not in name and name != "view_set"]
        cursor.execute(f"TRUNCATE {', '.join(tables)}")


@dataclass(frozen=True)
class _Fetched:
    """What a consumer hands over."""

    partition: int
    offset: int
    timestamp: int
    value: bytes
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class JournalSystem:
    """Two workers' journals on one database, each with a partition, which take turns with batches of one to three."""

    url: str
    knows_when = True
    appended: int = 0
    waiting: tuple[list[_Fetched], list[_Fetched]] = field(default_factory=lambda: ([], []))
    applied: list[int] = field(default_factory=lambda: [0, 0])
    journals: list[PostgresJournal] = field(default_factory=list)

    def append(self, value: bytes) -> None:
        if not self.journals:
            empty(self.url)
            self.journals = [self._journal(partition) for partition in range(2)]
        partition = self.appended * 7 // 3 % 2
        queue = self.waiting[partition]
        stamp = int(recorded_at(self.appended).timestamp() * 1000)
        queue.append(_Fetched(partition, self.applied[partition] + len(queue), stamp, value))
        self.appended += 1
        if len(queue) > self.appended % 3:
            self._apply(partition)

    def customers(self, as_of_us: int = FOR_EVER, known_at: int = FOR_EVER) -> dict[str, Customer]:
        self._apply(1)
        self._apply(0)
        if not self.journals:
            return {}
        if (as_of_us, known_at) == (FOR_EVER, FOR_EVER):
            return customers_in(self.url)
        known_at_us = None if known_at == FOR_EVER else to_micros(recorded_at(known_at))
        return asyncio.run(customers_then(self.url, Cut(None if as_of_us == FOR_EVER else as_of_us, known_at_us)))

    def stages(self, at_us: int) -> Stages:
        self.customers()
        return stages_in(self.url, at_us) if self.journals else {}

    def close(self) -> None:
        for journal in self.journals:
            journal.close()

    def _apply(self, partition: int) -> None:
        queue = self.waiting[partition]
        if queue:
            batch = decode_batch(TOPIC, {partition: queue}, {partition: self.applied[partition]}, CODEC)
            self.journals[partition].apply(batch)
            self.applied[partition] += len(queue)
            queue.clear()

    def _journal(self, partition: int) -> PostgresJournal:
        journal = PostgresJournal(
            lambda: _connect(self.url), CODEC, PROJECTION, POLICY, RULES, version="stateful-1", details={}
        )
        journal.assign(TOPIC, None, [partition])
        return journal


class KafkaSystem:
    """A topic, two worker processes and the tables; what is asked waits until all that was told is applied."""

    knows_when = False  # records come in when the broker says so

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._waiting: list[Sent] = []
        live_log.create_topic(pipeline.bootstrap, pipeline.topic)
        empty(pipeline.url)
        own = {"identity": POLICY.model_dump_json(), "business_time_zone": "UTC"}
        for number, batch in enumerate((1, 100)):
            pipeline.workers.append(pipeline.farm.start(pipeline.settings(batch, f"w{number}") | own))

    def append(self, value: bytes) -> None:
        self._waiting.append(Sent(value))

    def customers(self, as_of_us: int = FOR_EVER, known_at: int = FOR_EVER) -> dict[str, Customer]:
        assert known_at == FOR_EVER
        self._settle()
        if as_of_us == FOR_EVER:
            return customers_in(self._pipeline.url)
        return asyncio.run(customers_then(self._pipeline.url, Cut(as_of_us, None)))

    def stages(self, at_us: int) -> Stages:
        self._settle()
        return stages_in(self._pipeline.url, at_us)

    def close(self) -> None:
        self._pipeline.close()

    def _settle(self) -> None:
        places = Random(len(self._waiting))
        self._pipeline.append(self._waiting, lambda sent: places.randrange(4))
        self._waiting = []
        self._pipeline.settle()
