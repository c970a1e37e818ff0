"""What operators decide about dead letters, applied to the tables: states, and records that become events after all.

A record that is read again takes the way of every other: it is decoded with the time at which the log took it in, and
stored at its own place. States do not depend on the order of events, so one that comes late makes no difference. See
ADR 0015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from customer_timeline.projections.dead_letters import read_again
from customer_timeline.projections.journal import Batch, Placed, Span, TransientStorageError
from customer_timeline.projections.operations import OperationApplied, OperationRecord
from customer_timeline.projections.postgres.batch_outcome import Outcome
from customer_timeline.projections.postgres.journal import PostgresJournal, Session
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.postgres.timeline_store import arrivals_of
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason
from customer_timeline.schemas.operations import InvalidOperationError, Operation, OperationPlace, decode_operation

if TYPE_CHECKING:
    Row = tuple[Any, ...]

_STATES: Final = {"discarded": "discarded", "edited": "replaced", "removed": "removed"}


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record of the log as its dead letter keeps it: what a consumer would hand over. `timestamp`: milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def of(cls, topic: str, place: tuple[int, int], appended_at: datetime, content: Row) -> StoredRecord:
        """From the columns of a dead letter; `content`: key, value, headers as JSON."""
        key, value, headers = content
        pairs = tuple((name, bytes.fromhex(inner)) for name, inner in orjson.loads(headers))
        stamp = to_micros(appended_at) // 1000
        return cls(topic, *place, stamp, _bytes(key), _bytes(value), pairs)


class _Failure(NamedTuple):
    record: StoredRecord
    error: InvalidEvent


class OperationsJournal(PostgresJournal):
    """Implements `projections.operations.OperationsStore`; to the tables it is one more worker, without partitions."""

    _operations: Mapping[str, str] | None = None

    def next_offset(self, topic: str) -> int:
        """See `OperationsStore.next_offset`."""
        with self._transaction() as session:
            session.cursor.execute(self._statements["read_offset"], {"topic": topic})
            found = session.cursor.fetchone()
        return int(found[0]) if found else 0

    def operate(self, record: OperationRecord) -> OperationApplied | None:
        """See `OperationsStore.operate`."""
        self._memory.clear()  # seldom used, so nothing that it remembers is worth a doubt
        self._seconds = {}
        with self.turns.computing(), self._transaction() as session:
            if not self._first(session, record):
                return None
            self._step("begun")
            applied, operation = self._apply_operation(session, record)
            session.cursor.execute(self._statements["write_operation"], _told(record, applied, operation))
            self._step("written")
        self._step("committed")
        return applied

    @property
    def _statements(self) -> Mapping[str, str]:
        if self._operations is None:
            self._operations = named_queries("operations.sql")
        return self._operations

    def _first(self, session: Session, record: OperationRecord) -> bool:
        at = {"topic": record.topic, "position": record.position, "version": self._version}
        session.cursor.execute(self._statements["create_offset"], at)
        session.cursor.execute(self._statements["advance"], at)
        if session.cursor.fetchone():
            return True
        session.cursor.execute(self._statements["written_by"])
        if (self._version,) != session.cursor.fetchone():
            raise TransientStorageError("No worker of this projection version has written the tables yet.")
        return False

    def _apply_operation(self, session: Session, record: OperationRecord) -> tuple[OperationApplied, Operation | None]:
        try:
            operation = decode_operation(record.value)
        except InvalidOperationError as error:
            return OperationApplied("unknown", 0, refused=error.problem), None
        count = len(operation.places)
        if operation.kind == "retried":
            healed, failed = self._retry(session, operation.places, record)
            return OperationApplied(operation.kind, count, healed, failed), operation
        if operation.kind == "corrected":
            return OperationApplied(operation.kind, count), operation
        decided = {
            **_places(operation.places),
            "state": _STATES[operation.kind],
            "operator": operation.operator,
            "reason": operation.reason,
            "event_id": None if operation.event_id is None else str(operation.event_id),
            "at": record.appended_at,
            "operation": record.position,
        }
        session.cursor.execute(self._statements["decide"], decided)
        if operation.kind != "removed":
            return OperationApplied(operation.kind, count), operation
        newly = session.cursor.rowcount
        session.cursor.execute(self._statements["remove_letters"], decided)
        return OperationApplied(operation.kind, count, removed=newly), operation

    # -- reading again ------------------------------------------------------------------------------------------------

    def _retry(self, session: Session, places: Sequence[OperationPlace], operation: OperationRecord) -> tuple[int, int]:
        """Make events of the dead letters among the records; how many, and how many still are none."""
        session.cursor.execute(self._statements["lock_letters"], _places(places))
        placed: list[Placed] = []
        failures: list[_Failure] = []
        for topic, part, position, recorded_at, *content, _ in session.cursor.fetchall():
            record = StoredRecord.of(topic, (part, position), recorded_at, tuple(content))
            try:
                placed.append(Placed(read_again(self._codec, record.value, content[2], recorded_at), record))
            except InvalidEvent as error:
                failures.append(_Failure(record, error))
        failures += self._store_again(session, placed, operation)
        for failure in failures:
            self._mark_failed(session, failure)
        failed = {id(failure.record) for failure in failures}
        healed = [one.raw for one in placed if id(one.raw) not in failed]
        at = _places([_place(one) for one in healed])
        session.cursor.execute(self._statements["mark_healed"], {**at, "at": operation.appended_at})
        return len(healed), len(failures)

    def _store_again(self, session: Session, placed: Sequence[Placed], operation: OperationRecord) -> list[_Failure]:
        """Store events as a batch is stored; those that Postgres refuses are returned."""
        if not placed:
            return []
        # The offsets are not the log's to move: the span only says what time it is.
        span = Span(operation.position, operation.position + 1, operation.appended_at)
        batch = Batch(operation.topic, placed, (), {0: span})
        arrivals, duplicates = arrivals_of(placed, self._codec.canonical_hash)
        outcome = Outcome(duplicates=duplicates)
        self._store(session, arrivals, batch, outcome)
        self._announce(session, outcome, batch)
        refused = dict(outcome.unstorable)
        return [
            _Failure(_stored(raw), InvalidEvent(RejectionReason.UNSTORABLE, refused[event.event_id], type=event.type))
            for event, raw in placed
            if event.event_id in refused
        ]

    def _mark_failed(self, session: Session, failure: _Failure) -> None:
        record, error = failure
        session.cursor.execute(
            self._statements["mark_failed"],
            {
                "topic": record.topic,
                "part": record.partition,
                "position": record.offset,
                "reason": str(error.reason),
                "error": str(error).replace("\x00", "\\u0000"),
                "type": error.type.replace("\x00", "") if error.type else None,
            },
        )


def _stored(raw: object) -> StoredRecord:
    if not isinstance(raw, StoredRecord):
        raise TypeError("the record does not come from a dead letter")
    return raw


def _place(raw: object) -> OperationPlace:
    record = _stored(raw)
    return OperationPlace(topic=record.topic, partition=record.partition, offset=record.offset)


def _places(places: Sequence[OperationPlace]) -> dict[str, object]:
    return {
        "topics": [place.topic for place in places],
        "parts": [place.partition for place in places],
        "positions": [place.offset for place in places],
    }


def _told(record: OperationRecord, applied: OperationApplied, operation: Operation | None) -> dict[str, object]:
    return {
        "topic": record.topic,
        "position": record.position,
        "operation_id": None if operation is None else str(operation.operation_id),
        "kind": applied.kind,
        "operator": "" if operation is None else operation.operator,
        "reason": "" if operation is None else operation.reason,
        "event_id": None if operation is None or operation.event_id is None else str(operation.event_id),
        "at": record.appended_at,
        "records": applied.records,
        "healed": applied.healed,
        "failed": applied.failed,
        "removed": applied.removed,
        "refused": applied.refused,
    }


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
