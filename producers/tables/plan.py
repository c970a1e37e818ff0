"""The plan of a table: from its mapping and its columns to one function from a row to events, made once.

Nothing is looked up by name any more when rows run through it. The events come as the bytes to publish; whether they
are valid is the codec's to say, as for every other record of the log. Pure.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from customer_timeline.producers.tables.cells import Row
from customer_timeline.producers.tables.errors import InvalidMapping, RejectedRow, RowReason
from customer_timeline.producers.tables.mapping import EventMapping
from customer_timeline.producers.tables.mapping import Mapping as TableMapping
from customer_timeline.producers.tables.targets import may_be_empty, takes_list
from customer_timeline.producers.tables.templates import parse_template
from customer_timeline.producers.tables.values import Cells, Place, Value, Values, columns_of
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.touchpoint import TouchpointData

Missing = list[str]
"""Targets that a row leaves out because their cells are empty."""
Build = Callable[[Cells, Missing], Any]

_NOT_TEXT: Final = "it is not encoded as the mapping says"
_SHOWN_COLUMNS: Final = 40


Made = tuple[int, bytes, Missing]
"""One event of a row, not checked yet: its place among the events of the mapping, its bytes, what it leaves out."""


class RowPlan:
    """The function from rows to events. `targets` names, for each event of the mapping, what columns fill."""

    def __init__(self, mapping: TableMapping, columns: Sequence[str]) -> None:
        """Raises InvalidMapping with every column that the mapping names and the table does not have."""
        problems = list(_unknown_columns(mapping, columns))
        if problems:
            raise InvalidMapping(problems)
        values = Values(columns, mapping.source)
        self._events = [_event(event, mapping.source.uri, values) for event in mapping.event]
        self.targets = [
            tuple(target for target in event.fields if _varies(event.fields[target])) for event in mapping.event
        ]

    def events(self, row: Row) -> list[Made]:
        """What the row gives, in the order of the mapping. Raises RejectedRow where any of it cannot be made."""
        if row.problem is not None:
            raise RejectedRow(RowReason.UNREADABLE_ROW, row.problem)
        cells = [*row.cells, str(row.number)]
        found: list[Made] = []
        for number, make in enumerate(self._events):
            missing: Missing = []
            value = make(cells, missing)
            if value is not None:
                found.append((number, value, missing))
        return found


def used_columns(mapping: TableMapping) -> tuple[str, ...]:
    """Every column that the mapping names, in the order in which it names them."""
    return tuple(dict.fromkeys(column for _, column in _named_columns(mapping)))


def _named_columns(mapping: TableMapping) -> Iterator[tuple[str, str]]:
    """(place in the mapping, column) wherever a column is named."""
    for number, event in enumerate(mapping.event, 1):
        parts: list[tuple[str, Any]] = [("id", event.id), ("time", event.time)]
        parts += [("when", condition) for condition in event.when]
        parts += [("identifiers", identifier.value) for identifier in event.identifiers]
        parts += [(f"fields.{target}", spec) for target, spec in event.fields.items()]
        yield from ((f"event {number}, {place}", column) for place, spec in parts for column in columns_of(spec))


def _unknown_columns(mapping: TableMapping, columns: Sequence[str]) -> Iterator[str]:
    times = Counter(columns)
    for place, column in dict.fromkeys(_named_columns(mapping)):
        if times[column] > 1:
            yield f"{place}: there are {times[column]} columns {column}; `columns` in source gives them other names."
        elif not times[column]:
            yield f"{place}: there is no column {column}{_those_there(column, columns, mapping)}."


def _those_there(column: str, columns: Sequence[str], mapping: TableMapping) -> str:
    if mapping.source.format == "jsonl":
        return " in the first rows; where it comes later, `columns` in source has to name it"
    close = difflib.get_close_matches(column, columns, n=1)
    if close:
        return f"; there is {close[0]}"
    shown = ", ".join(columns[:_SHOWN_COLUMNS])
    return f"; there are {shown}" + (" …" if len(columns) > _SHOWN_COLUMNS else "") if shown else ""


def _varies(spec: Any) -> bool:
    return parse_template(spec).constant is None if isinstance(spec, str) else bool(columns_of(spec))


def _event(event: EventMapping, uri: str, values: Values) -> Callable[[Cells, Missing], bytes | None]:
    conditions = [values.condition(condition, Place(event.type, "when")) for condition in event.when]
    id_, time = (
        values.template(event.id, Place(event.type, "id")),
        values.instant(event.time, Place(event.type, "time")),
    )
    identifiers = [
        (identifier.kind, values.template(identifier.value, Place(event.type, "data.identifiers")))
        for identifier in event.identifiers
    ]
    build = _data(event, values)
    head: dict[str, Any] = {"specversion": "1.0", "type": event.type, "source": uri}
    if event.revision:
        head["revision"] = event.revision

    def make(cells: Cells, missing: Missing) -> bytes | None:
        for holds in conditions:
            if not holds(cells):
                return None
        record = {**head, "id": id_(cells), "time": time(cells)}
        if record["id"] is None or record["time"] is None:
            raise _unidentified(event, record)
        record["data"] = data = build(cells, missing)
        if identifiers:
            data["identifiers"] = [
                {"kind": kind, "value": named} for kind, value in identifiers if (named := value(cells)) is not None
            ]
        try:
            return orjson.dumps(record)
        except TypeError:  # a lone surrogate: what the reader makes of bytes that are no text
            raise RejectedRow(RowReason.UNREADABLE_ROW, _NOT_TEXT, type=event.type) from None

    return make


def _unidentified(event: EventMapping, record: Mapping[str, Any]) -> RejectedRow:
    field, spec = ("id", event.id) if record["id"] is None else ("time", event.time)
    columns = " or ".join(columns_of(spec))
    return Place(event.type, field).rejected(columns, "it is empty, and the event cannot do without")


def _data(event: EventMapping, values: Values) -> Build:
    tree: dict[str, Any] = {}
    for target, spec in event.fields.items():
        *path, last = target.split(".")
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
        branch[last] = (target, spec)
    return _group(tree, "", event, CATALOGUE[event.type], values)


def _group(tree: Mapping[str, Any], at: str, event: EventMapping, data: type[TouchpointData], values: Values) -> Build:
    """The function that builds the object or the list at `at`.

    None where columns fill it and all of them are empty: then what is constant in it says nothing either.
    """
    constants: dict[str, Any] = {}
    leaves: list[tuple[str, Value, str]] = []
    inner: list[tuple[str, Build]] = []
    for name, found in tree.items():
        if not isinstance(found, tuple):
            inner.append((name, _group(found, f"{at}.{name}" if at else name, event, data, values)))
        elif _varies(found[1]):
            target, spec = found
            leaves.append((name, values.field(spec, Place(event.type, f"data.{target}")), target))
        else:
            constants[name] = _constant(found[1])
    kept = not at or not (leaves or inner) or may_be_empty(data, at)

    def build(cells: Cells, missing: Missing) -> dict[str, Any] | None:
        made: dict[str, Any] = {}
        for name, value, target in leaves:
            found = value(cells)
            if found is None:
                missing.append(target)
            else:
                made[name] = found
        for name, make in inner:
            found = make(cells, missing)
            if found is not None:
                made[name] = found
        if not made and not kept:
            return None
        made.update(constants)
        return made

    if not at or not takes_list(data, at):
        return build
    ordered = sorted(tree, key=int)

    def build_list(cells: Cells, missing: Missing) -> list[Any] | None:
        made = build(cells, missing)
        return None if made is None else [made[position] for position in ordered if position in made]

    return build_list


def _constant(spec: Any) -> Any:
    return parse_template(spec).constant if isinstance(spec, str) else list(spec) if isinstance(spec, tuple) else spec
