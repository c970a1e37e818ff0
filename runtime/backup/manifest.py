"""The manifest: what a backup holds, and the checksums that vouch for it. One JSON file beside the segments.

It is replaced as a whole after each segment, so it only ever names files that are complete. Its own checksum is in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from customer_timeline.runtime.backup.errors import AnotherRunError, BackupDamaged, BackupRefused
from customer_timeline.runtime.backup.segments import sync_folder
from customer_timeline.runtime.files import FileUnusable

NAME: Final = "manifest.json"
FORMAT: Final = 1
_LOCK: Final = ".lock"


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Segment(_Closed):
    """One file: the records of a partition from position `first` (inclusive) to `next` (exclusive)."""

    file: str = Field(pattern=r"^[A-Za-z0-9._-]+/[0-9]+-[0-9]+\.zst$")
    partition: int = Field(ge=0)
    first: int = Field(ge=0)
    next: int = Field(ge=0)
    records: int = Field(ge=0)
    raw_bytes: int
    bytes: int
    sha256: str


class TopicBackup(_Closed):
    """One topic: which it was, the settings it had, and its segments by partition and position."""

    topic_id: str
    partitions: int = Field(ge=1)
    config: dict[str, str]
    segments: tuple[Segment, ...] = ()

    def of(self, partition: int) -> list[Segment]:
        """The segments of a partition in the order of the log."""
        return [segment for segment in self.segments if segment.partition == partition]

    def next_position(self, partition: int) -> int | None:
        """The first position of the partition that the backup does not cover; None while it covers none."""
        found = self.of(partition)
        return found[-1].next if found else None

    @property
    def records(self) -> int:
        """How many records it holds."""
        return sum(segment.records for segment in self.segments)


class Manifest(_Closed):
    """A whole backup. Times are those of the machine that made it."""

    format: int = FORMAT
    product_version: str
    cluster_id: str
    made_at: datetime
    continued_at: datetime
    topics: dict[str, TopicBackup]


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of the folder, None where there is none. Raises BackupDamaged or BackupRefused."""
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise FileUnusable.because("read", folder / NAME, exc) from exc
    try:
        told = orjson.loads(content)
        claimed = told.pop("sha256")
        if _checksum(told) != claimed:
            raise BackupDamaged(folder, NAME, "has another checksum than it says")
        if told["format"] != FORMAT:
            raise BackupRefused(
                f"The backup in {folder} has the format {told['format']}; this version reads {FORMAT}. "
                "Use the version that made it, or a newer one."
            )
        return Manifest.model_validate(told)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValidationError) as exc:
        raise BackupDamaged(folder, NAME, "is no manifest of a backup") from exc


def required_manifest(folder: Path) -> Manifest:
    """The same, where there must be one."""
    found = read_manifest(folder)
    if found is None:
        raise BackupRefused(f"There is no backup in {folder}: it has no {NAME}.")
    return found


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest, all of it or nothing, on the disk for good."""
    told = manifest.model_dump(mode="json")
    staging = folder / f".{NAME}.partial"
    content = orjson.dumps({**told, "sha256": _checksum(told)}, option=orjson.OPT_INDENT_2) + b"\n"
    try:
        with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staging.replace(folder / NAME)
        sync_folder(folder)
    except OSError as exc:
        raise FileUnusable.because("write", folder / NAME, exc) from exc


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Within it nobody else writes to the folder; it is made, for its owner's eyes only. A kill gives it back."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise FileUnusable.because("write to", folder, exc) from exc
    try:
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError as exc:
            raise AnotherRunError(folder) from exc
        yield
    finally:
        os.close(descriptor)


def _checksum(told: dict[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()
