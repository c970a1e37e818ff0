"""Old dead letters: into a file, and only then out of the tables, by an operation in the log. ADR 0019.

A file is `pending` from when it is whole on disk until what it holds is removed. Whoever comes next, after a crash
too, goes on with a pending file before anything else is exported. Its name holds the id of its operation, and no step
is taken before all operations are applied, so the tables say whether that one is in the log. Nothing is removed that is
in no file, and nothing is in two.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from customer_timeline.producers.operations import OperationsLog
from customer_timeline.projections.dead_letters import DeadLetterPlace
from customer_timeline.projections.journal import Observer
from customer_timeline.projections.retention import DeadLetterKeeping
from customer_timeline.runtime.backup.errors import AnotherRunError
from customer_timeline.runtime.backup.manifest import sole_use
from customer_timeline.runtime.backup.segments import sync_folder
from customer_timeline.runtime.exporting import PART, cutoff, exporting, read_export
from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.lag import end_of
from customer_timeline.schemas.operations import MAX_PLACES, Operation, OperationPlace
from customer_timeline.streams.retention import Kept

OPERATOR: Final = "retention"
_OURS: Final = "dead-letters-*.ndjson"
_PENDING: Final = ".pending"
_ID_LENGTH: Final = 36
_AT_ONCE: Final = 50  # whole records in memory: each may have a megabyte


@dataclass(frozen=True)
class OperationsTopic:
    """The topic of operations. It is asked and appended to seldom, so nothing stays connected."""

    bootstrap: str
    topic: str

    def end(self) -> int:
        """The position that the next operation gets. Raises LagUnknownError."""
        return end_of(self.bootstrap, self.topic)

    def append(self, operation: Operation) -> None:
        """Return once it is in the log. Raises PublishError."""
        with OperationsLog(self.bootstrap, self.topic) as log:
            log.append(operation)


@dataclass
class Retaining:
    """Implements `streams.retention.Keeper`. `observe` is told `letters_exported` and `letters_told` as they happen."""

    folder: Path
    keep_days: int
    keeping: DeadLetterKeeping
    operations: OperationsTopic
    now: Callable[[], datetime]
    observe: Observer = lambda step: None

    def step(self) -> Kept:
        """See `Keeper.step`."""
        try:
            if not self.keeping.hold():
                return Kept(0, more=False)
            with sole_use(self.folder):
                return self._step()
        except AnotherRunError:
            return Kept(0, more=False)
        finally:
            self.keeping.close()

    def _step(self) -> Kept:
        for unfinished in self.folder.glob(f"{_OURS}{_PENDING}{PART}"):
            _removed(unfinished)
        until = cutoff(self.now(), self.keep_days)
        pending = min(self.folder.glob(f"{_OURS}{_PENDING}"), default=None)
        if pending is None and not self.keeping.oldest(until, 1):
            return Kept(0, more=False)
        if self.keeping.applied_until(self.operations.topic) < self.operations.end():
            # Some of them may be removed by what is not applied yet: they would be removed, or exported, twice.
            return Kept(0, more=True, waits=True)
        exported = 0
        if pending is None:
            pending, exported = self._export(self.keeping.oldest(until, MAX_PLACES))
            self.observe("letters_exported")
        self._go_on(pending)
        return Kept(exported, more=True)

    def _export(self, places: Sequence[DeadLetterPlace]) -> tuple[Path, int]:
        stamp = self.now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        pending = self.folder / f"dead-letters-{stamp}-{uuid.uuid4()}.ndjson{_PENDING}"
        exported = 0
        with exporting(pending) as add:
            for start in range(0, len(places), _AT_ONCE):
                for letter in self.keeping.letters(places[start : start + _AT_ONCE]):
                    add(letter)
                    exported += 1
        return pending, exported

    def _go_on(self, pending: Path) -> None:
        """Ask for the removal of what the file holds; where that was done, give the file its name."""
        final = pending.with_suffix("")
        operation_id = final.stem[-_ID_LENGTH:]
        if not self.keeping.is_applied(operation_id):
            places = self.keeping.stored([(one.place, one.sha256) for one in read_export(pending)])
            if places:
                self.operations.append(self._removal(operation_id, places, final))
                self.observe("letters_told")
                return
        _named(pending, final)

    def _removal(self, operation_id: str, places: Sequence[DeadLetterPlace], file: Path) -> Operation:
        return Operation(
            operation_id=uuid.UUID(operation_id),
            kind="removed",
            operator=OPERATOR,
            reason=f"older than {self.keep_days} days, exported to {file.name}",
            decided_at=self.now(),
            places=tuple(OperationPlace(topic=t, partition=p, offset=o) for t, p, o in places),
        )


def _named(pending: Path, final: Path) -> None:
    try:
        if final.exists():
            raise FileUnusable("write", str(final), "it exists already, and an export is never replaced")
        pending.rename(final)
        sync_folder(final.parent)
    except OSError as exc:
        raise FileUnusable.because("write", final, exc) from exc


def _removed(unfinished: Path) -> None:
    try:
        unfinished.unlink()
    except OSError as exc:
        raise FileUnusable.because("remove", unfinished, exc) from exc
