"""The page of mappings: every key of the file that `customer-timeline import` reads, from the models that check it."""

from __future__ import annotations

import datetime
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from customer_timeline.producers.tables.mapping import Condition, EventMapping, IdentifierMapping, Source
from customer_timeline.producers.tables.specs import CONVERTERS, Closed, InstantFields, InstantSpec
from docs.generators.markdown import page as markdown_page
from docs.generators.markdown import table

INTRODUCTION = """
A mapping says what the columns of a table mean. It is a TOML file: one table `[source]`, and one `[[event]]` for each
event that a row may give. [Import a table](../how-to/import-a-table.md) leads through one, and
[`examples/mappings`](../../examples/mappings) holds three. Unknown keys, columns and targets are mistakes, and all of
them are told before the first row is read.
"""

TEMPLATES = """
## Templates

Where a text may be a template, `{name}` is the cell of that column, `{#}` the number of the row (1 is the first below
the header), and `{{` and `}}` are braces. Where one of its columns is empty the template has no value: the field or the
identifier is left out, and a row whose `id` or `time` has none is rejected.
"""

FIELDS = """
## Fields

A key of `[event.fields]` is a target, a field of the type's `data` as the [events](events.md) list them:
`order_id`, `traits.given_name`, and with the position in a list `traits.addresses.0.city`; under `attributes` any name
will do. Its value is a template, a constant (`true`, a whole number, a list of texts), or a table with the column and a
converter: `total = { column = "Total", as = "money", currency = "EUR" }`. `identifiers` is no target; it has a key of
its own.

Numbers of JSON lines and Parquet keep their digits; one with an exponent (`1.5E2`) is the decimal that it writes.

An empty cell leaves its field out. A group of fields, and an element of a list, of which every column is empty is left
out as a whole, with the constants in it.
"""

REASONS = """
## Rejected rows

A row is published whole or not at all. The file of rejected rows has one JSON object a line: `row`, `reason`, the
event's `type` and the `field` where they are known, `detail`, and under `original` the row as it was. `reason` is one
of those of [dead letters](../how-to/read-dead-letters.md), or `unreadable_row` (too many or too few cells, bytes that
are no text, JSON that is none) or `invalid_cell` (a cell that is not written as the mapping says, or empty where the
event cannot do without). With `--mended` the file is read again.
"""


def _type_text(annotation: Any) -> str:
    """A Python annotation in the words of TOML."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _type_text(typing.get_args(annotation)[0])
    if origin is Literal:
        return " or ".join(_literal(value) for value in typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(
            dict.fromkeys(_type_text(part) for part in typing.get_args(annotation) if part is not type(None))
        )
    if origin in (tuple, frozenset):
        return f"list of {_plural(typing.get_args(annotation)[0])}"
    if origin is dict:
        return "table"
    names = {str: "text", bool: "`true` or `false`", int: "whole number", datetime.time: "time of day"}
    return names.get(annotation, "table")


def _plural(annotation: Any) -> str:
    text = _type_text(annotation)
    return {"text": "texts", "table": "tables"}.get(text, text)


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None or value == {} or (isinstance(value, tuple | frozenset) and not value):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return _literal(value) if not isinstance(value, str) or len(value) > 1 else f"`{_quoted(value)}`"


def _literal(value: object) -> str:
    """A value that needs no quotes to be seen, or with them."""
    return f"`{value}`" if len(str(value)) > 1 or not isinstance(value, str) else f"`{_quoted(value)}`"


def _quoted(text: str) -> str:
    return f"'{text}'" if text == '"' else f'"{text}"'


def _rows(model: type[BaseModel], *without: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        if name not in without:
            yield f"`{field.alias or name}`", _type_text(field.annotation), _default(field), field.description or ""


def _keys(model: type[BaseModel], *without: str) -> str:
    return table(("key", "value", "default", "meaning"), _rows(model, *without))


def _converter(model: type[Closed]) -> str:
    word = typing.get_args(model.model_fields["as_"].annotation)[0]
    lines = [f"### `{word}`", (model.__doc__ or "").strip()]
    if model is InstantSpec:
        lines.append("The keys are those of [`time`](#time).")
        return "\n\n".join(lines)
    own = list(_rows(model, "as_", "column"))
    if own:
        lines.append(table(("key", "value", "default", "meaning"), own).strip("\n"))
    return "\n\n".join(lines)


def page() -> str:
    """docs/reference/mapping.md."""
    return markdown_page(
        "Mapping of a table",
        INTRODUCTION,
        "## `[source]`",
        _keys(Source),
        "## `[[event]]`",
        _keys(EventMapping),
        "## `time`",
        _keys(InstantFields),
        "## `when`",
        _keys(Condition),
        "## `identifiers`",
        _keys(IdentifierMapping),
        TEMPLATES,
        FIELDS,
        "## Converters",
        "`as` names the converter; without it the cell is a text. Every one has `column`, and blanks around a cell are "
        "gone before it is read.",
        *(_converter(model) for model in CONVERTERS),
        REASONS,
    )
