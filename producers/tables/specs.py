"""How one cell becomes one value: the converters of a mapping, as data. Compiled by `converters` and `instants`."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    Tag,
    model_validator,
)

from customer_timeline.producers.tables.templates import parse_template

ISO: Final = "iso"
UNIX: Final = "unix"
UNIX_MS: Final = "unix_ms"
# Directives of strptime that say something about the time of day, and about the zone.
_CLOCK: Final = frozenset("HIcXpMSf")
_ZONE: Final = frozenset("zZ")


class Closed(BaseModel):
    """A part of the mapping: immutable, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _template(text: str) -> str:
    parse_template(text)
    return text


def _zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time zone") from None
    return name


def _directives(pattern: str) -> frozenset[str]:
    return frozenset(after[0] for after in pattern.replace("%%", "").split("%")[1:] if after)


def _date_format(pattern: str) -> str:
    if pattern != ISO and "%" not in pattern:
        raise ValueError("expected `iso`, or a pattern such as %d.%m.%Y")
    if tells_clock(pattern):
        raise ValueError('a date has no time of day: as = "instant" takes one')
    return pattern


def _instant_format(pattern: str) -> str:
    if pattern not in (ISO, UNIX, UNIX_MS) and "%" not in pattern:
        raise ValueError("expected `iso`, `unix`, `unix_ms`, or a pattern such as %d.%m.%Y %H:%M")
    return pattern


def tells_clock(pattern: str) -> bool:
    """Whether a pattern of strptime reads a time of day."""
    return bool(_directives(pattern) & _CLOCK)


def tells_zone(pattern: str) -> bool:
    """Whether a pattern of strptime reads a zone."""
    return bool(_directives(pattern) & _ZONE)


Column = Annotated[str, StringConstraints(min_length=1)]
TemplateText = Annotated[str, StringConstraints(min_length=1), AfterValidator(_template)]
ZoneName = Annotated[str, AfterValidator(_zone)]
Words = Annotated[tuple[StrictStr, ...], Field(min_length=1)]


class FromColumn(Closed):
    """What all converters have: the column that they read. An empty cell leaves the field out."""

    column: Column = Field(description="The column.")


class TextSpec(FromColumn):
    """The cell as it is, or the word that stands for it."""

    as_: Literal["text"] = Field("text", alias="as")
    words: dict[str, str] = Field(
        default_factory=dict, description='What to write for each text: `{ in = "inbound", out = "outbound" }`.'
    )
    otherwise: str | None = Field(
        None, description="What to write for texts that `words` does not have; without it such a row is rejected."
    )


class IntegerSpec(FromColumn):
    """A whole number."""

    as_: Literal["integer"] = Field(alias="as")


class Digits(FromColumn):
    """How decimals are written."""

    decimal_comma: bool = Field(False, description="The decimals stand after a comma: `12,50`.")
    thousands: Literal["", ".", ",", " ", "'"] = Field("", description="Sign between groups of three digits.")

    @model_validator(mode="after")
    def _two_signs(self) -> Self:
        if self.thousands == ("," if self.decimal_comma else "."):
            raise ValueError("one sign cannot part both the thousands and the decimals")
        return self


class DecimalSpec(Digits):
    """An exact decimal."""

    as_: Literal["decimal"] = Field(alias="as")


class MoneySpec(Digits):
    """An exact amount of one currency."""

    as_: Literal["money"] = Field(alias="as")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        None, description="The currency of all rows: `EUR`."
    )
    currency_column: Column | None = Field(None, description="The column with each row's currency.")
    minor_units: bool = Field(False, description="The column counts cents, or whatever ISO 4217 says of the currency.")
    absolute: bool = Field(False, description="A minus sign means nothing: refunds are often written with one.")

    @model_validator(mode="after")
    def _one_currency(self) -> Self:
        if (self.currency is None) == (self.currency_column is None):
            raise ValueError("either currency or currency_column says which money it is")
        return self


class DateSpec(FromColumn):
    """A day of the calendar."""

    as_: Literal["date"] = Field(alias="as")
    formats: tuple[Annotated[str, AfterValidator(_date_format)], ...] = Field(
        (ISO,), min_length=1, description="Tried in this order: `iso` (`2024-01-31`), or patterns: `%d.%m.%Y`."
    )


class InstantFields(Closed):
    """An instant: one column, or several that are read with a blank between them."""

    column: Column | None = Field(None, description="The column.")
    columns: tuple[Column, ...] = Field((), description="Several columns, such as a date and a time of day.")
    formats: tuple[Annotated[str, AfterValidator(_instant_format)], ...] = Field(
        (ISO,),
        min_length=1,
        description="Tried in this order: `iso` (`2024-01-31T09:30:00+01:00`, also with a blank or without the time), "
        "`unix` and `unix_ms` (since 1970), or patterns: `%d.%m.%Y %H:%M`.",
    )
    zone: ZoneName | None = Field(
        None,
        description="Zone of times that do not say theirs; else that of `source`. In an hour that the clock shows "
        "twice, as it is set back, the first is meant; in one that it skips, as it is set forward, a time is read as "
        "if it had not been set yet: 02:30 is what the clock shows as 03:30.",
    )
    at: datetime.time | None = Field(None, description="The time of day of cells that are only a date: `12:00`.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if (self.column is None) == (not self.columns):
            raise ValueError("either column or columns says where the time stands")
        if self.at is not None and self.at.tzinfo is not None:
            raise ValueError("at is a time of day without a zone; zone says which")
        patterns = [pattern for pattern in self.formats if "%" in pattern]
        if self.at is None and any(not tells_clock(pattern) for pattern in patterns):
            raise ValueError('a date is no instant: at = "12:00", for instance, says which time of that day is meant')
        return self

    @property
    def read_columns(self) -> tuple[str, ...]:
        """The columns, whichever way they were given."""
        return self.columns if self.column is None else (self.column,)

    @property
    def needs_zone(self) -> bool:
        """Whether a pattern reads a time that does not say its zone."""
        return any("%" in pattern and not tells_zone(pattern) for pattern in self.formats)


class InstantSpec(InstantFields):
    """An instant in a field."""

    as_: Literal["instant"] = Field(alias="as")


class BooleanSpec(FromColumn):
    """Yes or no."""

    as_: Literal["boolean"] = Field(alias="as")
    true: Words = Field(("true", "yes", "1"), description="Words that mean yes, in any case.")
    false: Words = Field(("false", "no", "0"), description="Words that mean no, in any case.")


class ListSpec(FromColumn):
    """Several texts in one cell, or a list where the format has lists."""

    as_: Literal["list"] = Field(alias="as")
    separator: str = Field(";", min_length=1, description="What stands between two of them; blanks around it go.")


class ItemsSpec(FromColumn):
    """The lines of an order: a list of objects as JSON has it, or the text of one. For the target `items` alone.

    Each line gets `sku`, `quantity`, `amount`, and `name` and `category` where it has them. `amount` is the price of
    one times the quantity.
    """

    as_: Literal["items"] = Field(alias="as")
    sku: Words = Field(("sku", "product_id"), description="Keys of the article's number; the first that is filled.")
    name: Words = Field(("name",), description="Keys of its name.")
    category: Words = Field(("category",), description="Keys of its category.")
    quantity: Words = Field(("quantity",), description="Keys of how many; 1 where none is filled.")
    price: Words = Field(
        ("price",), description="Keys of the price of one, which a line must have, unless `amount` is."
    )
    amount: tuple[StrictStr, ...] = Field((), description="Keys of the price of all of the line.")


ColumnSpec = (
    TextSpec | IntegerSpec | DecimalSpec | MoneySpec | DateSpec | InstantSpec | BooleanSpec | ListSpec | ItemsSpec
)
CONVERTERS: Final[tuple[type[Closed], ...]] = (
    TextSpec,
    IntegerSpec,
    DecimalSpec,
    MoneySpec,
    DateSpec,
    InstantSpec,
    BooleanSpec,
    ListSpec,
    ItemsSpec,
)
Constant = StrictBool | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | tuple[StrictStr, ...]


def is_spec(value: Mapping[str, Any]) -> bool:
    """Whether a table of the file is a converter, and not a group of targets."""
    return "column" in value or "columns" in value or "as" in value


def _kind(value: Any) -> str | None:
    if isinstance(value, Closed):
        return str(getattr(value, "as_", "text"))
    if isinstance(value, str):
        return "template"
    if isinstance(value, Mapping):
        return str(value.get("as", "text"))
    return "constant" if isinstance(value, bool | int | list | tuple) else None


FieldSpec = Annotated[
    Annotated[TemplateText, Tag("template")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[TextSpec, Tag("text")]
    | Annotated[IntegerSpec, Tag("integer")]
    | Annotated[DecimalSpec, Tag("decimal")]
    | Annotated[MoneySpec, Tag("money")]
    | Annotated[DateSpec, Tag("date")]
    | Annotated[InstantSpec, Tag("instant")]
    | Annotated[BooleanSpec, Tag("boolean")]
    | Annotated[ListSpec, Tag("list")]
    | Annotated[ItemsSpec, Tag("items")],
    Discriminator(
        _kind,
        custom_error_type="field",
        custom_error_message="expected a text such as '{column}' or 'web', true or false, a whole number, a list of "
        "texts, or a table with column and as = text, integer, decimal, money, date, instant, boolean, list or items",
    ),
]
