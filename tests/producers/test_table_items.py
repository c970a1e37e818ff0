"""Lines of an order: from what shops write to items of the catalogue, exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from published_log import CODEC
from table_import import Imported, imported

from customer_timeline.producers.tables.errors import InvalidMapping
from customer_timeline.producers.tables.mapping import parse_mapping

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "mappings"
MAPPING = """
[source]
uri = "shop"
format = "{format}"

[[event]]
type = "purchase.completed.v1"
id = "{{id}}"
time = {{ column = "at" }}
identifiers = [{{ kind = "email", value = "{{who}}" }}]

[event.fields]
channel = "web"
order_id = "shop:{{id}}"
total = {{ column = "total", as = "money", currency = "EUR" }}
items = {{ column = "lines", as = "items", amount = ["line_total"] }}
"""
ORDER = {"id": "1", "at": "2026-03-01T10:00:00Z", "who": "ann@example.com", "total": "59.90"}


def from_json(lines: Any) -> Imported:
    content = json.dumps({**ORDER, "lines": lines}).encode()
    return imported(content, parse_mapping(MAPPING.format(format="jsonl")))


def test_the_amount_of_a_line_is_its_price_times_its_quantity_exactly() -> None:
    found = from_json(
        [
            {"sku": "A", "price": 0.1, "quantity": 3, "name": "Screw", "category": "parts", "position": 1},
            {"product_id": "B", "price": "19.99"},
            {"sku": "C", "price": 9, "quantity": 2, "line_total": 17.5},
        ]
    )
    assert found.data[0]["items"] == [
        # 0.1 × 3 is 0.30000000000000004 in floats.
        {"sku": "A", "quantity": "3", "amount": "0.3", "name": "Screw", "category": "parts"},
        {"sku": "B", "quantity": "1", "amount": "19.99"},
        {"sku": "C", "quantity": "2", "amount": "17.5"},
    ]


def test_a_list_written_into_a_cell_is_read_too() -> None:
    table = 'id,at,who,total,lines\n1,2026-03-01T10:00:00Z,ann@example.com,5.00,"[{""sku"": ""A"", ""price"": 5}]"\n'
    found = imported(table.encode(), parse_mapping(MAPPING.format(format="csv")))
    assert found.data[0]["items"] == [{"sku": "A", "quantity": "1", "amount": "5"}]


@pytest.mark.parametrize("lines", [[], None])
def test_an_order_without_lines_has_no_items(lines: Any) -> None:
    assert "items" not in from_json(lines).data[0]


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        ([{"price": 5}], "line 1: expected one of sku, product_id"),
        ([{"sku": "A", "price": 5}, {"sku": "B"}], "line 2: expected one of line_total, price"),
        ([{"sku": "A", "price": "5 EUR"}], "line 1: expected a decimal such as 12.50"),
        ([{"sku": "A", "price": "NaN"}], "line 1: expected a decimal such as 12.50"),
        (["A"], "expected a list of objects, one a line of the order"),
        ("A", "expected a list of objects, one a line of the order"),
    ],
)
def test_a_line_that_cannot_be_read_rejects_the_row_and_is_named(lines: Any, detail: str) -> None:
    (rejected,) = from_json(lines).rejected
    assert (rejected["reason"], rejected["field"], rejected["detail"]) == (
        "invalid_cell",
        "data.items",
        f"column lines: {detail}",
    )


@pytest.mark.parametrize(
    "changed",
    [
        ('items = { column = "lines", as = "items", amount = ["line_total"] }', 'items = "{lines}"'),
        ("items = {", "attributes.lines = {"),
    ],
)
def test_items_are_made_by_their_converter_and_by_it_alone(changed: tuple[str, str]) -> None:
    mapping = parse_mapping(MAPPING.format(format="jsonl").replace(*changed))
    with pytest.raises(InvalidMapping, match="belong together"):
        imported(json.dumps({**ORDER, "lines": []}).encode(), mapping)


def test_objects_are_no_texts_of_a_list() -> None:
    mapping = MAPPING.format(format="jsonl").replace('as = "items", amount = ["line_total"]', 'as = "list"')
    mapping = mapping.replace("items =", "attributes.lines =")
    found = imported(json.dumps({**ORDER, "lines": [{"sku": "A"}]}).encode(), parse_mapping(mapping))
    assert found.rejected[0]["detail"] == "column lines: expected a list of texts, not of objects"


def test_the_segment_mapping_accounts_for_every_call() -> None:
    mapping = parse_mapping((EXAMPLES / "segment.toml").read_text(encoding="utf-8"))
    content = (EXAMPLES / "segment.ndjson").read_bytes()
    calls = [json.loads(line) for line in content.splitlines()]

    found = imported(content, mapping)

    rows = found.report["rows"]
    assert (rows["read"], rows["rejected"], rows["without_event"]) == (len(calls), 3, 9)
    assert len(found.events) == len(calls) - 3 - 9
    (alias,) = [call for call in calls if call["type"] == "alias"]
    (linked,) = [event for event in found.events if event["type"] == "identity.linked.v1"]
    assert (linked["id"], linked["data"]["a"]) == (
        alias["messageId"],
        {"kind": "device_id", "value": alias["previousId"]},
    )
    first = next(event for event in found.events if event["type"] == "purchase.completed.v1")
    assert [(item["sku"], item["amount"]) for item in first["data"]["items"]] == [("LAMP-1", "49.9"), ("BULB-7", "10")]
    assert CODEC.parse(json.dumps(first).encode()).type == "purchase.completed.v1"
