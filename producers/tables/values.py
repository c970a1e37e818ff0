"""From the cells of a row to one value: columns found once, converters made once, and then a plain function a field.

`plan` puts the values together to events. A value is None where its cells are empty; what cannot be converted raises
`RejectedRow`, which names event, field and column. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from customer_timeline.producers.tables.cells import Cell, ObjectText
from customer_timeline.producers.tables.converters import REMEMBERED, converter, money_amount
from customer_timeline.producers.tables.errors import RejectedRow, RowReason, Unconvertible
from customer_timeline.producers.tables.instants import instant_reader
from customer_timeline.producers.tables.items import items_of
from customer_timeline.producers.tables.mapping import Condition, Source
from customer_timeline.producers.tables.specs import (
    Closed,
    FromColumn,
    InstantFields,
    InstantSpec,
    ItemsSpec,
    ListSpec,
    MoneySpec,
)
from customer_timeline.producers.tables.templates import ROW_NUMBER, parse_template

Cells = Sequence[Cell]
Value = Callable[[Cells], Any]
Text = Callable[[Cells], str]

_ONE_VALUE = 'expected one value, not a list: as = "list" takes lists'


@dataclass(frozen=True, slots=True)
class Place:
    """What a value is for, as a rejection names it."""

    type: str
    field: str

    def rejected(self, column: str, detail: object) -> RejectedRow:
        """The row gives no event because of what stands in `column`."""
        where = f"column {column}: {detail}"
        return RejectedRow(RowReason.INVALID_CELL, where, type=self.type, field=self.field, column=column)


class Values:
    """Makes the functions for one table: its columns, and what its source says of cells.

    The number of the row is the cell after the last one.
    """

    def __init__(self, columns: Sequence[str], source: Source) -> None:
        self._index = {column: index for index, column in enumerate(columns)} | {ROW_NUMBER: len(columns)}
        self._source = source
        self._is_plain = source.format in ("csv", "columns") and source.trim and not source.empty

    def field(self, spec: Any, place: Place) -> Value:
        """The function for what a mapping says of a field, unless it is a constant."""
        match spec:
            case str():
                return self.template(spec, place)
            case ListSpec():
                return self._list(spec, place)
            case ItemsSpec():
                return self._items(spec, place)
            case MoneySpec(currency_column=str(column)):
                return self._money(spec, column, place)
            case InstantSpec():
                return self.instant(spec, place)
            case FromColumn():
                return self._converted(spec.column, converter(spec, self._source.zone), place)  # type: ignore[arg-type]
        raise TypeError(f"no value is read for {type(spec).__name__}")

    def template(self, text: str, place: Place) -> Value:
        """The function for a text with columns in it; None where one of them is empty."""
        template = parse_template(text)
        literals, columns = template.literals, template.columns
        if not columns:
            return lambda cells: literals[0]
        if literals == ("", ""):
            return self._converted(columns[0], str, place)
        if len(columns) == 1:
            before, after = literals
            if not after:
                return self._converted(columns[0], before.__add__, place)
            return self._converted(columns[0], lambda cell: f"{before}{cell}{after}", place)
        parts = [self._converted(column, str, place) for column in columns]
        rest = literals[1:]

        def value(cells: Cells) -> str | None:
            found = literals[0]
            for part, literal in zip(parts, rest, strict=True):
                cell = part(cells)
                if cell is None:
                    return None
                found += cell + literal
            return found

        return value

    def instant(self, spec: InstantFields, place: Place) -> Value:
        """The function for an instant; None where the first of its columns is empty."""
        columns = spec.read_columns
        if len(columns) == 1:
            return self._converted(columns[0], lru_cache(REMEMBERED)(instant_reader(spec, self._source.zone)), place)
        convert = instant_reader(spec, self._source.zone)
        parts = [self._converted(column, str, place) for column in columns]
        named = " and ".join(columns)

        def value(cells: Cells) -> str | None:
            found = [part(cells) for part in parts]
            if found[0] is None:
                return None
            try:
                return convert(" ".join(filter(None, found)))
            except Unconvertible as exc:
                raise place.rejected(named, exc) from None

        return value

    def condition(self, condition: Condition, place: Place) -> Callable[[Cells], bool]:
        """Whether a row meets it."""
        text = self._converted(condition.column, str, place)
        if condition.filled is not None:
            wanted = condition.filled
            return lambda cells: (text(cells) is not None) is wanted
        if condition.one_of is not None:
            words = condition.one_of
            return lambda cells: text(cells) in words
        word = condition.equals if condition.equals is not None else condition.differs
        if condition.equals is not None:
            return lambda cells: (text(cells) or "") == word
        return lambda cells: (text(cells) or "") != word

    def _text(self, column: str) -> Text:
        """The text of a cell, empty where the source says that it means nothing. Raises Unconvertible for a list."""
        index, empty = self._index[column], self._source.empty
        if self._source.format in ("jsonl", "parquet"):
            trim = self._source.trim

            def typed(cells: Cells) -> str:
                cell = cells[index]
                if isinstance(cell, list):
                    raise Unconvertible(_ONE_VALUE)
                cell = cell.strip() if trim else cell
                return "" if cell in empty else cell

            return typed
        if not self._source.trim:
            return lambda cells: "" if (cell := cells[index]) in empty else cell  # type: ignore[return-value]
        return lambda cells: "" if (cell := cells[index].strip()) in empty else cell  # type: ignore[union-attr]

    def _converted(self, column: str, convert: Callable[[str], Any], place: Place) -> Value:
        if self._is_plain:
            return self._plain(column, convert, place)
        text = self._text(column)

        def value(cells: Cells) -> Any:
            try:
                cell = text(cells)
                return convert(cell) if cell else None
            except Unconvertible as exc:
                raise place.rejected(column, exc) from None

        return value

    def _plain(self, column: str, convert: Callable[[str], Any], place: Place) -> Value:
        """The same with one call less, for the usual case: this runs for every field of every row."""
        index = self._index[column]

        def value(cells: Cells) -> Any:
            cell = cells[index].strip()  # type: ignore[union-attr]  # text formats have no lists
            if not cell:
                return None
            try:
                return convert(cell)
            except Unconvertible as exc:
                raise place.rejected(column, exc) from None

        return value

    def _money(self, spec: MoneySpec, currency_column: str, place: Place) -> Value:
        amount, currency_of, amount_of = self._text(spec.column), self._text(currency_column), money_amount(spec)

        def value(cells: Cells) -> dict[str, str] | None:
            try:
                cell = amount(cells)
                if not cell:
                    return None
                currency = currency_of(cells)
                if not currency:
                    raise place.rejected(currency_column, "expected a currency, for there is an amount")
                return {"amount": amount_of(cell, currency), "currency": currency}
            except Unconvertible as exc:
                raise place.rejected(spec.column, exc) from None

        return value

    def _list(self, spec: ListSpec, place: Place) -> Value:
        index, split = self._index[spec.column], self._converted(spec.column, converter(spec, None), place)

        def value(cells: Cells) -> list[str] | None:
            cell = cells[index]
            if isinstance(cell, list):
                if any(isinstance(part, ObjectText) for part in cell):
                    raise place.rejected(spec.column, "expected a list of texts, not of objects")
                return [item for part in cell if (item := part.strip())] or None
            found: list[str] | None = split(cells)
            return found

        return value

    def _items(self, spec: ItemsSpec, place: Place) -> Value:
        index, from_text = self._index[spec.column], self._converted(spec.column, converter(spec, None), place)

        def value(cells: Cells) -> list[dict[str, str]] | None:
            cell = cells[index]
            try:
                if isinstance(cell, list):
                    return items_of(cell, spec) or None
                found: list[dict[str, str]] | None = from_text(cells)
                return found or None
            except Unconvertible as exc:
                raise place.rejected(spec.column, exc) from None

        return value


def columns_of(spec: Any) -> tuple[str, ...]:
    """The columns that a part of a mapping reads, in the order in which it names them."""
    match spec:
        case str():
            return tuple(column for column in parse_template(spec).columns if column != ROW_NUMBER)
        case InstantFields():
            return spec.read_columns
        case MoneySpec(currency_column=str(currency)):
            return spec.column, currency
        case Closed():
            return (getattr(spec, "column"),)  # noqa: B009 - conditions and converters have it
    return ()
