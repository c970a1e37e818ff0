"""The first step: a partition of the log into its spool. Runs in a process of its own, for one partition at a time."""

from __future__ import annotations

import base64
import gc
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from customer_timeline.projections.choosing import NOWHERE, pack_entry
from customer_timeline.projections.records import bytes_hash
from customer_timeline.projections.selection import Selection, is_retraction
from customer_timeline.runtime.replay.spool import BUCKETS, PartitionSpool, pack_line
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.streams.decoding import recorded_header
from customer_timeline.streams.log_reader import LogReader, LogRecord

_CHECKPOINT_S: Final = 2.0
_CHUNK: Final = 1_000
# An escape that stands for U+0000: an even number of backslashes before it, so it is not text about an escape.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one partition is to give. `records`: as the log is, instead of what counts. `lines`: note of each event what
    is to be known to decode it again. `names`: note of each record that has a say whom and what it names. `rate`:
    records a second."""

    folder: Path
    partition: int
    first: int
    until: int
    selection: Selection
    records: bool
    rate: float | None
    lines: bool = True
    names: bool = False


Told = Callable[[int], None]
"""Told how many positions of the stretch are behind, now and then."""


def read_stretch(stretch: Stretch, reader: LogReader, codec: Codec, told: Told, stopped: Callable[[], bool]) -> bool:
    """Go on with the partition until its end, or until `stopped` says so. True where the end was reached.

    Raises what the reader raises; what was brought to the disk until then stays.
    """
    spool = PartitionSpool(stretch.folder, stretch.partition, stretch.first)
    try:
        told(spool.note.next_offset - stretch.first)
        if not spool.note.done:
            spool.note.done = _go_on(stretch, spool, reader, codec, told, stopped)
            spool.checkpoint()
        return spool.note.done
    finally:
        spool.close()


def _go_on(
    stretch: Stretch,
    spool: PartitionSpool,
    reader: LogReader,
    codec: Codec,
    told: Told,
    stopped: Callable[[], bool],
) -> bool:
    take = _take_records if stretch.records else _take_events
    note = spool.note
    pace = _Pace(stretch.rate)
    saved = time.monotonic()
    # Nothing here makes cycles but pydantic's errors, and those are few: collecting now and then is enough.
    gc.disable()
    try:
        for batch in reader.read(stretch.partition, note.next_offset, stretch.until):
            for chunk in _chunks(batch, stretch.rate):
                take(chunk, spool, codec, stretch)
                note.records += len(chunk)
                note.next_offset = chunk[-1].offset + 1
                if stopped():
                    return False
                pace.keep(len(chunk))
                told(note.next_offset - stretch.first)
                if time.monotonic() - saved > _CHECKPOINT_S:
                    gc.collect(1)
                    gc.freeze()  # what the codec remembers stays: it need not be looked at again
                    spool.checkpoint()
                    saved = time.monotonic()
    finally:
        gc.enable()
    note.next_offset = max(stretch.until, stretch.first)
    told(note.next_offset - stretch.first)
    return True


def _take_events(batch: Sequence[LogRecord], spool: PartitionSpool, codec: Codec, stretch: Stretch) -> None:
    """What the projector would take: an entry for each that has a say, and the bytes of what is asked for.

    The hot path: everything here is done for every record of the log.
    """
    values: list[bytes] = []
    lines: list[bytes] = []
    names: list[bytes] = []
    selection, noted, named = stretch.selection, stretch.lines, stretch.names
    buckets, at = spool.buckets, spool.note.values
    dead = 0
    decode, competes, wants = codec.decode, selection.competes, selection.wants
    everything = selection == Selection()
    stamped, stamp, stamp_us = -1, from_micros(0), 0
    for record in batch:
        if record.timestamp != stamped:  # records that were appended together share it
            stamped = record.timestamp
            stamp_us = stamped * 1000
            stamp = from_micros(stamp_us)
        header = recorded_header(record.headers) if record.headers else None
        value = record.value
        try:
            event = decode(value, appended_at=stamp, recorded_header=header)
        except InvalidEvent:
            dead += 1
            continue
        if value is None or (b"\\u0000" in value and _NUL.search(value)):
            dead += 1  # Postgres keeps no U+0000 in any text: the projector makes a dead letter of it
            continue
        recorded_us = stamp_us if event.recorded_at is stamp else to_micros(event.recorded_at)
        if not competes(recorded_us):
            continue
        event_id = bytes.fromhex(event.event_id.replace("-", ""))
        start, length = NOWHERE, 0
        retracts = is_retraction(event)
        if named and (event.identifiers or event.things or event.decides):
            names.append(_names(event, record.offset))
        if (everything and not retracts) or wants(event):
            line = value + b"\n" if b"\n" not in value and b"\r" not in value else one_line(value)
            start, length = at, len(line)
            at += length
            values.append(line)
            if noted:
                lines.append(pack_line(event_id, record.offset, recorded_us, length))
        buckets[event_id[0] % BUCKETS] += pack_entry(
            event_id,
            bytes_hash(value),
            record.offset,
            recorded_us,
            event.occurred_us,
            start,
            event.revision,
            length,
            retracts,
        )
    spool.write(values, lines, names)
    spool.note.events += len(values)
    spool.note.dead_letters += dead


def _take_records(batch: Sequence[LogRecord], spool: PartitionSpool, codec: Codec, stretch: Stretch) -> None:
    """Every record as it stands in the log, with its place, wrapped into one JSON object."""
    values: list[bytes] = []
    selection = stretch.selection
    for record in batch:
        appended_us = record.timestamp * 1000
        header = recorded_header(record.headers) if record.headers else None
        try:
            event: DecodedEvent | None = codec.decode(
                record.value, appended_at=from_micros(appended_us), recorded_header=header
            )
        except InvalidEvent:
            event = None
            spool.note.dead_letters += 1
        if event is not None:
            wanted = selection.wants_record(event)
        else:
            wanted = not selection.asks_for_content and selection.recorded_within(appended_us)
        if wanted:
            values.append(wrapped(record))
    spool.write(values, [], [])
    spool.note.events += len(values)


def _names(event: DecodedEvent, offset: int) -> bytes:
    """Whom and what the record names, or is a decision about; read by `people`."""
    who = event.identifiers if event.listed else event.decides or ()
    return orjson.dumps(
        (
            offset,
            event.event_id,
            event.type,
            event.occurred_us,
            event.listed,
            [(one[0], one[1]) for one in who],
            [(one[0], one[1]) for one in event.things],
        ),
        option=orjson.OPT_APPEND_NEWLINE,
    )


def one_line(value: bytes) -> bytes:
    """The record's bytes as a line. Line breaks of valid JSON stand between its parts only, so a space does as well."""
    if b"\n" in value or b"\r" in value:
        value = value.replace(b"\n", b" ").replace(b"\r", b" ")
    return value + b"\n"


def wrapped(record: LogRecord) -> bytes:
    """A record with its place as one line of JSON: `value` is the JSON itself, `value_base64` what is none."""
    head = {
        "partition": record.partition,
        "offset": record.offset,
        "appended_at": from_micros(record.timestamp * 1000).isoformat().replace("+00:00", "Z"),
        "key": _text(record.key),
        "headers": [[name, _text(content)] for name, content in record.headers],
    }
    if record.value is None:
        return orjson.dumps({**head, "value": None}) + b"\n"
    try:
        orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return orjson.dumps({**head, "value_base64": base64.b64encode(record.value).decode()}) + b"\n"
    return one_line(orjson.dumps(head)[:-1] + b',"value":' + record.value + b"}")


def _text(content: bytes | None) -> object:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _chunks(batch: Sequence[LogRecord], rate: float | None) -> Sequence[Sequence[LogRecord]]:
    """The batch as it is, or in parts of at most a tenth of a second where the rate is limited."""
    size = _CHUNK if rate is None else max(1, min(_CHUNK, int(rate / 10)))
    remaining = iter(batch)
    return list(iter(lambda: list(islice(remaining, size)), []))


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
