"""From the text of one cell to the JSON value of a field: each converter of a mapping as one function.

Made once for a column and called for every row, so what depends on the mapping alone is decided here and not in the
functions. They raise `Unconvertible`, which says what is expected and never what stands there. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, assert_never

from customer_timeline.producers.tables.errors import Unconvertible
from customer_timeline.producers.tables.instants import date_reader, instant_reader
from customer_timeline.producers.tables.items import items_converter
from customer_timeline.producers.tables.specs import (
    BooleanSpec,
    ColumnSpec,
    DateSpec,
    DecimalSpec,
    Digits,
    InstantSpec,
    IntegerSpec,
    ItemsSpec,
    ListSpec,
    MoneySpec,
    TextSpec,
)

Convert = Callable[[str], Any]

REMEMBERED: Final = 1 << 14  # cells of a column: amounts and dates repeat
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.0+)?")
_BLANKS: Final = str.maketrans("", "", "\u00a0\u202f\u2009")

# ISO 4217, list one: decimals of currencies that do not have two.
_MINOR_UNITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def converter(spec: ColumnSpec, zone: str | None) -> Convert:
    """The function of `spec`; `zone` is where times without a zone are from, unless the spec says so itself.

    Money gives the amount's text: its currency may be another cell, so `plan` puts the two together.
    """
    match spec:
        case TextSpec():
            return _text(spec)
        case IntegerSpec():
            return _integer
        case MoneySpec():
            return money_amount(spec) if spec.currency is None else _fixed_money(spec, spec.currency)
        case DecimalSpec():
            return lru_cache(REMEMBERED)(_decimal(spec))
        case DateSpec():
            return lru_cache(REMEMBERED)(date_reader(spec))
        case InstantSpec():
            return lru_cache(REMEMBERED)(instant_reader(spec, zone))
        case BooleanSpec():
            return _boolean(spec)
        case ListSpec():
            return _list(spec)
        case ItemsSpec():
            return items_converter(spec)
        case _:
            assert_never(spec)


def _text(spec: TextSpec) -> Convert:
    words, otherwise = spec.words, spec.otherwise
    if not words:
        return str
    known = ", ".join(words)

    def convert(cell: str) -> str:
        found = words.get(cell, otherwise)
        if found is None:
            raise Unconvertible(f"expected one of the words that the mapping has: {known}")
        return found

    return convert


def _integer(cell: str) -> int:
    if _INTEGER.fullmatch(cell) is None:
        raise Unconvertible("expected a whole number")
    return int(cell.partition(".")[0])


def _decimal(spec: Digits) -> Callable[[str], str]:
    """From the notation of the table to the plain one, digit for digit: nothing is rounded here."""
    point = "," if spec.decimal_comma else "."
    groups = rf"[0-9]{{1,3}}(?:{re.escape(spec.thousands)}[0-9]{{3}})+|" if spec.thousands else ""
    notation = re.compile(rf"([+-]?)({groups}[0-9]+)(?:{re.escape(point)}([0-9]+))?")
    example = "12,50" if spec.decimal_comma else "12.50"
    expected = f"expected a decimal such as {example}"
    if not spec.thousands:
        expected += ", without a sign between thousands (the option thousands allows one)"

    def convert(cell: str) -> str:
        # Spreadsheets group digits with blanks that are no spaces.
        match = notation.fullmatch(cell.translate(_BLANKS) if not cell.isascii() else cell)
        if match is None:
            raise Unconvertible(expected)
        sign, whole, decimals = match.groups()
        plain = whole.replace(spec.thousands, "") if spec.thousands else whole
        text = f"{plain}.{decimals}" if decimals else plain
        return f"-{text}" if sign == "-" else text

    return convert


def _fixed_money(spec: MoneySpec, currency: str) -> Convert:
    amount = money_amount(spec)
    # Every event needs a table of its own for nobody: what is made is written as JSON and forgotten.
    return lru_cache(REMEMBERED)(lambda cell: {"amount": amount(cell, currency), "currency": currency})


def money_amount(spec: MoneySpec) -> Callable[..., str]:
    """The amount's text from the cell and the currency; the second is needed only to count minor units."""
    decimal = _decimal(spec)

    def convert(cell: str, currency: str) -> str:
        text = decimal(cell)
        if spec.absolute:
            text = text.removeprefix("-")
        return _from_minor(text, currency) if spec.minor_units else text

    return lru_cache(REMEMBERED)(convert)


def _from_minor(text: str, currency: str) -> str:
    if "." in text:
        raise Unconvertible("expected a whole number of minor units, such as cents")
    places = _MINOR_UNITS.get(currency, 2)
    if not places:
        return text
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def _boolean(spec: BooleanSpec) -> Convert:
    words = {word.casefold(): True for word in spec.true} | {word.casefold(): False for word in spec.false}
    expected = f"expected one of {', '.join((*spec.true, *spec.false))}"

    def convert(cell: str) -> bool:
        found = words.get(cell.casefold())
        if found is None:
            raise Unconvertible(expected)
        return found

    return convert


def _list(spec: ListSpec) -> Convert:
    separator = spec.separator

    def convert(cell: str) -> list[str] | None:
        found = [item for part in cell.split(separator) if (item := part.strip())]
        return found or None

    return convert
