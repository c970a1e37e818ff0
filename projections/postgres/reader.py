"""The reader of the views on Postgres: named queries in, rows of `projections.reading` out. Never writes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from customer_timeline.projections.component import Component
from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterGroupKey,
    DeadLetterGroups,
    DeadLetterPage,
    DeadLetterPlace,
    StoredDeadLetters,
)
from customer_timeline.projections.identity_reading import PlacedEvent, StoredEvent
from customer_timeline.projections.identity_review import ReviewFilter, ReviewKey, ReviewPage
from customer_timeline.projections.postgres import dead_letters
from customer_timeline.projections.postgres.identity_reads import read_component, read_events_of
from customer_timeline.projections.postgres.identity_review import read_review
from customer_timeline.projections.postgres.pool import LISTS, ReadPool
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.progress import DeadPosition, PartitionProgress, Progress
from customer_timeline.projections.reading import (
    CustomerFilter,
    CustomerKey,
    CustomerPage,
    CustomerRecord,
    CustomerRow,
    EventAt,
    HistoryParts,
    Member,
    ReaderHealth,
    StagesBeingAssessedError,
    TimelineFilter,
    TimelineKey,
    TimelinePage,
    TimelineRow,
    ViewsOutOfDateError,
)
from customer_timeline.schemas.decoded import from_micros
from customer_timeline.schemas.position_token import EventPosition

_FIRST_ID = "00000000-0000-0000-0000-000000000000"


class PostgresReader:
    """A `TimelineReader` over the tables of one schema.

    `projection_version` is what the tables must have been written by (None: whatever is there). Connections are
    opened when first needed, in the event loop of the call; at most `connections`, each asked one thing at a time.
    Lists have `list_connections` of their own: however many are asked for, views of one customer do not wait for them.
    One more is opened when somebody first asks how far the projector is: that question never waits for a busy pool.
    """

    def __init__(
        self,
        dsn: str,
        schema: str,
        *,
        projection_version: str | None = None,
        connections: int = 8,
        list_connections: int = 2,
        timeout_s: float = 5.0,
    ) -> None:
        self._expected = projection_version
        points = {**named_queries("queries.sql"), **named_queries("identity.sql")}
        self._pool = ReadPool(dsn, schema, points, size=connections, timeout_s=timeout_s)
        lists = {
            **named_queries("lists.sql"),
            **named_queries("identity_review.sql"),
            **named_queries("dead_letters.sql"),
        }
        self._lists = ReadPool(
            dsn, schema, lists, size=list_connections, timeout_s=timeout_s, planning=LISTS, gated=True
        )
        standing = named_queries("progress.sql")
        self._standing = ReadPool(dsn, schema, standing, size=1, timeout_s=timeout_s, gated=True)

    async def customer(self, identifier_id: str) -> CustomerRecord | None:
        """See `TimelineReader.customer`."""
        rows = await self._pool.fetch("EXECUTE customer (%s)", (identifier_id,))
        if not rows:
            return None
        version, customer_id, facts, members = rows[0]
        self._refuse_other_version(version)
        return CustomerRecord(
            customer_id,
            tuple(Member(*member) for member in orjson.loads(members)),
            facts,
        )

    async def timeline(
        self, identifier_id: str, wanted: TimelineFilter, *, limit: int, before: TimelineKey | None = None
    ) -> TimelinePage | None:
        """See `TimelineReader.timeline`."""
        until_us, until_id = _upper_bound(wanted.until_us, before)
        rows = await self._pool.fetch(
            "EXECUTE timeline (%s, %s, %s, %s, %s, %s, %s)",
            (
                identifier_id,
                _instant(until_us, "infinity"),
                until_id,
                _instant(wanted.from_us, "-infinity"),
                wanted.type,
                wanted.channel,
                limit + 1,
            ),
        )
        if not rows:
            return None
        self._refuse_other_version(rows[0][0])
        if rows[0][1] is None:
            return TimelinePage((), more=False)
        return TimelinePage(tuple(_timeline_row(row) for row in rows[:limit]), more=len(rows) > limit)

    async def events_at(self, identifier_id: str, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        """See `TimelineReader.events_at`."""
        instants = [from_micros(us) for us in instants_us]
        rows = await self._pool.fetch("EXECUTE events_at (%s, %s)", (identifier_id, instants))
        if rows:
            self._refuse_other_version(rows[0][0])
        return tuple(EventAt(*row[1:]) for row in rows if row[1] is not None)

    async def history(
        self, identifier_id: str, *, as_of_us: int | None = None, known_at_us: int | None = None
    ) -> HistoryParts | None:
        """All that the customer that holds an identifier now is made of, at a cut in two times; see `HistoryParts`.

        None where nobody ever named the identifier.
        """
        as_of, known_at = (None if us is None else from_micros(us) for us in (as_of_us, known_at_us))
        rows = await self._pool.fetch("EXECUTE history (%s, %s, %s)", (identifier_id, as_of, known_at))
        if not rows:
            return None
        self._refuse_other_version(rows[0][0])
        return HistoryParts(
            rows[0][1],
            tuple(facts for _, _, facts, _, _ in rows if facts is not None),
            tuple((event, recorded_us) for _, _, _, event, recorded_us in rows if event is not None),
        )

    async def identity(self, identifier_id: str) -> Component | None:
        """See `IdentityReader.identity`."""
        found = await read_component(self._pool, identifier_id)
        if found is None:
            return None
        self._refuse_other_version(found.version)
        return found.component

    async def identity_review(self, wanted: ReviewFilter, *, limit: int, after: ReviewKey | None = None) -> ReviewPage:
        """See `IdentityReader.identity_review`."""
        found = await read_review(self._lists, wanted, limit, after)
        self._refuse_other_version(found.version)
        return found.page

    async def events_of(self, identifier_ids: Collection[str], *, limit: int) -> tuple[StoredEvent, ...] | None:
        """See `IdentityReader.events_of`."""
        found = await read_events_of(self._pool, identifier_ids, limit)
        self._refuse_other_version(found.version)
        return found.events

    async def customers(
        self,
        wanted: CustomerFilter,
        *,
        rules: str,
        at_us: int,
        limit: int,
        after: CustomerKey | None = None,
    ) -> CustomerPage:
        """See `TimelineReader.customers`."""
        rows = await self._lists.fetch(*customers_query(wanted, rules=rules, at_us=at_us, limit=limit, after=after))
        self._refuse_other_version(rows[0][0])
        return customers_page(rows, limit)

    async def dead_letter_groups(
        self, wanted: DeadLetterFilter, *, limit: int, after: DeadLetterGroupKey | None = None
    ) -> DeadLetterGroups:
        """See `DeadLetterReader.dead_letter_groups`."""
        return await dead_letters.read_dead_letter_groups(self._lists, wanted, limit, after)

    async def dead_letters(
        self, wanted: DeadLetterFilter, *, limit: int, after: DeadLetterPlace | None = None
    ) -> DeadLetterPage:
        """See `DeadLetterReader.dead_letters`."""
        return await dead_letters.read_dead_letters(self._lists, wanted, limit, after)

    async def dead_letter(self, topic: str, partition: int, offset: int) -> DeadLetter | None:
        """See `DeadLetterReader.dead_letter`."""
        return await dead_letters.read_dead_letter(self._lists, DeadLetterPlace(topic, partition, offset))

    async def stored_dead_letters(self) -> StoredDeadLetters:
        """See `DeadLetterReader.stored_dead_letters`."""
        return await dead_letters.read_stored_dead_letters(self._lists)

    async def stored_revision(self, event_id: str) -> int | None:
        """See `DeadLetterReader.stored_revision`."""
        rows = await self._lists.fetch("EXECUTE stored_revision (%s)", (event_id,))
        return None if rows[0][0] is None else int(rows[0][0])

    async def stored_event(self, event_id: str) -> PlacedEvent | None:
        """See `DeadLetterReader.stored_event`."""
        rows = await self._lists.fetch("EXECUTE stored_event (%s)", (event_id,))
        return PlacedEvent(*rows[0]) if rows else None

    async def applied_operation(self, operation_id: str) -> bool:
        """See `DeadLetterReader.applied_operation`."""
        return bool((await self._lists.fetch("EXECUTE applied_operation (%s)", (operation_id,)))[0][0])

    async def owner_of(self, thing_id: str) -> str | None:
        """See `DeadLetterReader.owner_of`."""
        rows = await self._lists.fetch("EXECUTE owner_of (%s)", (thing_id,))
        return str(rows[0][0]) if rows else None

    async def progress(self, topic: str) -> Progress:
        """See `ProgressReader.progress`."""
        rows = await self._standing.fetch("EXECUTE progress (%s)", (topic,))
        if rows:
            self._refuse_other_version(rows[0][0])
        return {row[1]: PartitionProgress(*row[2:]) for row in rows}

    async def dead_positions(self, topic: str, positions: Collection[EventPosition]) -> tuple[DeadPosition, ...]:
        """See `ProgressReader.dead_positions`."""
        partitions, offsets = [at.partition for at in positions], [at.offset for at in positions]
        rows = await self._standing.fetch("EXECUTE dead_positions (%s, %s, %s)", (topic, partitions, offsets))
        return tuple(DeadPosition(*row) for row in rows)

    async def health(self) -> ReaderHealth:
        """See `TimelineReader.health`."""
        rows = await self._pool.fetch("EXECUTE health")
        return ReaderHealth(projection_version=rows[0][0], expected_version=self._expected)

    async def aclose(self) -> None:
        """See `TimelineReader.aclose`."""
        await self._pool.aclose()
        await self._lists.aclose()
        await self._standing.aclose()

    def _refuse_other_version(self, found: str | None) -> None:
        refuse_other_version(found, self._expected)


def _upper_bound(until_us: int | None, before: TimelineKey | None) -> TimelineKey | tuple[None, str]:
    # No event has the least id, so (until, least id) excludes exactly what happened at `until` or later.
    if until_us is None:
        return before or (None, _FIRST_ID)
    until = TimelineKey(until_us, _FIRST_ID)
    return until if before is None else min(until, before)


def _instant(micros: int | None, otherwise: str) -> datetime | str:
    return otherwise if micros is None else from_micros(micros).astimezone(UTC)


def _timeline_row(row: tuple[Any, ...]) -> TimelineRow:
    _, event_id, occurred_us, recorded_us, partition, offset, data_quality, event = row
    return TimelineRow(
        event_id,
        occurred_us,
        recorded_us,
        partition,
        offset,
        data_quality,
        event,
    )


def refuse_other_version(found: str | None, expected: str | None) -> None:
    """Raise ViewsOutOfDateError where tables of version `found` are not those expected (None: whatever is there)."""
    # Nothing found: no worker has written here yet, so there is nothing of another version.
    if expected is not None and found is not None and found != expected:
        raise ViewsOutOfDateError(found=found, expected=expected)


def customers_query(
    wanted: CustomerFilter,
    *,
    rules: str,
    at_us: int,
    limit: int,
    after: CustomerKey | None,
    without: str | None = None,
) -> tuple[str, tuple[object, ...]]:
    """A page of `lists.sql`, leaving out the customers of a uuid[] literal."""
    return (
        "EXECUTE customers (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (at_us, rules, *wanted, *(after or (None, None)), limit + 1, without),
    )


def customers_page(rows: Sequence[tuple[Any, ...]], limit: int) -> CustomerPage:
    """What `customers_query` found. Raises StagesBeingAssessedError."""
    _, unassessed, counts, first = rows[0][:4]
    if unassessed:
        raise StagesBeingAssessedError(unassessed)
    found = [] if first is None else rows
    return CustomerPage(
        tuple(_customer_row(row[3:]) for row in found[:limit]),
        more=len(found) > limit,
        counts=orjson.loads(counts) if counts else {},
    )


def _customer_row(row: tuple[Any, ...]) -> CustomerRow:
    customer_id, stage, flags, *rest = row
    return CustomerRow(customer_id, stage, tuple(flags), *rest)
