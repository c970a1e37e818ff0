"""From event types to columns: what stands where in a Parquet file of a family. Needs pyarrow (extra `analytics`).

Every event has the fixed columns. The fields of a family's types follow, typed: a part such as money gives a column a
field (`total_amount`, `total_currency`), what has no fixed shape is JSON text. Last the whole event as JSON.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.values import MAX_DECIMALS, MAX_INTEGER_DIGITS

try:
    import pyarrow as pa
except ImportError as exc:
    from customer_timeline.producers.errors import PackageMissing

    raise PackageMissing("Parquet needs pyarrow", "analytics") from exc

DECIMAL: Final = pa.decimal128(MAX_INTEGER_DIGITS + MAX_DECIMALS, MAX_DECIMALS)
INSTANT: Final = pa.timestamp("us", tz="UTC")
_TEXT: Final = pa.string()
_IDS: Final = pa.list_(pa.string())

FIXED: Final = (
    *((name, _TEXT) for name in ("event_id", "type", "source", "id")),
    ("occurred_at", INSTANT),
    ("recorded_at", INSTANT),
    ("revision", pa.int32()),
    ("direction", _TEXT),
    ("sign_of_life", pa.bool_()),
    ("listed", pa.bool_()),
    ("channel", _TEXT),
    ("anchor_id", _TEXT),
    ("identifier_ids", _IDS),
    ("thing_ids", _IDS),
)
PLACE: Final = (("log_partition", pa.int32()), ("log_offset", pa.int64()))
COMMON: Final = (*(name for name, _ in (*FIXED, *PLACE)), "event")
"""Names of the columns that every family has."""


class Column(NamedTuple):
    """A column: its type, the field of an event's data that it is made of, and its values from values of that field."""

    name: str
    type: Any
    field: str
    values: Callable[[Sequence[Any]], Sequence[Any]]


class FamilyColumns(NamedTuple):
    """The columns of a family: the schema of its files, and by type what it has of them."""

    schema: Any
    of_type: dict[str, dict[str, Column]]


def family_of(type_name: str) -> str:
    """`purchase` of `purchase.completed.v1`."""
    return type_name.partition(".")[0]


@cache
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
    # The whole event is not the last: as long as a file of Parquet is open, it holds the pages of its last column.
    schema = pa.schema(
        [pa.field(name, kind) for name, kind in (*FIXED, *kinds.items(), ("event", pa.string()), *PLACE)]
    )
    return FamilyColumns(schema, own)


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
    yield Column(name, kind or pa.string(), path[0], _getter(path[1:], as_json=kind is None))


def _getter(path: tuple[str, ...], *, as_json: bool) -> Callable[[Sequence[Any]], Sequence[Any]]:
    def values(found: Sequence[Any]) -> Sequence[Any]:
        for part in path:
            # Straight from where pydantic keeps it: to ask the model takes three times as long.
            found = [None if one is None else one.__dict__[part] for one in found]
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
        return orjson.Fragment(value.model_dump_json(exclude_defaults=True))
    if isinstance(value, Decimal):
        return str(value)
    return dict(value)


def texts(values: Sequence[Any]) -> list[str | None]:
    """Values of a column that holds text because types of its family mean different things by its name."""
    return [None if one is None else one if isinstance(one, str) else str(one) for one in values]
