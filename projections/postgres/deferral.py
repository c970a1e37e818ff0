"""Filling a set without its customers' facts: they wait by anchor, and are put together once all events are in.

A customer that many batches touch would be read, decoded, encoded and written by each. While a set is filled nobody
reads it, so a batch writes what identity needs of a customer and folds its events in memory (`AnchoredFacts`); what is
held goes to `fill_facts` when it is much, and when partitions are given up, with the positions that it is of. A worker
that is killed leaves positions that nothing covers: then the timeline is folded in the end, which takes longer and says
the same (`finishing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from customer_timeline.projections.anchored import AnchoredFacts
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.journal import Assignment, Span
from customer_timeline.projections.postgres.copy_text import boolean_array, copy_rows, optional, uuid_array
from customer_timeline.projections.postgres.customer_store import unchanged
from customer_timeline.projections.postgres.identity_decision import Settlement
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.postgres.timeline_store import Stored
from customer_timeline.schemas.decoded import DecodedEvent

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

MOST_ANCHORS: Final = 50_000
"""Held in memory by one worker: about 300 MB."""


class Deferral:
    """What one worker holds back. A batch calls `begin`, `stored` for each part that Postgres took, and `passed` once
    it is committed; whatever was stored without that is forgotten.
    """

    def __init__(self, projection: CustomerProjection) -> None:
        self.sql: Final = named_queries("filling.sql")
        self._facts = AnchoredFacts(projection)
        self._pending: list[Stored] = []
        self._spans: dict[tuple[str, int], tuple[int, int]] = {}
        self._ended: list[tuple[str, int, int, int]] = []

    def concerns(self, cursor: Cursor) -> bool:
        """Whether facts wait in the set that `cursor` leads to: those of others are written with each batch."""
        cursor.execute(self.sql["has_tables"])
        (there,) = cursor.fetchone() or (False,)
        return bool(there)

    def assigned(self, topic: str, assignments: Iterable[Assignment]) -> None:
        """From here on positions of these partitions are this worker's."""
        for one in assignments:
            self._end((topic, one.partition))
            self._spans[topic, one.partition] = one.next_offset, one.next_offset

    def begin(self) -> None:
        """Another batch, or the same once more."""
        self._pending.clear()

    def stored(self, stored: Stored) -> None:
        """A part of the batch is written."""
        self._pending.append(stored)

    def passed(self, topic: str, spans: Mapping[int, Span]) -> None:
        """The batch is committed."""
        for stored in self._pending:
            self._facts.add(stored.new)
            for replacement in stored.replaced:
                anchors = (replacement.before.anchor_id, replacement.event.anchor_id)
                self._facts.spoil(anchor_id for anchor_id in anchors if anchor_id is not None)
        self._pending.clear()
        for part, span in spans.items():
            since, _ = self._spans.get((topic, part), (span.expected, span.expected))
            self._spans[topic, part] = since, span.until

    @property
    def full(self) -> bool:
        """Whether more is held than should be."""
        return len(self._facts) >= MOST_ANCHORS

    def flush(self, cursor: Cursor) -> None:
        """Write all that is held, in the transaction of `cursor`; where that fails, its positions are uncovered."""
        for key in list(self._spans):
            self._end(key)
        ended, self._ended = self._ended, []
        rows = [
            f"{anchor_id}\t{optional(None if facts is None else facts.decode())}"
            for anchor_id, facts in self._facts.take()
        ]
        if rows:
            copy_rows(cursor, self.sql["copy_facts"], rows)
        if ended:
            topics, parts, since, until = (list(column) for column in zip(*ended, strict=True))
            cursor.execute(self.sql["cover"], {"topics": topics, "parts": parts, "since": since, "until": until})

    def _end(self, key: tuple[str, int]) -> None:
        since, until = self._spans.get(key, (0, 0))
        if until > since:
            self._ended.append((*key, since, until))
            self._spans[key] = until, until


class UnfinishedCustomers:
    """Stands in for `CustomerStore` while facts wait: writes the customers that identity changed, without facts."""

    def __init__(self, cursor: Cursor, sql: Mapping[str, str], deferral: Deferral) -> None:
        self._cursor = cursor
        self._delete = sql["delete_customers"]
        self._write = deferral.sql["write_unfinished"]

    def write(self, settlement: Settlement, events: Mapping[str, Sequence[DecodedEvent]], now_us: int) -> int:
        """As `CustomerStore.write`."""
        if settlement.deleted:
            self._cursor.execute(self._delete, {"ids": uuid_array(settlement.deleted)})
        changed = [plan for plan in settlement.plans.values() if not unchanged(plan)]
        if changed:
            self._cursor.execute(
                self._write,
                {
                    "ids": uuid_array(plan.customer_id for plan in changed),
                    "gens": [plan.gen for plan in changed],
                    "contested": boolean_array(plan.contested for plan in changed),
                },
            )
        return len(changed)

    def clear(self) -> None:
        """Nothing is put aside."""
