"""Exact counts over a whole table in bounded memory: how many distinct keys, and which events have one id.

Keys are gathered in memory and, when there are many, written sorted to a temporary file; at the end the sorted runs are
merged. Approximate sketches would be smaller, but a report that says "three duplicates" must mean three.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import IO, Final, NamedTuple

KEPT_KEYS: Final = 1 << 18  # about 30 MB of them
SHOWN_ROWS: Final = 10


class SortedRuns:
    """Texts of one line each, to be read back in order. Close it: it may hold files."""

    def __init__(self) -> None:
        self._runs: list[IO[str]] = []

    def spill(self, keys: Iterable[str]) -> None:
        """Write `keys` away."""
        run = tempfile.TemporaryFile("w+", encoding="ascii", buffering=1 << 16)  # noqa: SIM115 - closed by `close`
        run.writelines(f"{key}\n" for key in sorted(keys))
        self._runs.append(run)

    def merged(self, rest: Iterable[str]) -> Iterator[str]:
        """All keys in order, those of `rest` among them. May be called once."""
        for run in self._runs:
            run.seek(0)
        return heapq.merge(*((line[:-1] for line in run) for run in self._runs), sorted(rest))

    def close(self) -> None:
        """Give the temporary files up."""
        for run in self._runs:
            run.close()


class DistinctKeys:
    """How many different keys there were."""

    def __init__(self, kept: int = KEPT_KEYS) -> None:
        self._kept = kept
        self._keys: set[str] = set()
        self._runs = SortedRuns()
        self._spilled = False

    def add(self, key: str) -> None:
        """Count `key`, ASCII without line breaks, unless it was counted before."""
        self._keys.add(key)
        if len(self._keys) >= self._kept:
            self._runs.spill(self._keys)
            self._keys = set()
            self._spilled = True

    def count(self) -> int:
        """The exact number. May be called once."""
        if not self._spilled:
            return len(self._keys)
        return sum(1 for _ in groupby(self._runs.merged(self._keys)))

    def close(self) -> None:
        """Give the temporary files up."""
        self._runs.close()


class Repeated(NamedTuple):
    """Events whose id an earlier row has already."""

    same: int
    """Events that say the same once more."""
    other: int
    """Events that say something else: of all that carry the id, the log keeps one."""
    rows: tuple[int, ...]
    """The first rows with such events."""


class RepeatedIds:
    """Finds events of one table that have one id."""

    def __init__(self, kept: int = KEPT_KEYS) -> None:
        self._kept = kept
        self._keys: list[str] = []
        self._runs = SortedRuns()

    def add(self, event_id: str, value: bytes, row: int) -> None:
        """Note an event. `value` is what it says."""
        # The row stands between, so that of one id the earliest row comes first.
        self._keys.append(f"{event_id}{row:016x}{hash(value) & 0xFFFFFFFFFFFFFFFF:016x}")
        if len(self._keys) >= self._kept:
            self._runs.spill(self._keys)
            self._keys = []

    def found(self) -> Repeated:
        """All of them. May be called once."""
        same = other = 0
        rows: list[int] = []
        last_id, seen = "", set[str]()
        for key in self._runs.merged(self._keys):
            id_, row, said = key[:36], key[36:52], key[52:]
            if id_ != last_id:
                last_id, seen = id_, {said}
                continue
            same, other = (same + 1, other) if said in seen else (same, other + 1)
            seen.add(said)
            if len(rows) < SHOWN_ROWS or int(row, 16) < rows[-1]:
                rows = sorted({*rows, int(row, 16)})[:SHOWN_ROWS]
        return Repeated(same, other, tuple(rows))

    def close(self) -> None:
        """Give the temporary files up."""
        self._runs.close()
