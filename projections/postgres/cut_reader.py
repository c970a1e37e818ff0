"""The reader of the past on Postgres: customers put together and folded from the events at a cut. Never writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import chain
from typing import Any, Final

import orjson

from customer_timeline.projections.component import Component
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cut_reading import Horizon, Window
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.projections.differences import Difference, Side
from customer_timeline.projections.partials import facts_of
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.postgres.cut_component import CutSnapshot, Whole, decoded, instant
from customer_timeline.projections.postgres.cut_lists import MAX_RESTORED, CutList, restorable
from customer_timeline.projections.postgres.pool import LISTS, ReadPool
from customer_timeline.projections.postgres.reader import refuse_other_version
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.reading import (
    CustomerFilter,
    CustomerKey,
    CustomerPage,
    CustomerRecord,
    EventAt,
    TimelineFilter,
    TimelineKey,
    TimelinePage,
    TimelineRow,
)
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"
# Folding this many events takes some milliseconds: more of them would keep other requests waiting.
_FOLDED_AT_ONCE: Final = 200


class PostgresCutReader:
    """A `CutReader` over the tables of one schema.

    `codec`, `policy` and `projection` must be those of the worker. Connections are opened when first needed, in the
    event loop of the call; at most `connections`.
    """

    def __init__(
        self,
        dsn: str,
        schema: str,
        codec: Codec,
        policy: IdentityPolicy,
        projection: CustomerProjection,
        rules: StageRules,
        *,
        projection_version: str | None = None,
        connections: int = 4,
        list_connections: int = 1,
        timeout_s: float = 30.0,
    ) -> None:
        self._codec = codec
        self._policy = policy
        self._projection = projection
        self._rules = rules
        self._expected = projection_version
        queries = named_queries("history.sql")
        self._pool = ReadPool(dsn, schema, queries, size=connections, timeout_s=timeout_s, gated=True)
        self._lists = ReadPool(
            dsn,
            schema,
            {**queries, **named_queries("lists.sql")},
            size=list_connections,
            timeout_s=timeout_s,
            planning=LISTS,
            gated=True,
        )

    async def horizon(self) -> Horizon:
        """See `CutReader.horizon`."""
        rows = await self._pool.fetch("EXECUTE passed")
        return Horizon(rows[0][1])

    async def customer(self, identifier_id: str, past: Past) -> CustomerRecord | None:
        """See `CutReader.customer`."""
        async with self._snapshot(self._pool, past.cut) as snapshot:
            return await self._customer(snapshot, identifier_id, past)

    async def identity(self, identifier_id: str, past: Past) -> Component | None:
        """See `CutReader.identity`."""
        async with self._snapshot(self._pool, past.cut) as snapshot:
            return await snapshot.identity(identifier_id)

    async def timeline(
        self,
        identifier_id: str,
        past: Past,
        wanted: TimelineFilter,
        *,
        limit: int,
        before: TimelineKey | None = None,
    ) -> TimelinePage | None:
        """See `CutReader.timeline`."""
        async with self._snapshot(self._pool, past.cut) as snapshot:
            whole = await snapshot.whole(identifier_id, past.who)
            if whole is None:
                return None
            end = _end(past.cut, wanted, before)
            rows = await snapshot.fetch(
                "EXECUTE page_of (%s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    uuid_array(whole.anchors),
                    instant(None if end is None else end.occurred_us),
                    _FIRST_ID if end is None else end.event_id,
                    "-infinity" if wanted.from_us is None else from_micros(wanted.from_us),
                    wanted.type,
                    wanted.channel,
                    limit + 1,
                    instant(past.cut.known_at_us),
                ),
            )
        found = [TimelineRow(*row) for row in rows]
        restored = [_row(event) for event in whole.restored if _matches(event, wanted)]
        found += [row for row in restored if end is None or row.key < end]
        found.sort(key=lambda row: row.key, reverse=True)
        return TimelinePage(tuple(found[:limit]), more=len(found) > limit)

    async def events_at(self, identifier_id: str, past: Past, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        """See `CutReader.events_at`."""
        wanted = {us for us in instants_us if us <= past.cut.until_us}
        async with self._snapshot(self._pool, past.cut) as snapshot:
            whole = await snapshot.whole(identifier_id, past.who)
            if whole is None:
                return ()
            rows = await snapshot.fetch(
                "EXECUTE events_at_of (%s, %s, %s)",
                (uuid_array(whole.anchors), [from_micros(us) for us in wanted], instant(past.cut.known_at_us)),
            )
        found = [EventAt(*row) for row in rows]
        found += [
            EventAt(event.occurred_us, event.event_id, event.type, event.sign_of_life)
            for event in whole.restored
            if event.occurred_us in wanted
        ]
        return tuple(sorted(found))

    async def customers(
        self,
        wanted: CustomerFilter,
        past: Past,
        *,
        rules: str,
        at_us: int,
        limit: int,
        after: CustomerKey | None = None,
    ) -> CustomerPage:
        """See `CutReader.customers`."""
        async with self._snapshot(self._lists, past.cut) as snapshot:
            found = CutList(
                snapshot,
                past,
                lambda identifier_id: self._customer(snapshot, identifier_id, past),
                self._projection,
                self._rules,
                at_us,
            )
            return await found.page(wanted, rules, limit, after)

    async def difference(self, identifier_id: str, before: Past, after: Past) -> Difference | None:
        """See `CutReader.difference`."""
        async with self._snapshot(self._pool, before.cut) as earlier:
            later = earlier.at(after.cut)
            side_before = await earlier.whole(identifier_id, before.who)
            side_after = await later.whole(identifier_id, after.who)
            if side_before is None and side_after is None:
                return None
            records_before = await self._records(earlier, side_before)
            records_after = await self._records(later, side_after)
        return await asyncio.to_thread(self._compared, side_before, side_after, records_before, records_after)

    async def changed_customers(self, recorded: Window, occurred_before_us: int) -> tuple[str, ...]:
        """See `CutReader.changed_customers`."""
        instants = (from_micros(us) for us in (*recorded, occurred_before_us))
        rows = await self._lists.fetch("EXECUTE changed_within (%s, %s, %s, %s)", (*instants, MAX_RESTORED + 1))
        return tuple(restorable(rows))

    async def aclose(self) -> None:
        """See `CutReader.aclose`."""
        await self._pool.aclose()
        await self._lists.aclose()

    async def _customer(self, snapshot: CutSnapshot, identifier_id: str, past: Past) -> CustomerRecord | None:
        whole = await snapshot.whole(identifier_id, past.who)
        if whole is None:
            return None
        return CustomerRecord(whole.customer_id, whole.members, await self._facts(snapshot, whole))

    @asynccontextmanager
    async def _snapshot(self, pool: ReadPool, cut: Cut) -> AsyncIterator[CutSnapshot]:
        async with pool.snapshot() as fetch:
            found = (await fetch("EXECUTE passed", ()))[0][0]
            refuse_other_version(found, self._expected)
            yield CutSnapshot(fetch, cut, self._codec, self._policy)

    async def _facts(self, snapshot: CutSnapshot, whole: Whole) -> str | None:
        """The fold of a customer's events at the cut; None without any."""
        partials, stored = await snapshot.parts(whole.anchors)
        if not partials and not stored and not whole.restored:
            return None
        if len(partials) + len(stored) <= _FOLDED_AT_ONCE:
            return self._folded(stored, whole.restored, partials)
        return await asyncio.to_thread(self._folded, stored, whole.restored, partials)

    async def _records(self, snapshot: CutSnapshot, whole: Whole | None) -> dict[str, datetime]:
        """When each record that counts was recorded, by the event as it is stored."""
        if whole is None:
            return {}
        stored = dict(await snapshot.events(whole.anchors))
        return {**stored, **{event.value.decode(): event.recorded_at for event in whole.restored}}

    def _folded(
        self,
        stored: Sequence[tuple[str, datetime]],
        restored: Sequence[DecodedEvent],
        partials: Sequence[str] = (),
    ) -> str:
        events = (decoded(self._codec, value, recorded_at) for value, recorded_at in stored)
        return self._projection.encode(facts_of(self._projection, partials, chain(events, restored))).decode()

    def _compared(
        self,
        before: Whole | None,
        after: Whole | None,
        earlier: Mapping[str, datetime],
        later: Mapping[str, datetime],
    ) -> Difference:
        common = [(value, later[value]) for value in earlier.keys() & later.keys()]
        removed, added = earlier.keys() - later.keys(), later.keys() - earlier.keys()
        return Difference(
            None if before is None else Side(before.customer_id, before.members),
            None if after is None else Side(after.customer_id, after.members),
            self._folded(common, ()),
            self._in_order(removed, earlier),
            self._in_order(added, later),
        )

    def _in_order(self, values: Iterable[str], recorded: Mapping[str, datetime]) -> tuple[DecodedEvent, ...]:
        events = [decoded(self._codec, value, recorded[value]) for value in values]
        return tuple(sorted(events, key=lambda event: (event.occurred_us, event.event_id)))


def _end(cut: Cut, wanted: TimelineFilter, before: TimelineKey | None) -> TimelineKey | None:
    """The key that a page ends before: `until` and `before` exclude, `as_of` includes its instant."""
    ends = [] if before is None else [before]
    if wanted.until_us is not None:
        ends.append(TimelineKey(wanted.until_us, _FIRST_ID))
    if cut.as_of_us is not None:
        ends.append(TimelineKey(cut.as_of_us + 1, _FIRST_ID))
    return min(ends, default=None)


def _matches(event: DecodedEvent, wanted: TimelineFilter) -> bool:
    return (
        (wanted.type is None or wanted.type in (event.type, event.type.rpartition(".v")[0]))
        and wanted.channel in (None, event.channel)
        and (wanted.from_us is None or event.occurred_us >= wanted.from_us)
    )


def _row(event: DecodedEvent) -> TimelineRow:
    notes: list[dict[str, Any]] = [note._asdict() for note in event.data_quality]
    return TimelineRow(
        event.event_id,
        event.occurred_us,
        to_micros(event.recorded_at),
        None,
        None,
        orjson.dumps(notes).decode() if notes else None,
        event.value.decode(),
    )
