"""Where records of a backup stand after a restore, and operations that name them by it.

Markers of transactions and deleted records are positions without a record; a restore does not make them again, so later
records move down. An operation that went on naming the old position would remove, discard or replace another record.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from customer_timeline.runtime.backup.manifest import Segment, TopicBackup
from customer_timeline.schemas.operations import InvalidOperationError, OperationPlace, decode_operation
from customer_timeline.streams.log_reader import LogRecord

ReadSegment = Callable[[Segment], Iterator[LogRecord]]


class _Run(NamedTuple):
    """Records that stood at `first` and the `records` - 1 positions behind it, and stand at `now` and behind it."""

    first: int
    now: int
    records: int


class Moves:
    """The records of the topics of a backup. Segments are read only of partitions with gaps, when first asked for."""

    def __init__(self, topics: Mapping[str, TopicBackup], read: ReadSegment) -> None:
        self._topics = topics
        self._read = read
        self._runs: dict[tuple[str, int], list[_Run]] = {}

    def of(self, place: OperationPlace) -> OperationPlace | None:
        """Where the record stands after a restore; None where the backup holds none there."""
        if place.topic not in self._topics:
            return place
        key = (place.topic, place.partition)
        if key not in self._runs:
            self._runs[key] = self._runs_of(*key)
        runs = self._runs[key]
        index = bisect_right(runs, place.offset, key=lambda run: run.first) - 1
        if index < 0 or place.offset >= runs[index].first + runs[index].records:
            return None
        return place.model_copy(update={"offset": place.offset - runs[index].first + runs[index].now})

    def _runs_of(self, topic: str, partition: int) -> list[_Run]:
        segments = self._topics[topic].of(partition)
        if not segments:
            return []
        first, end, records = segments[0].first, segments[-1].next, sum(segment.records for segment in segments)
        if end - first == records:
            return [_Run(first, 0, records)]
        runs: list[_Run] = []
        for now, record in enumerate(record for segment in segments for record in self._read(segment)):
            if runs and record.offset == runs[-1].first + runs[-1].records:
                runs[-1] = runs[-1]._replace(records=runs[-1].records + 1)
            else:
                runs.append(_Run(record.offset, now, 1))
        return runs


class Translated:
    """Records of the topic of operations, as they are after a restore; counts those that it changed and left out."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves
        self.renamed = 0
        self.left_out = 0

    def records(self, records: Iterator[LogRecord]) -> Iterator[LogRecord]:
        """Those that name a record of the backup, or are no operations; the bytes only differ where a place does."""
        for record in records:
            found = self._translated(record)
            if found is not None:
                yield found

    def _translated(self, record: LogRecord) -> LogRecord | None:
        try:
            operation = decode_operation(record.value)
        except InvalidOperationError:
            return record  # a worker says so, in the restored log as in this one
        places = tuple(place for place in map(self._moves.of, operation.places) if place is not None)
        if places == operation.places:
            return record
        if not places:
            self.left_out += 1
            return None
        self.renamed += 1
        return record._replace(value=operation.model_copy(update={"places": places}).encode())
