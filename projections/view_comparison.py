"""Two views of one log compared, row by row: the digests of both, and where they differ, by table and column.

Rows come as the lines of the digest (`projections.digest`), in the order of their keys, so both sides are read once and
memory does not grow with them. Called by `rebuild verify`. Pure: it reads nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from customer_timeline.projections.digest import COVERAGE, TableDigest

Row = Mapping[str, Any]
Kind = Literal["missing", "additional", "changed"]

KEYS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "timeline": 1,
        "superseded": 4,
        "identifier": 1,
        "link": 2,
        "decision": 1,
        "thing": 1,
        "customer": 1,
        "dead_letter": 2,
    }
)
"""How many of a table's covered columns, from the first on, are its key: lines come in their order."""


class Sample(NamedTuple):
    """One row that differs: of the key its columns, and of each other column that differs what either side says.

    `missing`: the second view has no such row; `additional`: the first has none.
    """

    kind: Kind
    key: Row
    columns: Mapping[str, tuple[Any, Any]]


class TableComparison(NamedTuple):
    """One table of both views. `columns`: in how many rows that both have each column differs. `healed`: rows that
    differ and are explained; they are in no other count.
    """

    table: str
    first: TableDigest
    second: TableDigest
    missing: int
    additional: int
    columns: Mapping[str, int]
    changed: int
    healed: int
    samples: tuple[Sample, ...]

    @property
    def differs(self) -> int:
        """Rows that differ without an explanation."""
        return self.missing + self.additional + self.changed


Explained = Callable[[str, Row | None, Row | None], bool]
"""Whether a row of a table that differs is no failure; None where a view does not have it."""


def compare_tables(
    table: str, first: Iterable[str], second: Iterable[str], explained: Explained, samples: int
) -> TableComparison:
    """Compare one table's lines. At most `samples` rows are kept of each kind."""
    one, other = _Digested(first), _Digested(second)
    counts: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    kept: list[Sample] = []
    for before, after in _differing(table, one, other):
        if explained(table, before, after):
            counts["healed"] += 1
            continue
        sample = _sample(table, before, after)
        counts[sample.kind] += 1
        if sample.kind == "changed":
            columns.update(sample.columns.keys())
        if counts[sample.kind] <= samples:
            kept.append(sample)
    return TableComparison(
        table,
        one.digest,
        other.digest,
        counts["missing"],
        counts["additional"],
        dict(columns),
        counts["changed"],
        counts["healed"],
        tuple(kept),
    )


def _differing(table: str, one: Iterator[str], other: Iterator[str]) -> Iterator[tuple[Row | None, Row | None]]:
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if left == right:
            left, right = next(one, None), next(other, None)
            continue
        before, after = _row(table, left), _row(table, right)
        order = _order(table, before, after)
        if order <= 0:
            left = next(one, None)
        if order >= 0:
            right = next(other, None)
        yield before if order <= 0 else None, after if order >= 0 else None


def _order(table: str, before: Row | None, after: Row | None) -> int:
    if before is None or after is None:
        return 1 if before is None else -1
    here, there = _key(table, before), _key(table, after)
    return (here > there) - (here < there)


def _key(table: str, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in COVERAGE[table].counts[: KEYS[table]])


def _row(table: str, line: str | None) -> Row | None:
    if line is None:
        return None
    # Numbers that count are exact: 1.50 and 1.5 are other bytes, and other content.
    found = json.loads(line, parse_float=str)
    return dict(zip(_names(table), found, strict=True))


def _names(table: str) -> tuple[str, ...]:
    # In the line of a thing one value stands for both ids of whose it is.
    counts = COVERAGE[table].counts
    return counts[:-1] if table == "thing" else counts


def _sample(table: str, before: Row | None, after: Row | None) -> Sample:
    there = before if before is not None else after
    if there is None:
        raise ValueError("A difference has at least one side.")
    key = {name: there[name] for name in COVERAGE[table].counts[: KEYS[table]]}
    if before is None or after is None:
        return Sample("additional" if before is None else "missing", key, {})
    differing = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    # The same values in other bytes, as 1 and 1.0 of one JSON number.
    return Sample("changed", key, differing or {"(spelling)": (None, None)})


class _Digested:
    """Lines passed on, and hashed as the digest of their table does."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._found = hashlib.sha256()
        self._rows = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._found.update(line.encode())
        self._found.update(b"\n")
        self._rows += 1
        return line

    @property
    def digest(self) -> TableDigest:
        return TableDigest(self._rows, self._found.hexdigest())
