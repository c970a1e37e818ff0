"""Importing a table: every row becomes events, is checked as the projector will check it, and published or set apart.

The command `import` calls this. It knows rows, not files, and a publisher, not Kafka. A row counts as a whole: where
one of its events is not valid none of them is published, so that the mended row can be imported like a new one.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

from customer_timeline.producers.protocol import Publisher
from customer_timeline.producers.tables.cells import Row
from customer_timeline.producers.tables.errors import RejectedRow, Rejection
from customer_timeline.producers.tables.plan import RowPlan
from customer_timeline.producers.tables.report import Accepted, ImportReport
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason

# After so many rows it is waited for Kafka, which takes about as long as one of its answers, and saved how far it is.
SAVE_EVERY_ROWS: Final = 10_000
_NUL: Final = b"\\u0000"


class TableImport:
    """One run. `published_rows` says of how many rows everything was handed to the publisher."""

    def __init__(
        self,
        plan: RowPlan,
        codec: Codec,
        publisher: Publisher | None,
        report: ImportReport,
        *,
        reject: Callable[[Row, Rejection], None],
        now: Callable[[], datetime],
        save: Callable[[int], None] | None = None,
        published_before: int = 0,
    ) -> None:
        """Without a `publisher` it is a dry run.

        `save` is told now and then of how many rows everything is in the log. The first `published_before` rows are
        read, checked and counted, but not published again.
        """
        self._plan = plan
        self._codec = codec
        self._publisher = publisher
        self.report = report
        self._reject = reject
        self._now = now
        self._save = save
        self.published_before = published_before
        self.published_rows = 0

    def run(self, rows: Iterable[Row]) -> None:
        """Import everything. Returns when Kafka has acknowledged all; raises what the publisher raises."""
        with _few_collections():
            for row in rows:
                self._row(row)
                self.published_rows += 1
                if self.published_rows % SAVE_EVERY_ROWS == 0:
                    self._settle()
                    gc.collect(0)
            self._settle()

    def checked(self, row: Row) -> list[Accepted]:
        """The valid events of a row. Raises RejectedRow or InvalidEvent where one of them is none."""
        now = self._now()
        return [
            (number, _storable(self._codec.decode(value, appended_at=now), value), missing)
            for number, value, missing in self._plan.events(row)
        ]

    def _row(self, row: Row) -> None:
        report = self.report
        report.rows_read += 1
        try:
            events = self.checked(row)
        except (RejectedRow, InvalidEvent) as error:
            report.reject(row, error)
            self._reject(row, error)
            return
        report.accept(row.number, events)
        if self._publisher is not None and report.rows_read > self.published_before:
            for _, decoded, _ in events:
                self._publisher.publish(decoded)

    def _settle(self) -> None:
        if self._publisher is None:
            return
        self._publisher.flush()
        if self._save is not None and self.published_rows > self.published_before:
            self._save(self.published_rows)


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Within it the collector does not run by itself: rows make no cycles, and it would scan the codec's caches."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _storable(decoded: DecodedEvent, value: bytes) -> DecodedEvent:
    if _NUL in value and _holds_nul(decoded.data.model_dump()):
        detail = "expected no text with the character U+0000: Postgres cannot store it"
        raise InvalidEvent(RejectionReason.UNSTORABLE, detail, type=decoded.type)
    return decoded


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_holds_nul, value.values())) or any(map(_holds_nul, value))
    return isinstance(value, list | tuple) and any(map(_holds_nul, value))
