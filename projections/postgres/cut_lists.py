"""Lists of customers at a cut: those that it leaves as they are today by the lists' own query, the others one by one.

Called by `cut_reader`, on one snapshot. Where only `as_of` cuts, the stored schedules already say who had which stage;
then just the rows of the page are folded again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cut_reading import TooManyToRestoreError
from customer_timeline.projections.cuts import Past
from customer_timeline.projections.lifecycle import Stage, entry_at, next_change_us, stage_schedule
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.postgres.cut_component import CutSnapshot
from customer_timeline.projections.postgres.reader import customers_page, customers_query
from customer_timeline.projections.reading import CustomerFilter, CustomerKey, CustomerPage, CustomerRecord, CustomerRow
from customer_timeline.projections.stage_rules import StageRules

MAX_RESTORED: Final = 2_000
"""Customers that one list puts together again, at some milliseconds each."""

Restore = Callable[[str], Awaitable[CustomerRecord | None]]


def restorable(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The ids of rows, of which one more than MAX_RESTORED was asked for. Raises TooManyToRestoreError."""
    if len(rows) > MAX_RESTORED:
        raise TooManyToRestoreError(MAX_RESTORED)
    return [row[0] for row in rows]


class CutList:
    """One list at one cut. `restore` gives the customer of an identifier at the cut."""

    def __init__(
        self,
        snapshot: CutSnapshot,
        past: Past,
        restore: Restore,
        projection: CustomerProjection,
        rules: StageRules,
        at_us: int,
    ) -> None:
        self._snapshot = snapshot
        self._past = past
        self._restore = restore
        self._projection = projection
        self._rules = rules
        self._at_us = at_us

    async def page(self, wanted: CustomerFilter, rules: str, limit: int, after: CustomerKey | None) -> CustomerPage:
        """See `CutReader.customers`."""
        if self._past.who == "cut":
            return self._picked(await self._everybody(), wanted, limit, after)
        if self._past.cut.known_at_us is None and not wanted.order.endswith("last_event"):
            return await self._by_schedule(wanted, rules, limit, after)
        changed = await self._changed()
        kept = customers_page(
            await self._snapshot.fetch(
                *customers_query(
                    wanted, rules=rules, at_us=self._at_us, limit=limit, after=after, without=uuid_array(changed)
                )
            ),
            limit,
        )
        return _merged(kept, self._picked(await self._rows(changed), wanted, limit, after), wanted, limit)

    async def _by_schedule(
        self, wanted: CustomerFilter, rules: str, limit: int, after: CustomerKey | None
    ) -> CustomerPage:
        """The stored schedule's entry at an instant is that of the facts cut there; the columns are not."""
        query = customers_query(wanted, rules=rules, at_us=self._at_us, limit=limit, after=after)
        page = customers_page(await self._snapshot.fetch(*query), limit)
        late = [row.customer_id for row in page.rows if row.last_event_us > self._past.cut.until_us]
        again = {row.customer_id: row for row in await self._rows(late)}
        return page._replace(rows=tuple(again.get(row.customer_id, row) for row in page.rows))

    async def _everybody(self) -> list[CustomerRow]:
        """All customers, put together by the facts at the cut."""
        rows = await self._snapshot.fetch("EXECUTE everybody (%s)", (MAX_RESTORED + 1,))
        found: dict[str, CustomerRow | None] = {}
        known: set[str] = set()
        for identifier_id in restorable(rows):
            record = None if identifier_id in known else await self._restore(identifier_id)
            if record is not None:
                known.update(member.identifier_id for member in record.members)
                found[record.customer_id] = self._row(record)
        return [row for row in found.values() if row is not None]

    async def _changed(self) -> list[str]:
        asked = (*self._snapshot.times, MAX_RESTORED + 1)
        return restorable(await self._snapshot.fetch("EXECUTE changed_since (%s, %s, %s)", asked))

    async def _rows(self, customer_ids: Iterable[str]) -> list[CustomerRow]:
        found = []
        for customer_id in customer_ids:
            record = await self._restore(customer_id)
            row = None if record is None else self._row(record)
            if row is not None:
                found.append(row)
        return found

    def _row(self, record: CustomerRecord) -> CustomerRow | None:
        """The row of a customer; None without an event by then."""
        if record.facts is None:
            return None
        facts = self._projection.decode(record.facts)
        schedule = stage_schedule(facts, self._rules, self._projection.calendar)
        entry = entry_at(schedule, self._at_us)
        columns = self._projection.columns(facts)
        if entry is None or columns.first_event_us is None or columns.last_event_us is None:
            return None
        return CustomerRow(
            record.customer_id,
            entry.stage,
            entry.flags,
            entry.from_us,
            next_change_us(schedule, self._at_us),
            columns.events,
            columns.purchases,
            columns.first_event_us,
            columns.last_event_us,
            columns.last_sign_of_life_us,
        )

    def _picked(
        self, rows: Iterable[CustomerRow], wanted: CustomerFilter, limit: int, after: CustomerKey | None
    ) -> CustomerPage:
        """A page of rows that were worked out here."""
        flagged = [row for row in rows if wanted.flag in (None, *row.flags)]
        counts = Counter(row.stage for row in flagged)
        found = [row for row in flagged if wanted.stage in (None, row.stage)]
        found.sort(key=lambda row: _place(row.key(wanted.order), wanted))
        if after is not None:
            found = [row for row in found if _place(row.key(wanted.order), wanted) > _place(after, wanted)]
        return CustomerPage(tuple(found[:limit]), more=len(found) > limit, counts=counts)


def _merged(left: CustomerPage, right: CustomerPage, wanted: CustomerFilter, limit: int) -> CustomerPage:
    rows = sorted((*left.rows, *right.rows), key=lambda row: _place(row.key(wanted.order), wanted))
    counts: Counter[Stage] = Counter(left.counts)
    counts.update(right.counts)
    return CustomerPage(tuple(rows[:limit]), more=left.more or right.more or len(rows) > limit, counts=counts)


def _place(key: CustomerKey, wanted: CustomerFilter) -> tuple[int, str]:
    return (-key.value_us if wanted.order.startswith("-") else key.value_us, key.customer_id)
