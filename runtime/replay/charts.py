"""What to draw of an answer: its shape says which picture. No drawing here, and no package: `plotting` does that.

An answer is *wide*, a label and its numbers in each row, or *long*: two labels and a number, where the first label
comes again. A label is anything that can be shown; dates and numbers are also put to scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from customer_timeline.runtime.replay.errors import NothingToDraw

MOST_SERIES: Final = 20
"""Lines or groups of bars that can still be told apart."""

Row = Sequence[Any]
Numbers = tuple[float | None, ...]


class Kind(StrEnum):
    """A kind of picture."""

    AUTO = "auto"
    BAR = "bar"
    LINE = "line"
    HEAT_MAP = "heat-map"


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture to be drawn: at each of `xs` a number of each of the series; None where the answer has none.

    `by`: what the series are, where they were values of a column. A heat map has a row a series.
    """

    kind: Kind
    x: str
    y: str
    by: str | None
    xs: tuple[Any, ...]
    series: tuple[tuple[str, Numbers], ...]

    @property
    def to_scale(self) -> bool:
        """Whether the distances between `xs` mean something."""
        return bool(self.xs) and all(_is_number(x) or isinstance(x, date) for x in self.xs)


def chart_of(names: Sequence[str], rows: Sequence[Row], kind: Kind = Kind.AUTO) -> Chart:
    """The picture of an answer, of a kind or of the kind that its shape suggests. Raises NothingToDraw."""
    if not rows:
        raise NothingToDraw("the answer has no rows")
    if len(rows) == 1 and all(map(_is_number, rows[0])):
        # A row of figures without a label: the columns are what is compared.
        chart = Chart(Kind.BAR, "", "", None, tuple(names), (("", _numbers(rows[0])),))
    elif len(names) == 3 and len({row[0] for row in rows}) < len(rows):
        chart = _long(names, rows)
    else:
        chart = _wide(names, rows)
    chosen = chart.kind if kind is Kind.AUTO else kind
    if chosen is not Kind.HEAT_MAP and len(chart.series) > MOST_SERIES:
        raise NothingToDraw(f"more than {MOST_SERIES} series cannot be told apart; --plot-as heat-map can show them")
    return Chart(chosen, chart.x, chart.y, chart.by, chart.xs, chart.series)


def label(value: Any) -> str:
    """A value as it is written at an axis."""
    if isinstance(value, datetime):
        text = value.isoformat().replace("+00:00", "Z")
        return (
            text.partition("T")[0] if (value.hour, value.minute, value.second, value.microsecond) == (0,) * 4 else text
        )
    return "" if value is None else str(value)


def _wide(names: Sequence[str], rows: Sequence[Row]) -> Chart:
    if len(names) < 2:
        raise NothingToDraw("the answer has one column; a label and a number are needed")
    columns = list(zip(*rows, strict=True))
    series = tuple((name, _column(name, values)) for name, values in zip(names[1:], columns[1:], strict=True))
    chart = Chart(Kind.LINE, names[0], names[1] if len(series) == 1 else "", None, columns[0], series)
    return chart if chart.to_scale else Chart(Kind.BAR, chart.x, chart.y, None, chart.xs, series)


def _long(names: Sequence[str], rows: Sequence[Row]) -> Chart:
    found: dict[Any, dict[Any, float | None]] = {}
    for (by, x, _), number in zip(rows, _column(names[2], [row[2] for row in rows]), strict=True):
        at = found.setdefault(by, {})
        if x in at:
            raise NothingToDraw(f"several rows have the same {names[0]} and {names[1]}")
        at[x] = number
    xs = tuple(dict.fromkeys(row[1] for row in rows))
    chart = Chart(Kind.HEAT_MAP, names[1], names[2], names[0], xs, ())
    if chart.to_scale:
        xs = tuple(sorted(xs))
    series = tuple((label(by), tuple(at.get(x) for x in xs)) for by, at in found.items())
    return Chart(chart.kind, chart.x, chart.y, chart.by, xs, series)


def _column(name: str, values: Sequence[Any]) -> Numbers:
    if not all(value is None or _is_number(value) for value in values):
        raise NothingToDraw(f"the column {name} holds no numbers")
    if all(value is None for value in values):
        raise NothingToDraw(f"the column {name} is empty")
    return _numbers(values)


def _numbers(values: Sequence[Any]) -> Numbers:
    return tuple(None if value is None else float(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
