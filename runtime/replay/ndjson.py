"""The last step to NDJSON: what won, out of the spools, into one file in the order (partition, offset)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import IO, Final

from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.replay.crew import Crew
from customer_timeline.runtime.replay.spool import Holes, mapped, values_file

_AT_ONCE: Final = 8 << 20


def write_ndjson(crew: Crew, folder: Path, holes: Mapping[int, Holes], output: Path | None) -> int:
    """Write every event as one line, to standard output without `output`; returns the bytes.

    The file appears under its name when it is whole. Nothing of this step has to be kept: it starts over in no time.
    """
    if output is None:
        return sum(_copy(folder, number, found, sys.stdout.buffer) for number, found in sorted(holes.items()))
    beside = folder / "output"
    sizes = [_size(folder, number, found) for number, found in sorted(holes.items())]
    starts = [0, *accumulate(sizes)]
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.truncate(starts[-1])
            tasks = [(folder, *found, beside, at) for found, at in zip(sorted(holes.items()), starts, strict=False)]
            written = sum(crew.each(_copy_at, tasks))
            os.fsync(stream.fileno())
        beside.replace(output)
    except OSError as exc:
        raise FileUnusable.because("write", output, exc) from exc
    return written


def _size(folder: Path, partition: int, holes: Holes) -> int:
    size = values_file(folder, partition).stat().st_size
    return size - sum(end - start for start, end in zip(holes.starts, holes.ends, strict=True))


def _copy_at(folder: Path, partition: int, holes: Holes, output: Path, at: int) -> int:
    """Write a partition to its own part of the output."""
    with output.open("r+b", 1 << 20) as stream:
        stream.seek(at)
        written = _copy(folder, partition, holes, stream)
        # On its way to the disk while the other partitions are copied: less to wait for at the end.
        os.fsync(stream.fileno())
        return written


def _copy(folder: Path, partition: int, holes: Holes, stream: IO[bytes]) -> int:
    written = 0
    with mapped(values_file(folder, partition)) as values, memoryview(values) as content:
        for start, end in holes.kept(len(content)):
            for at in range(start, end, _AT_ONCE):
                written += stream.write(content[at : min(end, at + _AT_ONCE)])
    stream.flush()
    return written
