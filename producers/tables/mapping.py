"""The mapping: what the columns of a table mean, as data. The TOML file that users write is checked here, all at once.

`docs/reference/mapping.md` is generated from the descriptions. Whether columns and targets exist is not known here:
`targets` holds the mapping against the catalogue, `plan` against the table. Pure: text in, models out.
"""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Mapping as AnyMapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from customer_timeline.producers.tables.errors import InvalidMapping
from customer_timeline.producers.tables.specs import (
    Closed,
    Column,
    FieldSpec,
    InstantFields,
    TemplateText,
    ZoneName,
    is_spec,
)
from customer_timeline.producers.tables.templates import ROW_NUMBER, parse_template
from customer_timeline.schemas.values import MAX_INT32

Format = Literal["csv", "columns", "jsonl", "parquet"]
TEXT_FORMATS: Final = ("csv", "columns", "jsonl")


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError("no such encoding; utf-8, cp1252 and latin-1 are the usual ones") from None
    return name


# Which options mean something only for some formats: said where they do nothing, they are a mistake.
_OPTIONS: Final[AnyMapping[str, tuple[Format, ...]]] = {
    "delimiter": ("csv",),
    "quote": ("csv",),
    "header": ("csv", "columns"),
    "skip_lines": ("csv", "columns"),
    "encoding": ("csv", "columns", "jsonl"),
}


class Source(Closed):
    """The table: whose it is, and how it is written."""

    uri: str = Field(
        min_length=1,
        description="`source` of every event: names the system that the table comes from, and never changes.",
    )
    format: Format = Field(
        description="`csv`; `columns`: cells parted by blanks; `jsonl`: one JSON object a line; `parquet`. Text may be "
        "compressed with gzip."
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] = Field("utf-8", description="How the text is encoded.")
    delimiter: str = Field(",", min_length=1, max_length=1, description='Sign between two cells of a CSV; `"\\t"`.')
    quote: str = Field('"', max_length=1, description="Sign around a cell that holds delimiters; `''` for none.")
    header: bool = Field(True, description="The first row holds the names of the columns.")
    columns: tuple[Column, ...] | None = Field(
        None,
        description="Names of the columns, where there is no header or its names will not do. With `jsonl` the keys "
        "that may occur; an inner key is `outer.inner`.",
    )
    skip_lines: int = Field(0, ge=0, description="Lines before the header that are no part of the table.")
    trim: bool = Field(True, description="Blanks around a cell mean nothing.")
    empty: frozenset[str] = Field(frozenset(), description='Words that mean an empty cell: `["NULL", "n/a"]`.')
    zone: ZoneName | None = Field(None, description="Time zone of times that do not say theirs: `Europe/Berlin`.")

    @model_validator(mode="after")
    def _only_options_of_the_format(self) -> Self:
        for name, formats in _OPTIONS.items():
            if name in self.model_fields_set and self.format not in formats:
                raise ValueError(f"{name} means nothing for {self.format}, only for {' and '.join(formats)}")
        if self.format in ("csv", "columns") and not self.header and not self.columns:
            raise ValueError("without a header the names of the columns have to be given: columns = [...]")
        return self


class Condition(Closed):
    """What must be so for the event to be made of a row. Exactly one of the four is given beside the column."""

    column: Column = Field(description="The column.")
    filled: bool | None = Field(None, description="`true`: the cell is not empty; `false`: it is.")
    equals: str | None = Field(None, description="The cell is this text, letter for letter.")
    one_of: frozenset[str] | None = Field(None, description="The cell is one of these texts.")
    differs: str | None = Field(None, description="The cell is anything but this text; an empty one is.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        given = [name for name in ("filled", "equals", "one_of", "differs") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("exactly one of filled, equals, one_of and differs says what must be so")
        return self


class IdentifierMapping(Closed):
    """One identifier of the event; left out of a row where a column of it is empty."""

    kind: str = Field(
        min_length=1, description="`member_id`, `user_id`, `crm_id`, `open_id:<platform>`, `email`, `phone` …"
    )
    value: TemplateText = Field(description="The value as the table has it: `{email}`, `loyalty:{member}`.")


def _several(given: Any) -> Any:
    return (given,) if isinstance(given, AnyMapping) else given


def _flat(given: Any) -> Any:
    """`traits = {given_name = …}`, which TOML makes of `traits.given_name = …`, as the one key `traits.given_name`."""
    if not isinstance(given, AnyMapping):
        return given
    found: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, AnyMapping) and not is_spec(value):
            found.update({f"{name}.{inner}": kept for inner, kept in _flat(value).items()})
        else:
            found[str(name)] = value
    return found


def _names_a_row(text: str) -> str:
    template = parse_template(text)
    if template.constant is not None:
        raise ValueError("all rows would give one event: the id needs a column, or {#}, the number of the row")
    if set(template.columns) == {ROW_NUMBER} and not template.literals[0]:
        raise ValueError("numbers of rows need a text before them that names this one table: 'orders-2019-{#}'")
    return text


class EventMapping(Closed):
    """One event that a row gives. A row may give several, each under its own condition."""

    type: str = Field(description="Type of the event, `purchase.completed.v1`; the catalogue has them all.")
    id: Annotated[TemplateText, AfterValidator(_names_a_row)] = Field(
        description="Id of the event within the source, the same in every import: `{order_id}-paid`. `{#}` is the "
        "number of the row, to be used where the table has no key and never changes."
    )
    when: Annotated[tuple[Condition, ...], BeforeValidator(_several)] = Field(
        (), description="One condition, or a list of conditions that must all hold; without one every row is an event."
    )
    time: InstantFields = Field(description="When it happened.")
    revision: int = Field(
        0, ge=0, le=MAX_INT32, description="Higher for a table that corrects what was imported under the same ids."
    )
    identifiers: tuple[IdentifierMapping, ...] = Field((), max_length=20, description="Who is meant.")
    fields: Annotated[dict[str, FieldSpec], BeforeValidator(_flat)] = Field(
        default_factory=dict, description="Target, such as `order_id` or `traits.given_name`, to what goes there."
    )


class Mapping(Closed):
    """A whole mapping file."""

    source: Source
    event: tuple[EventMapping, ...]

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if not self.event:
            raise ValueError("at least one [[event]] says what a row means")
        return self


def parse_mapping(text: str) -> Mapping:
    """The mapping that `text` (TOML) describes. Raises InvalidMapping with everything that is wrong with it."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise InvalidMapping([f"It is no TOML: {exc}."]) from exc
    try:
        return Mapping.model_validate(given)
    except ValidationError as exc:
        raise InvalidMapping(_told(exc)) from None


def _told(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{place_of(problem['loc'])}: {_said(problem)}." for problem in found]


def _said(problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such key"
    return "it is missing" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")


def place_of(location: tuple[int | str, ...]) -> str:
    """`event 2, fields.total.currency`: where in the file, as its writer counts."""
    steps = list(location)
    if steps and steps[0] == "event" and len(steps) > 1:
        # Tags of the union of converters are ours, the file does not have them.
        steps = [step for number, step in enumerate(steps) if not (number == 4 and steps[2] == "fields")]
        head = f"event {int(steps[1]) + 1}"
        return f"{head}, {_path(steps[2:])}" if steps[2:] else head
    return _path(steps) or "The file"


def _path(steps: list[int | str]) -> str:
    text = ""
    for step in steps:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text
