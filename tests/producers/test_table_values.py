"""From cells to values: what each converter takes, what it refuses, and that nothing is rounded on the way."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from customer_timeline.producers.tables.converters import converter
from customer_timeline.producers.tables.errors import Unconvertible
from customer_timeline.producers.tables.specs import ColumnSpec

SPEC: TypeAdapter[ColumnSpec] = TypeAdapter(ColumnSpec)


def convert(cell: str, *, source_zone: str | None = None, **spec: Any) -> Any:
    return converter(SPEC.validate_python({"column": "c", **spec}), source_zone)(cell)


@pytest.mark.parametrize(
    ("spec", "cell", "value"),
    [
        ({"as": "integer"}, "12", 12),
        ({"as": "integer"}, "-3.0", -3),  # what data frames make of whole numbers beside missing ones
        ({"as": "decimal"}, "12.50", "12.50"),
        ({"as": "decimal"}, "+0.10", "0.10"),
        ({"as": "decimal"}, "123456789012345.123456", "123456789012345.123456"),
        ({"as": "decimal", "decimal_comma": True}, "12,5", "12.5"),
        ({"as": "decimal", "decimal_comma": True, "thousands": "."}, "-1.234.567,89", "-1234567.89"),
        ({"as": "decimal", "thousands": ","}, "1,234", "1234"),
        ({"as": "decimal", "decimal_comma": True}, "1\u202f234,5", "1234.5"),
        ({"as": "money", "currency": "EUR"}, "8", {"amount": "8", "currency": "EUR"}),
        ({"as": "money", "currency": "EUR", "absolute": True}, "-8.10", {"amount": "8.10", "currency": "EUR"}),
        # ISO 4217: two decimals for the euro, none for the yen, three for the dinar of Kuwait.
        ({"as": "money", "currency": "EUR", "minor_units": True}, "1250", {"amount": "12.50", "currency": "EUR"}),
        ({"as": "money", "currency": "EUR", "minor_units": True}, "5", {"amount": "0.05", "currency": "EUR"}),
        ({"as": "money", "currency": "JPY", "minor_units": True}, "1250", {"amount": "1250", "currency": "JPY"}),
        ({"as": "money", "currency": "KWD", "minor_units": True}, "1250", {"amount": "1.250", "currency": "KWD"}),
        ({"as": "date"}, "2024-02-29", "2024-02-29"),
        ({"as": "date", "formats": ["%d.%m.%Y", "%Y%m%d"]}, "20240131", "2024-01-31"),
        ({"as": "boolean"}, "YES", True),
        ({"as": "boolean", "true": ["ja"], "false": ["nein"]}, "nein", False),
        ({"as": "list"}, "a; b;;c ", ["a", "b", "c"]),
        ({"as": "text", "words": {"in": "inbound"}}, "in", "inbound"),
        ({"as": "text", "words": {"in": "inbound"}, "otherwise": "outbound"}, "?", "outbound"),
    ],
)
def test_a_cell_becomes_the_value_that_the_log_has(spec: dict[str, Any], cell: str, value: Any) -> None:
    assert convert(cell, **spec) == value


@pytest.mark.parametrize(
    ("spec", "cell"),
    [
        ({"as": "integer"}, "1.5"),
        ({"as": "integer"}, "1,000"),
        ({"as": "decimal"}, "12,50"),  # never 1250
        ({"as": "decimal"}, "1,234.50"),
        ({"as": "decimal", "thousands": ","}, "12,34.5"),
        ({"as": "decimal"}, "1e3"),
        ({"as": "decimal"}, "$5"),
        ({"as": "money", "currency": "EUR", "minor_units": True}, "12.50"),
        ({"as": "date"}, "2023-02-29"),
        ({"as": "date"}, "29.02.2024"),
        ({"as": "instant", "zone": "UTC"}, "2024-01-31"),
        ({"as": "instant"}, "2024-01-31 10:00"),
        ({"as": "boolean"}, "maybe"),
        ({"as": "text", "words": {"in": "inbound"}}, "out"),
    ],
)
def test_what_is_not_written_as_the_mapping_says_is_refused_without_quoting_it(spec: dict[str, Any], cell: str) -> None:
    with pytest.raises(Unconvertible) as caught:
        convert(cell, **spec)

    assert cell not in str(caught.value)


@pytest.mark.parametrize(
    ("formats", "cell", "instant"),
    [
        # Berlin is one hour ahead of UTC in winter, two in summer.
        (["iso"], "2024-01-31T09:30:00", "2024-01-31T08:30:00Z"),
        (["iso"], "2024-07-31 09:30", "2024-07-31T07:30:00Z"),
        (["iso"], "2024-07-31T09:30:00.25+05:30", "2024-07-31T04:00:00.250000Z"),
        (["iso"], "2024-07-31T09:30:00Z", "2024-07-31T09:30:00Z"),
        (["iso"], "2024-01-31", "2024-01-31T11:00:00Z"),
        # 02:30 comes twice on the day when clocks go back, and is left out on the day when they go forward.
        (["iso"], "2024-10-27T02:30:00", "2024-10-27T00:30:00Z"),
        (["iso"], "2024-03-31T02:30:00", "2024-03-31T01:30:00Z"),
        (["%d.%m.%Y %H:%M", "%d.%m.%Y"], "31.01.2024", "2024-01-31T11:00:00Z"),
        (["%d/%b/%Y:%H:%M:%S %z"], "31/Jan/2024:09:30:00 -0800", "2024-01-31T17:30:00Z"),
        (["unix"], "1706693400.000001", "2024-01-31T09:30:00.000001Z"),
        (["unix_ms"], "1706693400250", "2024-01-31T09:30:00.250000Z"),
        (["unix"], "-1", "1969-12-31T23:59:59Z"),
    ],
)
def test_instants_are_read_in_the_stated_zone_and_come_in_utc(formats: list[str], cell: str, instant: str) -> None:
    assert convert(cell, **{"as": "instant", "formats": formats, "at": "12:00"}, source_zone="Europe/Berlin") == instant


def test_the_zone_of_the_column_counts_more_than_that_of_the_source() -> None:
    assert (
        convert("2024-01-31 09:30", **{"as": "instant", "zone": "UTC"}, source_zone="Europe/Berlin")
        == "2024-01-31T09:30:00Z"
    )
