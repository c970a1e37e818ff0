"""Operations keep naming the same records when a restore moves them down."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from customer_timeline.runtime.backup.manifest import Segment, TopicBackup
from customer_timeline.runtime.backup.moves import Moves, Translated
from customer_timeline.schemas.operations import Operation, OperationPlace, decode_operation
from customer_timeline.streams.log_reader import LogRecord

# Partition 0 lacks 0 and 1, which were deleted, and 4, a marker; partition 1 has no gap, partition 2 no record.
THERE = {"a": [2, 3], "b": [5, 6, 7]}


def segment(file: str, partition: int, first: int, end: int, records: int) -> Segment:
    return Segment(
        file=f"log/{file}.zst",
        partition=partition,
        first=first,
        next=end,
        records=records,
        raw_bytes=0,
        bytes=0,
        sha256="",
    )


def read(found: Segment) -> Iterator[LogRecord]:
    """Only what has gaps is read."""
    assert found.partition == 0
    offsets = THERE["a" if found.first == 2 else "b"]
    return iter([LogRecord(0, offset, 0, None, b"", ()) for offset in offsets])


def moves() -> Moves:
    segments = (segment("0-2", 0, 2, 5, 2), segment("0-5", 0, 5, 8, 3), segment("0-0", 1, 0, 9, 9))
    return Moves({"log": TopicBackup(topic_id="x", partitions=3, config={}, segments=segments)}, read)


def place(partition: int, offset: int, topic: str = "log") -> OperationPlace:
    return OperationPlace(topic=topic, partition=partition, offset=offset)


def told(places: Sequence[OperationPlace]) -> LogRecord:
    operation = Operation(
        operation_id=uuid.UUID(int=1),
        kind="removed",
        operator="ops",
        reason="old",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
        places=tuple(places),
    )
    return LogRecord(0, 7, 1, None, operation.encode(), ())


def test_a_record_is_found_where_the_restore_put_it() -> None:
    found = [moves().of(place(0, offset)) for offset in range(9)]
    assert [one and one.offset for one in found] == [None, None, 0, 1, None, 2, 3, 4, None]
    assert [moves().of(place(1, offset)) for offset in (0, 8, 9)] == [place(1, 0), place(1, 8), None]
    assert moves().of(place(2, 0)) is None
    # What the backup does not hold is not moved by it.
    assert moves().of(place(0, 0, "other")) == place(0, 0, "other")


def test_operations_name_the_same_records_and_are_left_alone_where_nothing_moved() -> None:
    translated = Translated(moves())
    kept, broken = told([place(1, 3)]), LogRecord(0, 8, 1, None, b"no operation", ())
    gone, moved = told([place(0, 4)]), told([place(0, 6), place(0, 1), place(1, 3)])
    first, second, third = translated.records(iter([kept, broken, gone, moved]))
    assert (first, second) == (kept, broken)
    assert decode_operation(third.value).places == (place(0, 3), place(1, 3))
    assert (translated.renamed, translated.left_out) == (1, 1)
