"""The spool: what a partition gave, on disk, with a note of how far it is. Survives a kill at any point.

Files only grow. Now and then they are handed to the kernel and then the note of their lengths, in this order; whoever
goes on cuts each file to the length in the note, so nothing is there twice and nothing is missing. Nobody waits for the
disk: most replays end before it would be written to. Where the machine itself stops, a file may be shorter than its
note says; then the partition is begun anew.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from heapq import merge
from itertools import accumulate
from pathlib import Path
from typing import IO, Final, NamedTuple

from customer_timeline.projections.choosing import Entry

# A bucket of so many entries takes some 15 MB while it is decided. Fewer than four would leave processors idle.
_BUCKET_ENTRIES: Final = 65_536
_LEAST_BUCKETS: Final = 4
_MOST_BUCKETS: Final = 1 << 16

# The index is a file of blocks, one a checkpoint: where in it each bucket ends, then the entries, bucket after bucket.
_END: Final = struct.Struct("=I")
_BETWEEN: Final = struct.Struct("=II")

_LINE: Final = struct.Struct("<16sqqI")
pack_line: Final = _LINE.pack


def buckets_for(records: int) -> int:
    """Into how many parts the index of so many records is split, by event_id: a process that decides holds about as
    much of it at a time however long the log is."""
    return min(_MOST_BUCKETS, max(_LEAST_BUCKETS, -(-records // _BUCKET_ENTRIES)))


class Line(NamedTuple):
    """One event of the spool: its id, its place, when the log first took it in, and its bytes without line break."""

    event_id: bytes
    offset: int
    recorded_us: int
    value: bytes


@dataclass(slots=True)
class Note:
    """How far a partition is. `next_offset`: the next to read. `values` to `index`: lengths of the files in bytes.

    `copies`: records left out at once, because the very same bytes came shortly before.
    """

    next_offset: int
    values: int = 0
    details: int = 0
    names: int = 0
    index: int = 0
    records: int = 0
    events: int = 0
    dead_letters: int = 0
    copies: int = 0
    done: bool = False


class PartitionSpool:
    """The files of one partition, opened to go on with them. One process at a time: a second one waits."""

    def __init__(self, folder: Path, partition: int, first: int, buckets: int) -> None:
        self._folder = folder
        self._partition = partition
        self.pending = [bytearray() for _ in range(buckets)]
        """Entries that are not written yet, by bucket; the caller appends to them."""
        self._lock: IO[bytes] = (folder / f"{partition}.lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.note = _true_note(folder, partition) or Note(first)
        self._values = _at(values_file(folder, partition), self.note.values)
        self._details = _at(details_file(folder, partition), self.note.details)
        self._names = _at(names_file(folder, partition), self.note.names)
        self._index = _at(index_file(folder, partition), self.note.index)

    def write(self, values: Iterable[bytes], details: Iterable[bytes | memoryview] = (), names: bytes = b"") -> None:
        """Append events (each with its line break), what is noted of them, and whom and what records name."""
        self.note.values += self._values.write(b"".join(values))
        for one in details:
            self.note.details += self._details.write(one)
        self.note.names += self._names.write(names)

    def checkpoint(self) -> None:
        """Hand everything to the kernel, then say so in the note."""
        ends = array("I", accumulate(map(len, self.pending)))
        if ends[-1]:
            self.note.index += self._index.write(b"".join((ends.tobytes(), *self.pending)))
        for pending in self.pending:
            pending.clear()
        for stream in self._streams:
            stream.flush()
        _replace(_note_file(self._folder, self._partition), asdict(self.note), durable=False)

    def close(self) -> None:
        """Close the files as they are; what came after the last checkpoint is cut off by whoever goes on."""
        for stream in (*self._streams, self._lock):
            stream.close()

    @property
    def _streams(self) -> tuple[IO[bytes], ...]:
        return self._values, self._details, self._names, self._index


def read_note(folder: Path, partition: int) -> Note | None:
    """How far the partition was brought; None where it was not begun, or where the note was lost."""
    try:
        return Note(**json.loads(_note_file(folder, partition).read_bytes()))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _true_note(folder: Path, partition: int) -> Note | None:
    """The note, where all of what it speaks of is there."""
    note = read_note(folder, partition)
    if note is None:
        return None
    noted = zip(_FILES, (note.values, note.details, note.names, note.index), strict=True)
    there = all(_size(file(folder, partition)) >= size for file, size in noted)
    return note if there else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def values_file(folder: Path, partition: int) -> Path:
    """The events of a partition, a line each."""
    return folder / f"{partition}.values"


def details_file(folder: Path, partition: int) -> Path:
    """What is noted of the events of a partition, for outputs that need more than their bytes."""
    return folder / f"{partition}.details"


def names_file(folder: Path, partition: int) -> Path:
    """Whom and what the records of a partition name, asked for or not (`names`)."""
    return folder / f"{partition}.names"


def index_file(folder: Path, partition: int) -> Path:
    """The entries of a partition."""
    return folder / f"{partition}.index"


_FILES: Final = (values_file, details_file, names_file, index_file)


def entries_in(folder: Path, partition: int, bucket: int, buckets: int) -> bytes:
    """The packed entries of a partition that fall into a bucket, of so many."""
    parts: list[bytes] = []
    with mapped(index_file(folder, partition)) as index:
        at = 0
        while at < len(index):
            entries = at + _END.size * buckets
            if bucket == 0:
                start, (end,) = 0, _END.unpack_from(index, at)
            else:
                start, end = _BETWEEN.unpack_from(index, at + _END.size * (bucket - 1))
            parts.append(index[entries + start : entries + end])
            at = entries + _END.unpack_from(index, entries - _END.size)[0]
    return b"".join(parts)


def forget(folder: Path, partition: int) -> None:
    """Remove what a partition gave. To take back the memory of large files is work that processes can share."""
    for file in (_note_file, *_FILES):
        file(folder, partition).unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Replace the file in one step, on the disk when this returns."""
    _replace(path, content, durable=True)


def _replace(path: Path, content: object, *, durable: bool) -> None:
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w") as stream:
        json.dump(content, stream)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())
    beside.replace(path)


class Lost:
    """Collects what of a partition's spool lost, in eight bytes an event, for there may be many."""

    __slots__ = ("_found", "_parts", "_recorded_us")

    # A place is start and length in one integer: events are shorter than this.
    _LENGTHS: Final = 1 << 21

    def __init__(self) -> None:
        self._found = array("Q")
        self._parts: list[array[int]] = []
        self._recorded_us: dict[int, int] = {}

    def add(self, entry: Entry) -> None:
        """The entry's event is not to be written."""
        self._found.append(entry.start * self._LENGTHS + entry.length)

    def recorded(self, entry: Entry, recorded_us: int) -> None:
        """The entry's event was first recorded earlier than its line says, in another spelling."""
        self._recorded_us[entry.offset] = recorded_us

    def merge(self, other: Lost) -> None:
        """Add what was found in another bucket."""
        self._parts.append(array("Q", sorted(other._found)))
        self._recorded_us.update(other._recorded_us)

    def holes(self) -> Holes:
        """All of it, in the order of the spool. Merged, not sorted: no number of it needs an object all the time."""
        starts, ends = array("q"), array("q")
        for place in merge(sorted(self._found), *self._parts):
            start, length = divmod(place, self._LENGTHS)
            starts.append(start)
            ends.append(start + length)
        return Holes(starts, ends, self._recorded_us)


class Holes(NamedTuple):
    """What of a partition's spool lost, by position in it, ascending; and events that the log first took in earlier
    than their line says, by offset."""

    starts: array[int]
    ends: array[int]
    recorded_us: dict[int, int]

    def kept(self, size: int) -> Iterator[tuple[int, int]]:
        """The stretches between the holes."""
        at = 0
        for start, end in zip(self.starts, self.ends, strict=True):
            if at < start:
                yield at, start
            at = end
        if at < size:
            yield at, size


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """The file's content, read as it is needed."""
    with path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size == 0:
            yield b""
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            content.madvise(mmap.MADV_SEQUENTIAL)
            yield content


def lines_of(folder: Path, partition: int, holes: Holes) -> Iterator[Line]:
    """The events of a partition that won, in the order of the log."""
    starts, hole = holes.starts, 0
    with mapped(values_file(folder, partition)) as values, details_file(folder, partition).open("rb") as lines:
        at = 0
        while block := lines.read(_LINE.size * 4096):
            for event_id, offset, recorded_us, length in _LINE.iter_unpack(block):
                start, at = at, at + length
                if hole < len(starts) and starts[hole] == start:
                    hole += 1
                    continue
                earlier = holes.recorded_us.get(offset, recorded_us) if holes.recorded_us else recorded_us
                yield Line(event_id, offset, earlier, values[start : at - 1])


def _note_file(folder: Path, partition: int) -> Path:
    return folder / f"{partition}.note"


def _at(path: Path, size: int) -> IO[bytes]:
    """The file, cut to the size and open for more."""
    stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=1 << 16)
    stream.truncate(size)
    stream.seek(size)
    return stream
