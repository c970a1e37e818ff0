"""Two hands at one database and a builder of partial states beside them; and what a history says, read both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from random import Random
from typing import Any, NamedTuple

import psycopg2
from two_hands import SCHEMA, Table

from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.partials import Lengths, facts_of
from customer_timeline.projections.postgres.partial_builder import PartialBuilder
from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.postgres.timeline_store import decode_stored
from customer_timeline.projections.reading import HistoryParts
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros

SHORT = Lengths(history=1, anchor=1, month=2)
"""So short that a handful of events is a long history."""


class Cut(NamedTuple):
    """A cut in two times; None: no cut."""

    as_of_us: int | None = None
    known_at_us: int | None = None


NO_CUT = Cut()


def builder(table: Table, observer: Callable[[str], None] = lambda step: None) -> PartialBuilder:
    """A builder that finds everybody's history long."""
    return PartialBuilder(
        lambda: psycopg2.connect(table.url, options=f"-c search_path={SCHEMA} -c timezone=UTC"),
        table.codec,
        table.projection,
        version="test-1",
        lengths=SHORT,
        observer=observer,
    )


def make_due(table: Table) -> None:
    """The partial states of every customer whom nobody holds are to be looked after now."""
    table.execute(
        "UPDATE customer SET partial_due_us = 0"
        " WHERE customer_id IN (SELECT customer_id FROM customer FOR UPDATE SKIP LOCKED)"
    )


def build(table: Table, now_us: int, observer: Callable[[str], None] = lambda step: None) -> int:
    """Look after everybody until nobody is due; returns how many spans were folded."""
    make_due(table)
    with closing(builder(table, observer)) as one:
        turns: Iterator[int] = (built.folded for built in iter(lambda: one.turn(now_us, 3), None))
        return sum(turns)


def build_all(url: str, codec: Codec, projection: CustomerProjection, now_us: int) -> None:
    """Build everybody's partial states in a database that nobody writes to meanwhile."""

    def connect() -> Any:
        return psycopg2.connect(url, options=f"-c search_path={SCHEMA} -c timezone=UTC")

    with closing(connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE customer SET partial_due_us = 0")
        cursor.execute("SELECT projection_version FROM projection_meta")
        (version,) = cursor.fetchone() or ("",)
    with closing(PartialBuilder(connect, codec, projection, version=version, lengths=SHORT)) as one:
        while one.turn(now_us, 1_000) is not None:
            pass


def parts_of(table: Table, identifier_id: str, cut: Cut = NO_CUT) -> HistoryParts:
    """The parts of a history, from partial states where there are some."""
    return _all_parts(table, [(identifier_id, cut)])[0]


def _all_parts(table: Table, wanted: Sequence[tuple[str, Cut]]) -> list[HistoryParts]:
    async def read() -> list[HistoryParts | None]:
        reader = PostgresReader(table.url, SCHEMA, connections=1)
        try:
            return [
                await reader.history(identifier_id, as_of_us=cut.as_of_us, known_at_us=cut.known_at_us)
                for identifier_id, cut in wanted
            ]
        finally:
            await reader.aclose()

    found = [parts for parts in asyncio.run(read()) if parts is not None]
    assert len(found) == len(wanted)
    return found


def _put_together(table: Table, parts: HistoryParts) -> bytes:
    events = (decode_stored(table.codec, value, from_micros(us)) for value, us in parts.events)
    return table.projection.encode(facts_of(table.projection, parts.partials, events))


def _folded(table: Table, events: Iterable[DecodedEvent], cut: Cut) -> bytes:
    facts = table.projection.initial()
    for event in events:
        late = cut.as_of_us is not None and event.occurred_us > cut.as_of_us
        unknown = cut.known_at_us is not None and to_micros(event.recorded_at) > cut.known_at_us
        if not late and not unknown:
            table.projection.apply(facts, event)
    return table.projection.encode(facts)


def read_history(table: Table, identifier_id: str, cut: Cut = NO_CUT) -> bytes:
    """The encoded facts of a history, from partial states where there are some."""
    return _put_together(table, parts_of(table, identifier_id, cut))


def folded_history(table: Table, identifier_id: str, cut: Cut = NO_CUT) -> bytes:
    """The same from the timeline alone, event by event."""
    return _folded(table, _events(table, identifier_id), cut)


def _events(table: Table, identifier_id: str) -> list[DecodedEvent]:
    rows = table.query(
        """
        WITH RECURSIVE members AS (
            SELECT m.identifier_id AS id FROM identifier i JOIN identifier m USING (customer_id)
            WHERE i.identifier_id = %s
        ), things (id) AS (
            SELECT t.thing_id FROM thing t JOIN members m ON t.owner_id = m.id
            UNION
            SELECT t.thing_id FROM thing t JOIN things o ON t.via_thing_id = o.id WHERE t.owner_id IS NULL
        )
        SELECT event::text, recorded_at FROM timeline
        WHERE listed AND anchor_id IN (SELECT id FROM members UNION SELECT id FROM things)
        """,
        identifier_id,
    )
    return [decode_stored(table.codec, value, recorded_at) for value, recorded_at in rows]


def assert_histories_agree(table: Table, random: Random, cuts: int = 4) -> None:
    """Everybody's history is the same read both ways, whole and at random cuts near its events."""
    instants = [row[0] for row in table.query("SELECT occurred_at FROM timeline WHERE listed")]
    recorded = [row[0] for row in table.query("SELECT recorded_at FROM timeline WHERE listed")]
    wanted: list[tuple[str, Cut]] = []
    for (identifier_id,) in table.query("SELECT identifier_id::text FROM identifier"):
        wanted.append((identifier_id, NO_CUT))
        for _ in range(cuts if instants else 0):
            as_of_us = to_micros(random.choice(instants)) + random.choice([-1, 0, 1, 3_600_000_000, 86_400_000_000])
            known_us = to_micros(random.choice(recorded)) + random.choice([-1, 0])
            wanted.append((identifier_id, Cut(random.choice([None, as_of_us]), random.choice([None, known_us]))))
    events = {identifier_id: _events(table, identifier_id) for identifier_id, _ in wanted}
    for (identifier_id, cut), parts in zip(wanted, _all_parts(table, wanted), strict=True):
        assert _put_together(table, parts) == _folded(table, events[identifier_id], cut), cut
