"""Lines of an order, as shops write them in JSON: one object a line, with the price of one.

The amount of a line is what the catalogue wants, and is computed exactly: nothing is rounded. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

from customer_timeline.producers.tables.errors import Unconvertible
from customer_timeline.producers.tables.specs import ItemsSpec

_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
_EXPECTED: Final = "expected a list of objects, one a line of the order"

Item = dict[str, str]


def items_converter(spec: ItemsSpec) -> Callable[[str], list[Item]]:
    """The function for a cell that holds the list as text."""

    def convert(cell: str) -> list[Item]:
        try:
            found = json.loads(cell, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            raise Unconvertible(_EXPECTED) from None
        if not isinstance(found, list):
            raise Unconvertible(_EXPECTED)
        return [_item(number, line, spec) for number, line in enumerate(found, 1)]

    return convert


def items_of(lines: Sequence[str], spec: ItemsSpec) -> list[Item]:
    """The items of a list of objects, each as JSON. Raises Unconvertible, which names the line."""
    try:
        found = [json.loads(line, parse_int=str, parse_float=str) for line in lines]
    except (ValueError, RecursionError):
        raise Unconvertible(_EXPECTED) from None
    return [_item(number, line, spec) for number, line in enumerate(found, 1)]


def _item(number: int, line: Any, spec: ItemsSpec) -> Item:
    if not isinstance(line, dict):
        raise Unconvertible(_EXPECTED)
    sku = _first(line, spec.sku)
    if sku is None:
        raise Unconvertible(f"line {number}: expected one of {', '.join(spec.sku)}")
    quantity = _first(line, spec.quantity) or "1"
    amount = _first(line, spec.amount)
    if amount is None:
        price = _first(line, spec.price)
        if price is None:
            raise Unconvertible(f"line {number}: expected one of {', '.join((*spec.amount, *spec.price))}")
        amount = format(_EXACT.multiply(_decimal(number, price), _decimal(number, quantity)), "f")
    made = {"sku": sku, "quantity": quantity, "amount": amount}
    named = {"name": _first(line, spec.name), "category": _first(line, spec.category)}
    return made | {key: text for key, text in named.items() if text is not None}


def _first(line: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """The first value that is filled, as text; what is no single value counts as none."""
    for key in keys:
        value = line.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _decimal(number: int, text: str) -> Decimal:
    try:
        found = _EXACT.create_decimal(text)
    except (InvalidOperation, Inexact):
        raise Unconvertible(f"line {number}: expected a decimal such as 12.50") from None
    if not found.is_finite() or not -20 <= int(found.as_tuple().exponent) <= 20:
        raise Unconvertible(f"line {number}: expected a decimal such as 12.50")
    return found
