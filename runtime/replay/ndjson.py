"""The last step to NDJSON: what won, out of the spools, into one file in the order (partition, offset)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.replay.spool import Holes, mapped, values_file

_AT_ONCE: Final = 8 << 20


def write_ndjson(folder: Path, holes: Mapping[int, Holes], output: Path | None) -> int:
    """Write every event as one line, to standard output without `output`; returns the bytes.

    The file appears under its name when it is whole. Nothing of this step has to be kept: it starts over in no time.
    """
    if output is None:
        return _write(folder, holes, sys.stdout.buffer)
    beside = folder / "output"
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 1 << 20) as stream:
            written = _write(folder, holes, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(output)
    except OSError as exc:
        raise FileUnusable.because("write", output, exc) from exc
    return written


def _write(folder: Path, holes: Mapping[int, Holes], stream: IO[bytes]) -> int:
    written = 0
    for partition in sorted(holes):
        with mapped(values_file(folder, partition)) as values, memoryview(values) as content:
            for start, end in holes[partition].kept(len(content)):
                for at in range(start, end, _AT_ONCE):
                    written += stream.write(content[at : min(end, at + _AT_ONCE)])
    stream.flush()
    return written
