"""The files of commands that import: what is read, and the side file of what was rejected."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from customer_timeline.schemas.errors import CustomerTimelineError

STANDARD_INPUT = "-"


class FileUnusable(CustomerTimelineError):  # noqa: N818 - named for what is the case
    """A file could not be read or written. `reason` is the operating system's."""

    def __init__(self, doing: str, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"Cannot {doing} {path}: {reason}.")

    @classmethod
    def because(cls, doing: str, path: object, error: OSError) -> FileUnusable:
        """The error that tells what the operating system said."""
        return cls(doing, str(path), error.strerror or str(error))


class SideFile:
    """The file of what is rejected: made with the first of it, for the owner's eyes only; an older one is removed."""

    def __init__(self, path: Path, *, beside: str) -> None:
        if beside != STANDARD_INPUT and path.resolve() == Path(beside).resolve():
            raise FileUnusable("write what is rejected to", str(path), "it is the file that is read")
        self._path = path
        self._stream: BinaryIO | None = None

    def __enter__(self) -> SideFile:
        try:
            if self._path.is_file():
                self._path.unlink()
        except OSError as exc:
            raise FileUnusable.because("replace", self._path, exc) from exc
        return self

    def add(self, line: bytes) -> None:
        """Write one line; its line break is the caller's."""
        try:
            if self._stream is None:
                # What is rejected holds personal data like everything else.
                self._stream = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
            self._stream.write(line)
        except OSError as exc:
            raise FileUnusable.because("write", self._path, exc) from exc

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()


def write_private(path: Path, content: bytes) -> None:
    """Replace the file in one step, for the owner's eyes only: it may hold personal data. Raises FileUnusable."""
    beside = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as exc:
        raise FileUnusable.because("write", path, exc) from exc


@contextlib.contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file, or standard input for `-`, as bytes."""
    if file == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - only opening is ours to translate, not what happens inside
    except OSError as exc:
        raise FileUnusable.because("read", file, exc) from exc
    with stream:
        yield stream


def size_of(source: BinaryIO) -> int | None:
    """Bytes to read, where the source knows."""
    try:
        return os.fstat(source.fileno()).st_size or None
    except (OSError, ValueError):
        return None
