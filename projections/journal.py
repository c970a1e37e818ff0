"""What the projector asks of a store: take a batch whole, exactly once, or say why not. Protocol and values only.

`streams` calls it, `projections.postgres.journal` implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from customer_timeline.schemas.decoded import EPOCH, DecodedEvent
from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent

Observer = Callable[[str], None]


class FetchedRecord(Protocol):
    """A record as a consumer hands it over (aiokafka's `ConsumerRecord`). `timestamp`: append time in milliseconds."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Record(NamedTuple):
    """One record as it stands in the log."""

    partition: int
    position: int
    appended_at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, raw: FetchedRecord) -> Record:
        """What a consumer handed over, kept."""
        return cls(raw.partition, raw.offset, appended_at(raw), raw.key, raw.value, tuple(raw.headers))


def appended_at(raw: FetchedRecord) -> datetime:
    """When the log took the record in; Kafka says so in whole milliseconds."""
    return EPOCH + timedelta(milliseconds=raw.timestamp)


class Placed(NamedTuple):
    """A decoded event and the record that it was read from."""

    event: DecodedEvent
    raw: FetchedRecord


# As the constructor, which is a Python frame each time.
as_placed: Final[Callable[[tuple[DecodedEvent, FetchedRecord]], Placed]] = partial(tuple.__new__, Placed)


class Rejected(NamedTuple):
    """A record that is no event, and why: a dead letter."""

    record: Record
    error: InvalidEvent


class Span(NamedTuple):
    """Positions of one partition that a batch covers: `expected` inclusive, `until` exclusive. `appended_at`: when the
    log took its last record in.
    """

    expected: int
    until: int
    appended_at: datetime


class Batch(NamedTuple):
    """Records of one topic, in offset order within each partition. `idle`: partitions in which nothing waits once the
    batches before are applied, and when that was so.
    """

    topic: str
    placed: Sequence[Placed]
    rejected: Sequence[Rejected]
    spans: Mapping[int, Span]
    idle: Mapping[int, datetime] = MappingProxyType({})

    @property
    def records(self) -> int:
        """How many records it covers."""
        return len(self.placed) + len(self.rejected)

    @property
    def appended_at(self) -> datetime:
        """When the log took its last record in."""
        return max(span.appended_at for span in self.spans.values())


class Assignment(NamedTuple):
    """Where to go on in one partition, and the epoch that fences off whoever held it before."""

    partition: int
    next_offset: int
    epoch: int


class Applied(NamedTuple):
    """What a batch did, for metrics."""

    events: int
    duplicates: int
    replaced: int
    dead_letters: Mapping[str, int]
    customers: int
    step_seconds: Mapping[str, float]


class StorageError(CustomerTimelineError):
    """The store could not take a batch."""


class TransientStorageError(StorageError):
    """The store is away or busy; the same batch may succeed later. Retry with back-off."""


class UnstorableRecordError(StorageError):
    """The store refuses some record's content; halve the batch to find it."""


class FencedError(StorageError):
    """Another worker holds this partition now, or it has moved on; nothing was written. Rejoin."""


class RefusedError(StorageError):
    """The tables or the log are not the ones this worker knows; it must stop and say how to go on."""


class UnforeseenError(CustomerTimelineError):
    """An error that nobody thought of stopped the worker; the message says how to go on."""


class Journal(Protocol):
    """The store of timeline and views, as the projector sees it. One instance per worker thread, not shared."""

    def assign(self, topic: str, topic_id: str | None, partitions: Sequence[int]) -> Mapping[int, Assignment]:
        """Take the partitions over: end the previous holder, raise the epoch, say where to go on."""

    def apply(self, batch: Batch) -> Applied:
        """Write the batch and its offsets in one transaction: all of it, or nothing and an error."""

    def release(self, topic: str) -> None:
        """Give partitions up in peace: their next holder need not end this worker's connection."""

    def close(self) -> None:
        """Give the connection back; safe to call twice."""
