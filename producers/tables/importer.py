"""Importing a table: every row becomes events, is checked as the projector will check it, and published or set apart.

The command `import` calls this. It knows rows, not files, and a publisher, not Kafka. A row counts as a whole: where
one of its events is not valid none of them is published, so that the mended row can be imported like a new one.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from customer_timeline.producers.protocol import Publisher
from customer_timeline.producers.tables.cells import Row
from customer_timeline.producers.tables.errors import RejectedRow, Rejection
from customer_timeline.producers.tables.plan import Made, RowPlan
from customer_timeline.producers.tables.report import Accepted, ImportReport
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent, RejectionReason

# After so many rows it is waited for Kafka, which takes about as long as one of its answers, and saved how far it is.
SAVE_EVERY_ROWS: Final = 10_000
# One step for so many rows, then the next step: each finds the processor's caches as it left them, and the collector
# off, that is a third of the time (43 instead of 62 µs a row).
BATCH_ROWS: Final = 64
_NUL: Final = b"\\u0000"


class TableImport:
    """One run, with a publisher of its own."""

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
        # Rows that are done, the events that they gave, and the events of the row at hand: one value, because Ctrl-C
        # may come between any two.
        self._done = (0, 0, 0)
        self._accepted_before = 0 if publisher is None else publisher.counts.accepted

    @property
    def published_rows(self) -> int:
        """Of how many rows everything was handed to the publisher; exact wherever Ctrl-C came."""
        rows, events, at_hand = self._done
        if self._publisher is None or not at_hand:
            return rows
        return rows + (self._publisher.counts.accepted - self._accepted_before == events + at_hand)

    def run(self, rows: Iterator[Row]) -> None:
        """Import everything. Returns when Kafka has acknowledged all; raises what the publisher raises."""
        saved = 0
        with _few_collections():
            while batch := list(islice(rows, BATCH_ROWS)):
                for row, outcome in zip(batch, self._outcomes(batch), strict=True):
                    self._account(row, outcome)
                if self.published_rows - saved >= SAVE_EVERY_ROWS:
                    self._settle()
                    saved = self.published_rows
            self._settle()

    def checked(self, row: Row) -> list[Accepted]:
        """The valid events of a row. Raises RejectedRow or InvalidEvent where one of them is none."""
        (outcome,) = self._outcomes([row])
        if isinstance(outcome, CustomerTimelineError):
            raise outcome
        return outcome

    def _outcomes(self, batch: Sequence[Row]) -> list[list[Accepted] | Rejection]:
        planned = [self._planned(row) for row in batch]
        now = self._now()
        return [made if isinstance(made, RejectedRow) else self._decoded(made, now) for made in planned]

    def _planned(self, row: Row) -> list[Made] | RejectedRow:
        try:
            return self._plan.events(row)
        except RejectedRow as error:
            return error

    def _decoded(self, made: list[Made], now: datetime) -> list[Accepted] | InvalidEvent:
        decode = self._codec.decode
        try:
            return [
                (event, _storable(decode(value, appended_at=now), value), missing) for event, value, missing in made
            ]
        except InvalidEvent as error:
            return error

    def _account(self, row: Row, outcome: list[Accepted] | Rejection) -> None:
        report = self.report
        report.rows_read += 1
        rows, events, _ = self._done
        if isinstance(outcome, list):
            report.accept(row.number, outcome)
            if self._publisher is not None and report.rows_read > self.published_before:
                self._done = (rows, events, len(outcome))
                for _, decoded, _ in outcome:
                    self._publisher.publish(decoded)
                events += len(outcome)
        else:
            report.reject(row, outcome)
            self._reject(row, outcome)
        self._done = (rows + 1, events, 0)

    def _settle(self) -> None:
        gc.collect(0)
        if self._publisher is None:
            return
        self._publisher.flush()
        if self._save is not None and self.published_rows > self.published_before:
            self._save(self.published_rows)


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Within it the collector does not run by itself: rows leave no cycles, and it would scan the codec's caches."""
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
