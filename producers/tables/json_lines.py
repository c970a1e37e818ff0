"""Tables written as JSON lines.

A column is a key, `outer.inner` a key inside an object. Numbers keep the digits that the file has: no float on the way.
Those with an exponent are written out, for that is how programs write numbers and not what anybody means by them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any, BinaryIO, Final

from customer_timeline.producers.importing import Line, read_lines
from customer_timeline.producers.tables.cells import Cell, Row, Table, text_of
from customer_timeline.producers.tables.errors import TableUnreadable, Unconvertible
from customer_timeline.producers.tables.mapping import Source
from customer_timeline.producers.tables.text_tables import unpacked

SAMPLED_ROWS: Final = 100
# No amount needs more, and 1e999999999 must not become as many digits.
_GREATEST_EXPONENT: Final = 40
_NO_OBJECT: Final = "expected one JSON object a line"


def json_lines_table(stream: BinaryIO, source: Source, used: Sequence[str]) -> Table:
    """The table of JSON lines, with the columns that are `used`.

    A column that none of the first `SAMPLED_ROWS` rows has is not among the columns, unless `source` names it: so a
    misspelt one is found before the rest is read.
    """
    lines = json_lines(stream)
    if source.columns is not None:
        columns = tuple(column for column in used if column in source.columns)
        sample: list[Line] = []
    else:
        sample = list(islice(lines, SAMPLED_ROWS))
        objects = [found for line in sample if isinstance(found := parsed_json(_decoded(line, source)), dict)]
        columns = tuple(column for column in used if any(_has(found, column) for found in objects))
    pick = picker(columns)
    rows = (
        _row(number, _decoded(line, source), pick, line.content) for number, line in enumerate(chain(sample, lines), 1)
    )
    return Table(columns, rows)


def json_lines(stream: BinaryIO) -> Iterator[Line]:
    """The lines that are not blank; gzip is recognised."""
    try:
        yield from (line for line in read_lines(unpacked(stream)) if line.content)
    except (OSError, EOFError, zlib.error) as exc:
        raise TableUnreadable(0, getattr(exc, "strerror", None) or str(exc)) from exc


def _decoded(line: Line, source: Source) -> str | None:
    try:
        return None if line.cut else line.content.decode(source.encoding)
    except UnicodeDecodeError:
        return None


def _not_json(word: str) -> Any:
    raise ValueError(word)


def _written_out(number: str) -> str:
    """`1.5E2` as `150`, exactly; left as it is where its exponent is beyond any amount."""
    exponent = number.lower().partition("e")[2]
    if not exponent or len(exponent.lstrip("+-0")) > 2 or abs(int(exponent)) > _GREATEST_EXPONENT:
        return number
    return format(Decimal(number), "f")


def parsed_json(text: str | bytes | None) -> Any:
    """The JSON value, its numbers as texts; None for what is none."""
    if text is None:
        return None
    try:
        return json.loads(text, parse_int=str, parse_float=_written_out, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return None


def _row(number: int, text: str | None, pick: Callable[[Any], list[Cell]], content: bytes) -> Row:
    found = parsed_json(text)
    raw = content.decode(errors="surrogateescape") if text is None else text
    if not isinstance(found, dict):
        return Row(number, [], raw, _NO_OBJECT)
    try:
        return Row(number, pick(found), raw)
    except Unconvertible as exc:
        return Row(number, [], raw, str(exc))


def _has(found: dict[str, Any], column: str) -> bool:
    return column in found or _within(found, column.split(".")) is not None


def _within(found: Any, path: Sequence[str]) -> Any:
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def picker(columns: Sequence[str]) -> Callable[[Any], list[Cell]]:
    """The function from an object to the cells of `columns`. It raises Unconvertible for what is no cell."""
    paths = [(column, column.split(".")) for column in columns]

    def pick(found: dict[str, Any]) -> list[Cell]:
        cells: list[Cell] = []
        for column, path in paths:
            value = found.get(column)
            if value is None and len(path) > 1:
                value = _within(found, path)
            # Most are texts already, and this runs for every cell.
            cells.append(value if type(value) is str else _named(column, value))
        return cells

    return pick


def _named(column: str, value: Any) -> Cell:
    try:
        return text_of(value)
    except Unconvertible as exc:
        raise Unconvertible(f"column {column}: {exc}") from None
