"""Rejected rows as lines of a file beside the table: which row, why, and the row as it was.

A row keeps its number there, so that a mended one makes the same event, and takes the place in the log that it would
have had. `mended` reads the file again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

from customer_timeline.producers.tables.cells import Row
from customer_timeline.producers.tables.errors import Rejection


def rejected_row(row: Row, columns: Sequence[str], error: Rejection) -> bytes:
    """One line of the file. What the columns hold stands under `original`, and is what has to be mended."""
    record: dict[str, Any] = {
        "row": row.number,
        "reason": error.reason.value,
        "type": error.type,
        "field": error.field,
        "detail": error.detail,
    }
    if row.raw is None and is_misshapen(row, columns):
        record["columns"] = list(columns)  # for whoever has to put the cells in order, and for reading them again
    try:
        return orjson.dumps({**record, "original": _original(row, columns)}) + b"\n"
    except TypeError:
        # Bytes that are no text stand there as lone surrogates, which JSON can carry only escaped.
        return json.dumps({**record, "original": _original(row, columns)}).encode() + b"\n"


def _original(row: Row, columns: Sequence[str]) -> Any:
    if row.raw is not None:
        try:
            orjson.loads(row.raw)
        except ValueError:
            return row.raw
        # As it stands there: to read numbers and write them again could cost digits.
        return orjson.Fragment(row.raw)
    return row.cells if is_misshapen(row, columns) else dict(zip(columns, row.cells, strict=True))


def is_misshapen(row: Row, columns: Sequence[str]) -> bool:
    """The row has more or fewer cells than there are columns."""
    return len(row.cells) != len(columns)
