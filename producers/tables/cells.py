"""Rows and cells as every format gives them: text, so that one set of converters serves all formats.

Typed formats lose nothing on the way: numbers keep their digits, instants their zone. Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

from customer_timeline.producers.tables.errors import Unconvertible

Cell = str | list[str]
"""The text of a cell, empty where there is none; a list only where the format has lists."""


class ObjectText(str):
    """An object inside a list, as JSON with its numbers as texts: what `as = "items"` reads, and no other converter."""

    __slots__ = ()


class Row(NamedTuple):
    """One row. `number` counts from 1 below the header; blank lines are no rows."""

    number: int
    cells: list[Cell]
    raw: str | None = None
    """The row as the file has it, where the cells do not tell everything."""
    problem: str | None = None
    """Why it cannot be read as a row."""


@dataclass(frozen=True, slots=True)
class Table:
    """An opened table."""

    columns: tuple[str, ...]
    rows: Iterator[Row]
    total_rows: int | None = None
    """How many rows there are, where the format says so before they are read."""


def text_of(value: Any) -> Cell:
    """The cell that stands for a value of a typed format. Raises Unconvertible for a value that no cell can hold."""
    if isinstance(value, list | tuple):
        return [_object(item) if isinstance(item, dict) else _scalar(item) for item in value if item is not None]
    return _scalar(value)


def _object(value: dict[str, Any]) -> ObjectText:
    return ObjectText(json.dumps({key: text_of(inner) for key, inner in value.items() if _is_cell(inner)}))


def _is_cell(value: Any) -> bool:
    return not isinstance(value, dict | list | tuple)


def _scalar(value: Any) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            # Data frames write a missing number as NaN; `repr` has as many digits as it takes to be exact.
            return "" if math.isnan(value) else format(Decimal(repr(value)), "f")
        case Decimal():
            return format(value, "f")
        case datetime() | date() | time():
            return value.isoformat()
    raise Unconvertible("expected one value or a list of values; an inner key is named outer.inner")
