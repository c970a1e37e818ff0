"""From event types to columns: what stands where in a Parquet file of a family. Needs pyarrow (extra `analytics`).

Every event has the fixed columns. The fields of a family's types follow, typed: a part such as money gives a column a
field (`total_amount`, `total_currency`), what has no fixed shape is JSON text. Last the whole event as JSON.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.values import MAX_DECIMALS, MAX_INTEGER_DIGITS

try:
    import pyarrow as pa
except ImportError as exc:
    from customer_timeline.producers.errors import PackageMissing

    raise PackageMissing("Parquet needs pyarrow", "analytics") from exc

DECIMAL: Final = pa.decimal128(MAX_INTEGER_DIGITS + MAX_DECIMALS, MAX_DECIMALS)
INSTANT: Final = pa.timestamp("us", tz="UTC")
_IDS: Final = pa.list_(pa.string())

Row = tuple[DecodedEvent, tuple[int, int]]
"""An event and its place: partition and offset."""


class Column(NamedTuple):
    """A column: its type, and its values for events of a type that has it."""

    name: str
    type: Any
    values: Callable[[Sequence[Row]], list[Any]]


class FamilyColumns(NamedTuple):
    """The columns of a family: the schema of its files, and by type what it has of them."""

    schema: Any
    of_type: dict[str, dict[str, Column]]


def family_of(type_name: str) -> str:
    """`purchase` of `purchase.completed.v1`."""
    return type_name.partition(".")[0]


def _fixed() -> list[Column]:
    def of(name: str, kind: Any, get: Callable[[DecodedEvent], Any]) -> Column:
        return Column(name, kind, lambda rows: [get(event) for event, _ in rows])

    text = pa.string()
    return [
        of("event_id", text, lambda event: event.event_id),
        of("type", text, lambda event: event.type),
        of("source", text, lambda event: event.source),
        of("id", text, lambda event: event.id),
        of("occurred_at", INSTANT, lambda event: event.occurred_at),
        of("recorded_at", INSTANT, lambda event: event.recorded_at),
        of("revision", pa.int32(), lambda event: event.revision),
        of("direction", text, lambda event: event.direction),
        of("sign_of_life", pa.bool_(), lambda event: event.sign_of_life),
        of("listed", pa.bool_(), lambda event: event.listed),
        of("channel", text, lambda event: event.channel),
        of("anchor_id", text, lambda event: event.anchor_id if event.listed else None),
        of("identifier_ids", _IDS, lambda event: [one.identifier_id for one in event.identifiers]),
        of("thing_ids", _IDS, lambda event: [one.thing_id for one in event.things]),
        Column("log_partition", pa.int32(), lambda rows: [place[0] for _, place in rows]),
        Column("log_offset", pa.int64(), lambda rows: [place[1] for _, place in rows]),
    ]


FIXED: Final = tuple(_fixed())
COMMON: Final = (*(column.name for column in FIXED), "event")
"""Names of the columns that every family has."""


def columns_of(family: str) -> FamilyColumns:
    """The columns of the family's types, as the catalogue has them now."""
    types_ = {name: data for name, data in CATALOGUE.items() if family_of(name) == family}
    own = {name: {column.name: column for column in _own(data)} for name, data in types_.items()}
    kinds: dict[str, Any] = {}
    for columns in own.values():
        for column in columns.values():
            # Where two types of a family mean different things by one name, text can hold both.
            same = kinds.setdefault(column.name, column.type) == column.type
            kinds[column.name] = column.type if same else pa.string()
    schema = pa.schema(
        [pa.field(column.name, column.type) for column in FIXED]
        + [pa.field(name, kind) for name, kind in kinds.items()]
        + [pa.field("event", pa.string())]
    )
    return FamilyColumns(schema, own)


def table_of(columns: FamilyColumns, type_name: str, rows: Sequence[Row]) -> Any:
    """Rows of one type as a table with the columns of the family."""
    own = columns.of_type[type_name]
    arrays = [pa.array(column.values(rows), column.type) for column in FIXED]
    for field in list(columns.schema)[len(FIXED) : -1]:
        column = own.get(field.name)
        if column is None:
            arrays.append(pa.nulls(len(rows), field.type))
        elif column.type == field.type:
            arrays.append(pa.array(column.values(rows), field.type))
        else:
            arrays.append(pa.array(map(_as_text, column.values(rows)), field.type))
    arrays.append(pa.array([event.value for event, _ in rows], pa.binary()).view(pa.string()))
    return pa.Table.from_arrays(arrays, schema=columns.schema)


def _own(data: type[TouchpointData]) -> Iterable[Column]:
    taken = set(COMMON)
    for name, field in data.model_fields.items():
        if name not in ("identifiers", "channel"):
            yield from _columns(name if name not in taken else f"data_{name}", (name,), field.annotation)


def _columns(name: str, path: tuple[str, ...], annotation: Any) -> Iterable[Column]:
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        for inner, field in bare.model_fields.items():
            yield from _columns(f"{name}_{inner}", (*path, inner), field.annotation)
        return
    kind = _kind(bare)
    yield Column(name, kind or pa.string(), _getter(path, as_json=kind is None))


def _getter(path: tuple[str, ...], *, as_json: bool) -> Callable[[Sequence[Row]], list[Any]]:
    first, *rest = map(attrgetter, path)

    def values(rows: Sequence[Row]) -> list[Any]:
        found = [first(event.data) for event, _ in rows]
        for part in rest:
            found = [None if one is None else part(one) for one in found]
        return [None if one is None else _as_json(one) for one in found] if as_json else found

    return values


def _bare(annotation: Any) -> Any:
    """Without what only adds rules, or None as the other possibility."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            others = [one for one in get_args(annotation) if one is not type(None)]
            if len(others) != 1:
                return annotation
            annotation = others[0]
        else:
            return annotation


def _kind(bare: Any) -> Any:
    """The Arrow type of a value of that type; None where only JSON can hold it."""
    if get_origin(bare) is Literal and all(isinstance(one, str) for one in get_args(bare)):
        return pa.string()
    kinds = {
        str: pa.string(),
        bool: pa.bool_(),
        int: pa.int64(),
        Decimal: DECIMAL,
        datetime: INSTANT,
        date: pa.date32(),
    }
    return kinds.get(bare) if isinstance(bare, type) else None


def _as_json(value: Any) -> str:
    return orjson.dumps(value, default=_encodable).decode()


def _encodable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, Decimal):
        return str(value)
    return dict(value)


def _as_text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else str(value)
