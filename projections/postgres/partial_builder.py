"""Builds the partial states of long histories: the sweeper's part of them (ADR 0013 says why this is safe).

A span is *watched* first: under the lock of the customer that has its anchor, a hole is inserted. From then on every
worker that changes an event in the span renews the hole's `gen`. Then, with no lock at all, the span's events are read
and folded, and the hole is filled if its `gen` is still the one from before the reading. Nothing waits for a lock, so
a builder can be part of no deadlock; one that is killed leaves holes, which the next fills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.journal import Observer
from customer_timeline.projections.partials import LENGTHS, Lengths, Span, look_again_us, spans_to_fold
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.postgres.partial_store import MEND_AFTER_US, new_gen
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.postgres.sweeper_session import SweeperSession
from customer_timeline.projections.postgres.timeline_store import decode_stored
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_LEASE_US: Final = 60 * 1_000_000
"""Other builders leave a customer alone this long; whoever is killed comes back to it after that."""
_HOLES: Final = 200
"""Holes looked at in one turn, and spans watched in one transaction: a customer's lock is held for milliseconds."""
_PAGE: Final = 2_000
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"


class Built(NamedTuple):
    """What one turn did: spans watched, spans folded, and of how many events."""

    watched: int
    folded: int
    events: int


class _Hole(NamedTuple):
    anchor_id: str
    kind: str
    begins_at: datetime
    until_at: datetime


class _Claimed(NamedTuple):
    customer_id: str
    anchors: Sequence[str]
    holes: Sequence[_Hole]
    is_long: bool


class PartialBuilder:
    """One builder's connection; used by one thread at a time. `version`: tables of another are left alone.

    `between` is called between any two events; it may wait, for builders are in no hurry. `observer` is told the name
    of each step as it ends: `claimed`, `counted`, `watched`, `folded`, `filled`. `belongs`: see `SweeperSession`.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        codec: Codec,
        projection: CustomerProjection,
        *,
        version: str,
        lengths: Lengths = LENGTHS,
        between: Callable[[], object] = lambda: None,
        observer: Observer = lambda step: None,
        belongs: Callable[[Cursor], None] = lambda cursor: None,
    ) -> None:
        # A few anchors' rows are looked for in tables that hold everybody's: no plan but a walk along the index. A
        # commit that a crash undoes leaves a hole, or nothing watched; a worker's is never kept without those before.
        settings = {"jit": "off", "enable_seqscan": "off", "enable_bitmapscan": "off", "synchronous_commit": "off"}
        self._session = SweeperSession(connect, settings, belongs)
        self._codec = codec
        self._projection = projection
        self._version = version
        self._lengths = lengths
        self._between = between
        self._observer = observer
        self._sql = named_queries("partials.sql")

    def turn(self, now_us: int, events: int) -> Built | None:
        """Look after the customer that is due first; None where none is. About `events` are folded, at least one span.

        `now_us`: until when everything that the log recorded is applied, so that what ended some time before has
        settled.
        """
        claimed = self._claim(now_us)
        if claimed is None:
            return None
        self._observer("claimed")
        if claimed.holes:
            folded, read = self._fold(claimed.holes, events)
            # Nothing filled: somebody writes there just now.
            self._rest(claimed.customer_id, now_us, now_us if folded else now_us + MEND_AFTER_US)
            return Built(0, folded, read)
        if not claimed.is_long:
            self._rest(claimed.customer_id, now_us, None)
            return Built(0, 0, 0)
        spans = self._missing(claimed.anchors, now_us)
        self._observer("counted")
        watched = 0
        for start in range(0, len(spans), _HOLES):
            watched += self._watch(claimed.customer_id, spans[start : start + _HOLES], now_us)
        if not watched:
            settled_us = look_again_us(now_us, self._projection.calendar)
            self._rest(claimed.customer_id, now_us, now_us + MEND_AFTER_US if spans else settled_us)
        return Built(watched, 0, 0)

    def close(self) -> None:
        """Give the connection back; safe to call twice."""
        self._session.close()

    def _claim(self, now_us: int) -> _Claimed | None:
        """The customer that is due first, for as long as the lease lasts; None where none is."""
        with self._session.transaction() as cursor:
            cursor.execute(self._sql["read_version"])
            if cursor.fetchone() != (self._version,):
                return None
            cursor.execute(self._sql["lock_due"], {"now": now_us})
            for (customer_id,) in cursor.fetchall():
                cursor.execute(self._sql["read_due"], {"customer": customer_id, "now": now_us})
                for (length,) in cursor.fetchall():
                    anchors = self._anchors(cursor, customer_id)
                    cursor.execute(self._sql["holes"], {"anchors": uuid_array(anchors), "limit": _HOLES})
                    holes = [_Hole(*row) for row in cursor.fetchall()]
                    self._note(cursor, customer_id, None, now_us + _LEASE_US)
                    return _Claimed(customer_id, anchors, holes, length >= self._lengths.history)
        return None

    def _anchors(self, cursor: Cursor, customer_id: str) -> list[str]:
        cursor.execute(self._sql["anchors"], {"customer": customer_id})
        return [anchor_id for (anchor_id,) in cursor.fetchall()]

    def _note(self, cursor: Cursor, customer_id: str, until_us: int | None, due_us: int | None) -> None:
        cursor.execute(self._sql["note"], {"customer": customer_id, "until": until_us, "due": due_us})

    def _missing(self, anchors: Sequence[str], now_us: int) -> list[tuple[str, Span]]:
        """Spans that should be folded and are not watched yet; nothing is locked meanwhile."""
        with self._session.transaction() as cursor:
            cursor.execute(self._sql["uncovered"], {"anchors": uuid_array(anchors)})
            uncovered: dict[str, dict[int, int]] = {}
            for anchor_id, day, events in cursor.fetchall():
                uncovered.setdefault(anchor_id, {})[day] = events
        return [
            (anchor_id, span)
            for anchor_id, by_day in uncovered.items()
            for span in spans_to_fold(by_day, now_us, self._projection.calendar, self._lengths)
        ]

    def _watch(self, customer_id: str, spans: Sequence[tuple[str, Span]], now_us: int) -> int:
        """Insert holes, under the customer's lock: whoever writes an event of its anchors has finished, or will see
        them. Returns how many.
        """
        with self._session.transaction() as cursor:
            cursor.execute(self._sql["lock_customer"], {"customer": customer_id})
            if cursor.fetchone() is None:
                return 0
            # A new statement: what has become the customer's, or another's, until the lock was granted.
            mine = set(self._anchors(cursor, customer_id))
            wanted = [(anchor_id, span) for anchor_id, span in spans if anchor_id in mine]
            if not wanted:
                return 0
            cursor.execute(
                self._sql["insert_holes"],
                {
                    "anchor_id": uuid_array(anchor_id for anchor_id, _ in wanted),
                    "span": [span.kind for _, span in wanted],
                    "begins_at": [from_micros(span.begins_us) for _, span in wanted],
                    "until_at": [from_micros(span.until_us) for _, span in wanted],
                    "gen": [new_gen() for _ in wanted],
                },
            )
            watched = cursor.rowcount
            self._note(cursor, customer_id, max(span.until_us for _, span in wanted), now_us)
        self._observer("watched")
        return watched

    def _fold(self, holes: Iterable[_Hole], events: int) -> tuple[int, int]:
        """Fill holes until about `events` are folded. Returns how many holes, and events."""
        filled = read = 0
        for hole in holes:
            was_filled, folded = self._fill(hole)
            filled += was_filled
            read += folded
            if read >= events:
                break
        return filled, read

    def _fill(self, hole: _Hole) -> tuple[bool, int]:
        key = {"anchor": hole.anchor_id, "span": hole.kind, "begins": hole.begins_at}
        with self._session.transaction() as cursor:
            cursor.execute(self._sql["read_hole"], key)
            row = cursor.fetchone()
            if row is None:
                return False, 0
            key["gen"] = row[0]
            facts = self._projection.initial()
            recorded: list[datetime] = []
            # Later statements than the one that read the gen: an event that they miss renews it.
            for event in self._events(cursor, hole):
                self._projection.apply(facts, event)
                recorded.append(event.recorded_at)
                self._between()
            self._observer("folded")
            cursor.execute(self._sql["lock_hole"], key)
            if cursor.fetchone() is None:
                return False, len(recorded)
            encoded = self._projection.encode(facts).decode()
            bounds = {"first": min(recorded, default=None), "last": max(recorded, default=None)}
            cursor.execute(self._sql["fill_hole"], {**key, **bounds, "facts": encoded, "events": len(recorded)})
        self._observer("filled")
        return True, len(recorded)

    def _events(self, cursor: Cursor, hole: _Hole) -> Iterator[DecodedEvent]:
        after: tuple[datetime, str] = (hole.begins_at, _FIRST_ID)
        while True:
            parameters = {"anchor": hole.anchor_id, "after": after[0], "after_id": after[1], "until": hole.until_at}
            cursor.execute(self._sql["page"], {**parameters, "limit": _PAGE})
            rows = cursor.fetchall()
            for value, recorded_at, _, _ in rows:
                yield decode_stored(self._codec, value, recorded_at)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][2], rows[-1][3])

    def _rest(self, customer_id: str, now_us: int, due_us: int | None) -> None:
        """Say when to come again; None: never. Where somebody holds the customer, that is when the lease ends."""
        with self._session.transaction() as cursor:
            cursor.execute(self._sql["lock_customer"], {"customer": customer_id})
            if cursor.fetchone() is None:
                return
            anchors = self._anchors(cursor, customer_id)
            cursor.execute(self._sql["holes"], {"anchors": uuid_array(anchors), "limit": 1})
            # A worker opened one since, and left the appointment where the lease had put it.
            opened = due_us != now_us and cursor.fetchone() is not None
            self._note(cursor, customer_id, None, now_us + MEND_AFTER_US if opened else due_us)
