"""The first step: a partition of the log into its spool. Runs in a process of its own, for one partition at a time."""

from __future__ import annotations

import gc
import time
from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from customer_timeline.projections.choosing import NOWHERE, pack_entry
from customer_timeline.projections.records import bytes_hash
from customer_timeline.projections.selection import RETRACTION, Selection
from customer_timeline.runtime.replay.garbage import uncollected
from customer_timeline.runtime.replay.lines import one_line, wrapped
from customer_timeline.runtime.replay.names import Names
from customer_timeline.runtime.replay.spool import PartitionSpool, pack_line
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, Head, from_micros, to_micros
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.storable import is_storable, refuse_unstorable
from customer_timeline.streams.decoding import recorded_header
from customer_timeline.streams.log_reader import LogReader, LogRecord

_CHECKPOINT_S: Final = 2.0
_COLLECT_S: Final = 15.0
# So many accepted records are remembered by their bytes: a channel that sends again does so soon.
_REMEMBERED: Final = 50_000

Details = Literal["none", "lines", "columns"]
"""What is noted of an event beside its bytes: nothing, what it takes to decode it again, or its columns."""


class Keeper(Protocol):
    """Makes the details of events; they may wait, for there to be more of them together."""

    def add(self, event: DecodedEvent, offset: int, recorded_us: int, start: int, length: int) -> None:
        """Take an event that is asked for; when it was recorded, where its line begins in the spool, and how long it
        is."""
        ...

    def ready(self) -> Iterable[bytes | memoryview]:
        """What can be written by now."""
        ...

    def rest(self) -> Iterable[bytes | memoryview]:
        """What still waits."""
        ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one partition is to give. `records`: as the log is, instead of what counts. `rate`: records a second.
    `names`: note of each record that has a say whom and what it names. `buckets`: parts of the index."""

    folder: Path
    partition: int
    first: int
    until: int
    selection: Selection
    records: bool
    rate: float | None
    details: Details
    buckets: int
    names: bool = False


Told = Callable[[int], None]
"""Told how many positions of the stretch are behind, now and then."""


def read_stretch(stretch: Stretch, reader: LogReader, codec: Codec, told: Told, stopped: Callable[[], bool]) -> bool:
    """Go on with the partition until its end, or until `stopped` says so. True where the end was reached.

    Raises what the reader raises; what was noted until then stays.
    """
    spool = PartitionSpool(stretch.folder, stretch.partition, stretch.first, stretch.buckets)
    try:
        told(spool.note.next_offset - stretch.first)
        if not spool.note.done:
            _go_on(stretch, spool, reader, codec, told, stopped)
        return spool.note.done
    finally:
        spool.close()


class _Stopped(Exception):  # noqa: N818 - no error: the reading is left where it is
    """Somebody asked for the end."""


def _go_on(
    stretch: Stretch,
    spool: PartitionSpool,
    reader: LogReader,
    codec: Codec,
    told: Told,
    stopped: Callable[[], bool],
) -> None:
    taking = (_Records if stretch.records else _Events)(stretch, spool, codec)
    note = spool.note
    pace = _Pace(stretch.rate)
    saved = collected = time.monotonic()

    def unless_stopped() -> None:
        if stopped():
            raise _Stopped

    # Nothing here makes cycles but pydantic's errors, and those are few: collecting now and then is enough.
    with suppress(_Stopped), uncollected():
        for batch in reader.read(stretch.partition, note.next_offset, stretch.until, while_silent=unless_stopped):
            for chunk in _chunks(batch, stretch.rate):
                taking.take(chunk)
                note.records += len(chunk)
                note.next_offset = chunk[-1].offset + 1
                unless_stopped()
                pace.keep(len(chunk))
                told(note.next_offset - stretch.first)
                if time.monotonic() - saved > _CHECKPOINT_S:
                    taking.checkpoint()
                    saved = time.monotonic()
                if saved - collected > _COLLECT_S:
                    gc.collect(1)
                    gc.freeze()  # what the codec remembers stays: it need not be looked at again
                    collected = saved
        note.next_offset = max(stretch.until, stretch.first)
        note.done = True
    taking.checkpoint()
    told(note.next_offset - stretch.first)


class _Events:
    """Takes what the projector would take: an entry for each that has a say, and the bytes of what is asked for."""

    def __init__(self, stretch: Stretch, spool: PartitionSpool, codec: Codec) -> None:
        self._spool = spool
        self._selection = stretch.selection
        self._everything = stretch.selection == Selection()
        self._keeper = _keeper(stretch.details)
        self._names = Names() if stretch.names else None
        # Where nothing more is asked of an event, less of it is made.
        quick = self._everything and self._keeper is None and self._names is None
        self._decode: Callable[..., Head | DecodedEvent] = codec.head if quick else codec.decode
        # Of accepted records, by the hash of their bytes: when they were recorded.
        self._seen: dict[bytes, int] = {}

    def take(self, batch: Sequence[LogRecord]) -> None:
        """The hot path: everything here is done for every record of the log."""
        values: list[bytes] = []
        note, pending, seen, names = self._spool.note, self._spool.pending, self._seen, self._names
        everything, competes, keeper, decode = self._everything, self._selection.competes, self._keeper, self._decode
        wants: Callable[[Any], bool] = self._selection.wants
        at, buckets = note.values, len(pending)
        stamped, stamp, stamp_us, in_time = -1, from_micros(0), 0, False
        for _, offset, timestamp, _, value, headers in batch:
            if timestamp != stamped:  # records that were appended together share it
                stamped, stamp_us = timestamp, timestamp * 1000
                stamp, in_time = from_micros(stamp_us), competes(stamp_us)
            header = recorded_header(headers) if headers else None
            content = value or b""
            record_hash = bytes_hash(content)
            # The same bytes again, recorded no earlier, lose to those before, whatever else there is. They name nobody
            # else either.
            if header is None and in_time and seen.get(record_hash, stamp_us + 1) <= stamp_us:
                note.copies += 1
                continue
            try:
                event = decode(value, appended_at=stamp, recorded_header=header)
            except InvalidEvent:
                event = None
            # Of what Postgres cannot keep the projector makes a dead letter.
            if event is None or not is_storable(content):
                note.dead_letters += 1
                continue
            recorded_us = stamp_us if event.recorded_at is stamp else to_micros(event.recorded_at)
            if header is None:
                seen[record_hash] = recorded_us
            if not (in_time if recorded_us == stamp_us else competes(recorded_us)):
                continue
            start, length = NOWHERE, 0
            retracts = event.type.startswith(RETRACTION)
            if not retracts if everything else wants(event):
                line = one_line(content)
                values.append(line)
                start, length = at, len(line)
                at += length
            if isinstance(event, DecodedEvent):
                event_key = unhexlify(event.event_id.replace("-", ""))
                if names is not None:
                    names.add(event, offset)
                if keeper is not None and length:
                    keeper.add(event, offset, recorded_us, start, length)
            else:
                event_key = event.event_key
            pending[(event_key[0] << 8 | event_key[1]) % buckets] += pack_entry(
                event_key, record_hash, offset, recorded_us, event.occurred_us, start, event.revision, length, retracts
            )
        self._spool.write(values, () if keeper is None else keeper.ready(), b"" if names is None else names.line())
        note.events += len(values)
        if len(seen) > _REMEMBERED:
            seen.clear()

    def checkpoint(self) -> None:
        """Bring what was taken to the disk."""
        if self._keeper is not None:
            self._spool.write((), self._keeper.rest())
        self._spool.checkpoint()


class _Records:
    """Takes every record as it stands in the log, with its place, wrapped into one JSON object."""

    def __init__(self, stretch: Stretch, spool: PartitionSpool, codec: Codec) -> None:
        self._spool = spool
        self._codec = codec
        self._selection = stretch.selection

    def take(self, batch: Sequence[LogRecord]) -> None:
        """Those that are asked for."""
        values = [wrapped(record) for record in batch if self._wants(record)]
        self._spool.write(values)
        self._spool.note.events += len(values)

    def checkpoint(self) -> None:
        """Bring what was taken to the disk."""
        self._spool.checkpoint()

    def _wants(self, record: LogRecord) -> bool:
        appended_us = record.timestamp * 1000
        header = recorded_header(record.headers) if record.headers else None
        try:
            event = self._codec.decode(record.value, appended_at=from_micros(appended_us), recorded_header=header)
            refuse_unstorable(event.value, event.type)
        except InvalidEvent:
            self._spool.note.dead_letters += 1
            return not self._selection.asks_for_content and self._selection.recorded_within(appended_us)
        return self._selection.wants_record(event)


class _Lines:
    """For who decodes the events again."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, event: DecodedEvent, offset: int, recorded_us: int, start: int, length: int) -> None:
        self._lines.append(pack_line(unhexlify(event.event_id.replace("-", "")), offset, recorded_us, length))

    def ready(self) -> Iterable[bytes]:
        lines, self._lines = self._lines, []
        return (b"".join(lines),)

    rest = ready


def _keeper(details: Details) -> Keeper | None:
    if details == "columns":
        from customer_timeline.runtime.replay.gathering import Gathering

        return Gathering()
    return _Lines() if details == "lines" else None


def _chunks(batch: Sequence[LogRecord], rate: float | None) -> Iterator[Sequence[LogRecord]]:
    """The batch in parts of at most a tenth of a second where the rate is limited."""
    size = len(batch) if rate is None else max(1, int(rate / 10))
    return (batch[at : at + size] for at in range(0, len(batch), size))


class _Pace:
    """Waits so that not more than `rate` records a second are taken, whatever the machine could."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._started = time.monotonic()
        self._taken = 0

    def keep(self, records: int) -> None:
        """Called after `records` more were taken."""
        if self._rate is None:
            return
        self._taken += records
        ahead = self._taken / self._rate - (time.monotonic() - self._started)
        if ahead > 0:
            time.sleep(ahead)
