"""The building blocks of event data: exact decimals, money, instants, bounded texts, and the mark of what is personal.

Models in `touchpoints/` are made of these and of nothing looser, so that no float, no naive time and no unbounded
text can enter the log. Pure: nothing here reads a clock or a locale.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints, WithJsonSchema
from pydantic.functional_validators import AfterValidator
from pydantic_core import PydanticCustomError, core_schema

MAX_INTEGER_DIGITS: Final = 15
MAX_DECIMALS: Final = 6
MAX_INT32: Final = 2**31 - 1

_DECIMAL_TEXT: Final = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,6}))?")
_DECIMAL_JSON_PATTERN: Final = r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$"
# RFC 3339 with a zone: the pattern keeps out bare numbers and dates, which a datetime parser would take as instants.
_INSTANT_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$"
_DATE_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}$"


@dataclass(frozen=True, slots=True)
class Personal:
    """Mark of a field that says something about a person. Logs, masks and encryption read it (`personal_paths`)."""


def _invalid_decimal() -> PydanticCustomError:
    return PydanticCustomError(
        "exact_decimal",
        'expected a decimal as a string such as "12.50", with at most 15 digits before and 6 after the point',
    )


@cache
def _decimal_parser(least_decimals: int) -> Callable[[str], Decimal]:
    # Prices repeat, so the cache takes most of the parsing off the hot path. One function for each precision, because
    # pydantic then calls it with no Python frame in between.
    @lru_cache(maxsize=1 << 14)
    def parse(text: str) -> Decimal:
        match = _DECIMAL_TEXT.fullmatch(text)
        if match is None:
            raise _invalid_decimal()
        sign, whole, decimals = match[1], match[2].lstrip("0") or "0", (match[3] or "").rstrip("0")
        if whole == "0" and not decimals:
            sign = ""  # -0 and 0 are one amount
        decimals = decimals.ljust(least_decimals, "0")
        return Decimal(f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}")

    return parse


def _from_python(value: object, least_decimals: int) -> Decimal:
    # Code that builds events may hand over Decimals and integers, which are exact; floats never.
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise _invalid_decimal()
    if isinstance(value, Decimal) and not value.is_finite():
        raise _invalid_decimal()
    try:
        text = value if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else str(value)
    except ValueError as exc:  # an integer of more digits than Python turns into text
        raise _invalid_decimal() from exc
    if "." in text and isinstance(value, Decimal):
        text = text.rstrip("0").rstrip(".")
    return _decimal_parser(least_decimals)(text)


@dataclass(frozen=True, slots=True)
class _ExactDecimal:
    """Pydantic type of decimals that travel as JSON strings; JSON numbers are refused: elsewhere they become floats.

    Values are quantised on entry: trailing zeros beyond `least_decimals` go, so 1.5 and 1.50 are one value, one text.
    """

    least_decimals: int = 0
    least: int | None = None
    greatest: int | None = None
    also_integers: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        places = self.least_decimals

        def from_python(value: object) -> Decimal:
            return _from_python(value, places)

        from_json: core_schema.CoreSchema = core_schema.no_info_after_validator_function(
            _decimal_parser(places), core_schema.str_schema(strict=True, max_length=32)
        )
        if self.also_integers:
            # Decimal itself is exact on integers; the bounds keep it within what a text may hold.
            integer = core_schema.no_info_after_validator_function(
                Decimal,
                core_schema.int_schema(strict=True, ge=-(10**MAX_INTEGER_DIGITS) + 1, lt=10**MAX_INTEGER_DIGITS),
            )
            # One error for both, so that its place is the field and not a branch.
            from_json = core_schema.union_schema(
                [integer, from_json],
                mode="left_to_right",
                custom_error_type="exact_decimal",
                custom_error_message='expected an integer or a decimal as a string such as "0.75"',
            )
        schema: core_schema.CoreSchema = core_schema.json_or_python_schema(
            json_schema=from_json,
            python_schema=core_schema.no_info_plain_validator_function(from_python),
            serialization=core_schema.to_string_ser_schema(),
        )
        if self.least is None and self.greatest is None:
            return schema
        return core_schema.no_info_after_validator_function(
            self._check, schema, serialization=core_schema.to_string_ser_schema()
        )

    def _check(self, value: Decimal) -> Decimal:
        if self.least is not None and value < self.least:
            raise PydanticCustomError("too_small", "expected at least {least}", {"least": self.least})
        if self.greatest is not None and value > self.greatest:
            raise PydanticCustomError("too_great", "expected at most {greatest}", {"greatest": self.greatest})
        return value

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        pattern = (
            _DECIMAL_JSON_PATTERN if self.least is None or self.least < 0 else _DECIMAL_JSON_PATTERN.replace("-?", "")
        )
        text = {"type": "string", "pattern": pattern}
        if not self.also_integers:
            return text
        bounds = {"minimum": self.least, "maximum": self.greatest}
        integer = {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}
        return {"anyOf": [integer, text]}


Amount = Annotated[Decimal, _ExactDecimal(least_decimals=2, least=0)]
SignedAmount = Annotated[Decimal, _ExactDecimal(least_decimals=2)]
Quantity = Annotated[Decimal, _ExactDecimal(least=0, also_integers=True)]
Percent = Annotated[Decimal, _ExactDecimal(least=0, greatest=100, also_integers=True)]
Latitude = Annotated[Decimal, _ExactDecimal(least=-90, greatest=90)]
Longitude = Annotated[Decimal, _ExactDecimal(least=-180, greatest=180)]


def _instant_to_text(value: datetime) -> str:
    """RFC 3339 in UTC with `Z`, microseconds only where there are some."""
    try:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:  # within a day of year 1 or 9999: no UTC form, and no event that is ever accepted
        return value.isoformat()


@dataclass(frozen=True, slots=True)
class _AwareInstant:
    """Pydantic type of instants: RFC 3339 text with a zone in JSON, aware datetimes in Python."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        aware = core_schema.datetime_schema(tz_constraint="aware")
        return core_schema.json_or_python_schema(
            json_schema=core_schema.custom_error_schema(
                core_schema.chain_schema(
                    [core_schema.str_schema(strict=True, pattern=_INSTANT_PATTERN, max_length=40), aware]
                ),
                custom_error_type="instant",
                custom_error_message="expected an instant with its zone, such as 2026-01-31T09:30:00Z",
            ),
            python_schema=core_schema.datetime_schema(tz_constraint="aware", strict=True),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _instant_to_text, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


Instant = Annotated[datetime, _AwareInstant()]


def _only_iso_date(value: object) -> object:
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise PydanticCustomError("iso_date", 'expected a date such as "2026-01-31"')
    if isinstance(value, str) and re.fullmatch(_DATE_PATTERN, value) is None:
        raise PydanticCustomError("iso_date", 'expected a date such as "2026-01-31"')
    return value


IsoDate = Annotated[date, BeforeValidator(_only_iso_date), WithJsonSchema({"type": "string", "format": "date"})]


# Line breaks and other controls have no place in names and ids; U+0000 in free text is left to the storage to refuse.
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=512)]
LongText = Annotated[str, StringConstraints(max_length=100_000)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_NO_CONTROLS)]
# A thing's id is hashed and stored as it is: blanks around it would make two things of one.
ThingId = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=256,
        pattern=r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$",
    ),
]
Sku = Token
ShortTexts = Annotated[tuple[ShortText, ...], Field(max_length=100)]
Seconds = Annotated[int, Field(strict=True, ge=0, le=MAX_INT32, description="Whole seconds.")]
Milliseconds = Annotated[int, Field(strict=True, ge=0, le=MAX_INT32, description="Whole milliseconds.")]
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_INT32)]
Flag = StrictBool
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Part(BaseModel):
    """A structured value inside event data: immutable, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Money(Part):
    """An exact, non-negative amount in one currency (three capital letters, ISO 4217)."""

    amount: Amount
    currency: Currency


_MAX_ATTRIBUTE_DEPTH: Final = 8
_MAX_ATTRIBUTE_VALUES: Final = 1000
_MAX_INT64: Final = 2**63 - 1


def _check_json(value: Any, depth: int, budget: int) -> int:
    """Refuse what some store, hash or reader of the log cannot hold; returns what is left of `budget` values."""
    if depth > _MAX_ATTRIBUTE_DEPTH:
        raise PydanticCustomError("too_deep", "expected at most 8 levels of nesting")
    if budget <= 0:
        raise PydanticCustomError("too_many", "expected at most 1000 values")
    budget -= 1
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or len(key) > 256:
                raise PydanticCustomError("key_too_long", "expected keys of at most 256 characters")
            budget = _check_json(inner, depth + 1, budget)
    elif isinstance(value, list | tuple):
        for inner in value:
            budget = _check_json(inner, depth + 1, budget)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise PydanticCustomError("not_finite", "expected finite numbers: NaN, Infinity and 1e400 are none")
    elif isinstance(value, int):
        if not -_MAX_INT64 - 1 <= value <= _MAX_INT64:
            raise PydanticCustomError("too_great", "expected integers of at most 64 bits; write longer ones as strings")
    elif value is not None and not isinstance(value, str):
        raise PydanticCustomError("not_json", "expected JSON values only")
    return budget


def _checked_object(value: dict[str, Any]) -> dict[str, Any]:
    # Nearly every object that is sent is a handful of texts, which need no walk.
    if len(value) < _MAX_ATTRIBUTE_VALUES:
        for key, inner in value.items():
            if type(inner) is not str or len(key) > 256:
                break
        else:
            return value
    _check_json(value, 0, _MAX_ATTRIBUTE_VALUES)
    return value


JsonObject = Annotated[
    dict[str, Any],
    AfterValidator(_checked_object),
    Field(description="Any JSON object: at most 8 levels, 1000 values, integers of 64 bits, finite numbers."),
]
