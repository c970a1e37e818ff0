"""Is a backup whole? Checksums, and whether the records are those of the manifest, without a gap. Needs no Kafka."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from customer_timeline.runtime.backup.errors import BackupDamaged
from customer_timeline.runtime.backup.manifest import NAME, Manifest, Segment, TopicBackup
from customer_timeline.runtime.backup.segments import read_segment, sha256_of

Observe = Callable[[int], object]
"""Told of so many records more."""


def check_backup(folder: Path, manifest: Manifest, observe: Observe = lambda _: None) -> None:
    """Read everything. Raises BackupDamaged with the first file that is not what was written."""
    for topic in manifest.topics.values():
        check_continuity(folder, topic)
        for segment in topic.segments:
            _check_records(folder, check_file(folder, segment))
            observe(segment.records)


def check_continuity(folder: Path, topic: TopicBackup) -> None:
    """Every segment begins where the one before it ended. Raises BackupDamaged."""
    ends: dict[int, int] = {}
    for segment in topic.segments:
        begins = ends.get(segment.partition, segment.first)
        if segment.partition >= topic.partitions or segment.first != begins or segment.next <= segment.first:
            raise BackupDamaged(folder, NAME, f"does not lead from position {begins} on: next it names {segment.file}")
        ends[segment.partition] = segment.next


def check_file(folder: Path, segment: Segment) -> Segment:
    """The file is the one that was written. Raises BackupDamaged."""
    try:
        found = sha256_of(folder / segment.file)
    except OSError as exc:
        raise BackupDamaged(folder, segment.file, f"cannot be read ({exc.strerror or exc})") from exc
    if found != (segment.sha256, segment.bytes):
        raise BackupDamaged(folder, segment.file, "has another checksum than the manifest says")
    return segment


def _check_records(folder: Path, segment: Segment) -> None:
    at, count = segment.first, 0
    for record in read_segment(folder, segment.file, segment.partition):
        if not at <= record.offset < segment.next:
            raise BackupDamaged(folder, segment.file, f"holds position {record.offset} where {at} or a later one comes")
        at, count = record.offset + 1, count + 1
    if count != segment.records:
        raise BackupDamaged(folder, segment.file, f"holds {count} records instead of {segment.records}")
