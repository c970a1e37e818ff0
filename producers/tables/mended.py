"""Files of rejected rows, read again as a table once somebody has mended what stands under `original`.

Every row keeps the number that it has in its own table, so that it makes the event that it should have made then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

from customer_timeline.producers.tables.cells import Row, Table
from customer_timeline.producers.tables.errors import TableUnreadable, Unconvertible
from customer_timeline.producers.tables.json_lines import json_lines, parsed_json, picker
from customer_timeline.producers.tables.mapping import Source
from customer_timeline.producers.tables.parquet import typed_row
from customer_timeline.producers.tables.text_tables import misshapen

Restore = Callable[[int, Any], Row]

_NO_REJECTED_ROW = "expected a line of a file of rejected rows, with row and original"


def mended_table(stream: BinaryIO, source: Source, used: Sequence[str]) -> Table:
    """The rows in the file, as the format of `source` would have given them. Raises TableUnreadable if it has none."""
    records = _records(stream)
    columns, first = tuple(used), list[tuple[int, Any]]()
    if source.format in ("csv", "columns"):
        columns, first = _columns(records)
    restore = _restore(source, columns)
    return Table(columns, (_row(line, record, restore) for line, record in chain(first, records)))


def _records(stream: BinaryIO) -> Iterator[tuple[int, Any]]:
    return ((line.number, parsed_json(line.content)) for line in json_lines(stream))


def _columns(records: Iterator[tuple[int, Any]]) -> tuple[tuple[str, ...], list[tuple[int, Any]]]:
    """The columns of the table, as the first row that tells them does, and the records that were read to find out."""
    read = []
    for line, record in records:
        read.append((line, record))
        names = (record.get("columns") or record.get("original")) if isinstance(record, dict) else None
        if names and isinstance(names, list | dict):
            return tuple(map(str, names)), read
    raise TableUnreadable(0, "there is no rejected row in it")


def _restore(source: Source, columns: tuple[str, ...]) -> Restore:
    match source.format:
        case "jsonl":
            return _from_object(picker(columns))
        case "parquet":
            return lambda number, original: _by_column(number, original, columns, typed_row)
        case "csv" | "columns":
            return lambda number, original: _by_column(number, original, columns, _text_row)


def _row(line: int, record: Any, restore: Restore) -> Row:
    try:
        return restore(int(record["row"]), record["original"])
    except (ValueError, KeyError, TypeError):
        return Row(line, [], json.dumps(record), _NO_REJECTED_ROW)


def _from_object(pick: Callable[[Any], list[Any]]) -> Restore:
    def restore(number: int, original: Any) -> Row:
        found = parsed_json(original) if isinstance(original, str) else original
        raw = json.dumps(original)
        if not isinstance(found, dict):
            return Row(number, [], raw, "expected one JSON object")
        try:
            return Row(number, pick(found), raw)
        except Unconvertible as exc:
            return Row(number, [], raw, str(exc))

    return restore


def _by_column(
    number: int, original: Any, columns: Sequence[str], row: Callable[[int, Sequence[str], Sequence[Any]], Row]
) -> Row:
    if isinstance(original, list):
        return (
            row(number, columns, original)
            if len(original) == len(columns)
            else misshapen(number, original, len(columns))
        )
    if not isinstance(original, dict):
        return misshapen(number, [str(original)], len(columns))
    cells = [original.get(column, "") for column in columns]
    if original.keys() - set(columns):
        return Row(number, cells, None, "it has a column that the table does not have")
    return row(number, columns, cells)


def _text_row(number: int, columns: Sequence[str], cells: Sequence[Any]) -> Row:
    if all(isinstance(cell, str) for cell in cells):
        return Row(number, list(cells))
    return Row(number, [str(cell) for cell in cells], None, "expected a text in every column")
