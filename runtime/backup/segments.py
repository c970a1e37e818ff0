"""A segment: one file with records of one partition, as they stand in the log, compressed with Zstandard.

Unpacked it begins with `MAGIC`; each record is a head (`HEAD`, big-endian: offset, timestamp in milliseconds, sizes of
key and value, number of headers), the key, the value, and each header as two sizes with name and value. The size -1
is null, which is not the same as empty. Whether the file is the one that was written is the manifest's to say.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self

import zstandard

from customer_timeline.runtime.backup.errors import BackupDamaged
from customer_timeline.runtime.files import FileUnusable
from customer_timeline.streams.log_reader import LogRecord

MAGIC: Final = b"customer-timeline segment 1\n"
HEAD: Final = struct.Struct(">qqiiI")
_SIZE: Final = struct.Struct(">i")
_NULL: Final = -1
_LEVEL: Final = 3  # Zstandard's own default: higher ones cost more time than they save room
_READ_BYTES: Final = 1 << 20
# So much is given to the compressor at a time: a call for each record would cost more than it does.
_BUFFERED_BYTES: Final = 1 << 18


class SegmentContent(NamedTuple):
    """What was written: `raw_bytes` before compression, `bytes` and `sha256` of the file."""

    records: int
    raw_bytes: int
    bytes: int
    sha256: str


class SegmentWriter:
    """Writes one segment to `path`. Only `finish` makes it durable; whatever else happens, the file is removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self.records = 0
        self.raw_bytes = len(MAGIC)
        self._written = 0
        self._pending: list[bytes] = [MAGIC]
        self._pending_bytes = len(MAGIC)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        try:
            # Records hold personal data.
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        except OSError as exc:
            raise FileUnusable.because("write", path, exc) from exc

    def add(self, record: LogRecord) -> None:
        """Append one record."""
        packed = packed_record(record)
        self.records += 1
        self.raw_bytes += len(packed)
        self._pending.append(packed)
        self._pending_bytes += len(packed)
        if self._pending_bytes >= _BUFFERED_BYTES:
            self._compress()

    def finish(self, final: Path) -> SegmentContent:
        """Put the whole segment at `final`, on the disk for good."""
        self._compress()
        self._write(self._compressor.flush())
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._path.replace(final)
            sync_folder(final.parent)
        except OSError as exc:
            raise FileUnusable.because("write", final, exc) from exc
        return SegmentContent(self.records, self.raw_bytes, self._written, self._digest.hexdigest())

    def _compress(self) -> None:
        self._write(self._compressor.compress(b"".join(self._pending)))
        self._pending.clear()
        self._pending_bytes = 0

    def _write(self, packed: bytes) -> None:
        self._digest.update(packed)
        self._written += len(packed)
        try:
            self._file.write(packed)
        except OSError as exc:
            raise FileUnusable.because("write", self._path, exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def packed_record(record: LogRecord) -> bytes:
    """The bytes of one record in a segment."""
    key, value, headers = record.key, record.value, record.headers
    parts = [
        HEAD.pack(
            record.offset,
            record.timestamp,
            _NULL if key is None else len(key),
            _NULL if value is None else len(value),
            len(headers),
        ),
        key or b"",
        value or b"",
    ]
    for name, content in headers:
        encoded = name.encode()
        # Kafka allows a header without a value, whatever the clients' types say.
        size = _NULL if content is None else len(content)
        parts += (_SIZE.pack(len(encoded)), encoded, _SIZE.pack(size), content or b"")
    return b"".join(parts)


def read_segment(folder: Path, file: str, partition: int) -> Iterator[LogRecord]:
    """The records of a segment, in order. Raises BackupDamaged where it is none or ends too early."""
    try:
        with (folder / file).open("rb") as stream:
            yield from _records(_Unpacked(stream), partition)
    except OSError as exc:
        raise BackupDamaged(folder, file, f"cannot be read ({exc.strerror or exc})") from exc
    except (zstandard.ZstdError, struct.error, UnicodeDecodeError, _NoSegmentError) as exc:
        raise BackupDamaged(folder, file, "cannot be unpacked") from exc


def sha256_of(path: Path) -> tuple[str, int]:
    """Hash and size of a file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def sync_folder(folder: Path) -> None:
    """Make names of files in the folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _NoSegmentError(Exception):
    """The bytes do not follow the format."""


class _Unpacked:
    """The unpacked bytes, taken piece by piece."""

    def __init__(self, stream: BinaryIO) -> None:
        self._reader = zstandard.ZstdDecompressor().stream_reader(stream, read_size=_READ_BYTES)
        self._buffer = b""
        self._at = 0

    def at_end(self) -> bool:
        return self._at >= len(self._buffer) and not self._fill(1)

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._buffer) and not self._fill(size):
            raise _NoSegmentError
        self._at += size
        return self._buffer[self._at - size : self._at]

    def _fill(self, wanted: int) -> bool:
        kept = [self._buffer[self._at :]]
        have = len(kept[0])
        while have < wanted and (piece := self._reader.read(_READ_BYTES)):
            kept.append(piece)
            have += len(piece)
        self._buffer, self._at = b"".join(kept), 0
        return have >= wanted


def _records(source: _Unpacked, partition: int) -> Iterator[LogRecord]:
    if source.take(len(MAGIC)) != MAGIC:
        raise _NoSegmentError
    while not source.at_end():
        offset, timestamp, key_size, value_size, headers = HEAD.unpack(source.take(HEAD.size))
        key, value = _sized(source, key_size), _sized(source, value_size)
        yield LogRecord(partition, offset, timestamp, key, value, _headers(source, headers) if headers else ())


def _sized(source: _Unpacked, size: int) -> bytes | None:
    if size < _NULL:
        raise _NoSegmentError
    return None if size == _NULL else source.take(size)


def _headers(source: _Unpacked, count: int) -> Sequence[tuple[str, bytes]]:
    found = []
    for _ in range(count):
        name = source.take(_SIZE.unpack(source.take(_SIZE.size))[0]).decode()
        found.append((name, _sized(source, _SIZE.unpack(source.take(_SIZE.size))[0])))
    return found  # type: ignore[return-value]  # a null value is rarer than the clients' types allow
