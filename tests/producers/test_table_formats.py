"""Every format of table gives the same events; what is wrong with one row spoils that row only."""

from __future__ import annotations

import gzip
import io
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from table_import import imported, mapping_of

from customer_timeline.producers.errors import PackageMissing
from customer_timeline.producers.tables.errors import InvalidMapping, TableUnreadable

BOUGHT = """
type = "purchase.completed.v1"
id = "{order}"
time = { column = "day", at = "12:00", zone = "UTC" }
identifiers = [{ kind = "email", value = "{email}" }]
fields.channel = "web"
fields.order_id = "shop:{order}"
fields.total = { column = "total", as = "money", currency = "EUR" }
"""
ROWS = [("1", "2024-01-31", "ann@example.com", "12.10"), ("2", "2024-02-01", "bob@example.com", "0.05")]
NAMES = ("order", "day", "email", "total")
WANTED = [
    ("1", "2024-01-31T12:00:00Z", "ann@example.com", "12.10"),
    ("2", "2024-02-01T12:00:00Z", "bob@example.com", "0.05"),
]


def csv(*lines: str, encoding: str = "utf-8") -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(encoding)


def parquet(**columns: Any) -> bytes:
    written = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), written)
    return written.getvalue()


HEADER = ",".join(NAMES)
LINES = [",".join(row) for row in ROWS]


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ('format = "csv"', csv(HEADER, *LINES)),
        ('format = "csv"', b"\xef\xbb\xbf" + csv(HEADER, *LINES).replace(b"\n", b"\r\n")),
        ('format = "csv"', gzip.compress(csv(HEADER, "", *LINES), mtime=0)),
        ('format = "csv"\ndelimiter = "\\t"', csv(HEADER, *LINES).replace(b",", b"\t")),
        (
            'format = "csv"\ndelimiter = ";"\nquote = "\'"',
            csv(HEADER, *(";".join(f"'{cell}'" for cell in row) for row in ROWS)).replace(b",", b";"),
        ),
        ('format = "csv"\nheader = false\ncolumns = ["order", "day", "email", "total"]', csv(*LINES)),
        ('format = "csv"\nskip_lines = 2', csv("Export", "of today", HEADER, *LINES)),
        ('format = "csv"\nencoding = "utf-16"', csv(HEADER, *LINES, encoding="utf-16")),
        ('format = "columns"', csv(HEADER, *LINES).replace(b",", b"   ")),
        ('format = "jsonl"', csv(*(json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS))),
        (
            'format = "jsonl"',
            b"\n".join(f'{{"order":{o},"day":"{d}","email":"{e}","total":{t}}}'.encode() for o, d, e, t in ROWS),
        ),
        (
            'format = "parquet"',
            parquet(
                order=[1, 2],
                day=[date(2024, 1, 31), date(2024, 2, 1)],
                email=[row[2] for row in ROWS],
                total=pyarrow.array([Decimal("12.10"), Decimal("0.05")], pyarrow.decimal128(9, 2)),
                unused=[None, None],
            ),
        ),
    ],
)
def test_every_format_gives_the_same_events(source: str, content: bytes) -> None:
    found = imported(content, mapping_of(source, BOUGHT))

    assert found.rejected == []
    assert [
        (event["id"], event["time"], event["data"]["identifiers"][0]["value"], event["data"]["total"]["amount"])
        for event in found.events
    ] == WANTED


def test_json_numbers_keep_every_digit_and_inner_keys_are_columns() -> None:
    event = BOUGHT.replace("{order}", "{order.id}").replace('"total",', '"order.total",')
    line = '{"order": {"id": 7, "total": 123456789012345.123456}, "day": "2024-01-31", "email": "a@example.com"}'

    found = imported(line.encode(), mapping_of('format = "jsonl"', event))

    assert found.data[0]["order_id"] == "shop:7"
    assert found.data[0]["total"]["amount"] == "123456789012345.123456"


def test_typed_columns_become_what_their_text_would() -> None:
    # The second of each: what is missing in a data frame.
    content = parquet(
        id=["1", "2"],
        at=pyarrow.array([datetime(2024, 1, 31, 9, tzinfo=UTC)] * 2, pyarrow.timestamp("ns", "Europe/Berlin")),
        email=["a@example.com", "b@example.com"],
        ms=pyarrow.array([1500.0, float("nan")]),
        machine=[True, None],
        tags=[["x", " y "], None],
    )
    event = """
    type = "page.viewed.v1"
    id = "{id}"
    time = { column = "at" }
    identifiers = [{ kind = "email", value = "{email}" }]
    fields.channel = "web"
    fields.url = "https://example.com/"
    fields.dwell_ms = { column = "ms", as = "integer" }
    fields.automated = { column = "machine", as = "boolean" }
    fields.attributes.tags = { column = "tags", as = "list" }
    """

    found = imported(content, mapping_of('format = "parquet"', event))

    said = [{key: data.get(key) for key in ("dwell_ms", "automated", "attributes")} for data in found.data]
    assert said == [
        {"dwell_ms": 1500, "automated": True, "attributes": {"tags": ["x", "y"]}},
        {"dwell_ms": None, "automated": None, "attributes": None},
    ]
    assert found.events[0]["time"] == "2024-01-31T09:00:00Z"


def test_a_list_where_one_value_is_expected_rejects_the_row() -> None:
    line = b'{"order": ["1"], "day": "2024-01-31", "email": "a@example.com", "total": "1"}'

    found = imported(line, mapping_of('format = "jsonl"', BOUGHT))

    assert found.rejected[0]["field"] == "id"
    assert found.rejected[0]["detail"] == 'column order: expected one value, not a list: as = "list" takes lists'


@pytest.mark.parametrize(
    ("source", "bad", "original"),
    [
        (
            'format = "csv"',
            b"9,2024-01-31,c@example.com,1,surplus",
            ["9", "2024-01-31", "c@example.com", "1", "surplus"],
        ),
        ('format = "csv"', b"9,2024-01-31", ["9", "2024-01-31"]),
        (
            'format = "csv"',
            b"9\xff,2024-01-31,c@example.com,1",
            dict(zip(NAMES, ("9\udcff", "2024-01-31", "c@example.com", "1"), strict=True)),
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_set_apart_and_the_next_is_read(source: str, bad: bytes, original: Any) -> None:
    content = csv(HEADER, LINES[0]) + bad + b"\n" + csv(LINES[1])

    found = imported(content, mapping_of(source, BOUGHT))

    assert [event["id"] for event in found.events] == ["1", "2"]
    assert [(row["row"], row["reason"], row["original"]) for row in found.rejected] == [(2, "unreadable_row", original)]


@pytest.mark.parametrize(
    ("number", "amount"),
    [
        ("1e3", "1000"),
        ("1.5E2", "150"),
        ("1.50e+1", "15.0"),
        ("1234567E-2", "12345.67"),
        ("1e-6", "0.000001"),
        ("0E0", "0"),
        ("123456789012345.654321e0", "123456789012345.654321"),  # no float holds it
    ],
)
def test_a_number_with_an_exponent_is_the_exact_decimal_that_it_writes(number: str, amount: str) -> None:
    line = f'{{"order":"1","day":"2024-01-31","email":"a@example.com","total":{number}}}'

    found = imported(line.encode(), mapping_of('format = "jsonl"', BOUGHT))

    assert [event["data"]["total"]["amount"] for event in found.events] == [amount]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1e-7", "invalid_field"),  # seven decimals
        ("1e15", "invalid_field"),  # sixteen digits
        ("1e999999999", "invalid_cell"),
        ("1e-99999999999999999999", "invalid_cell"),
        ('"1e3"', "invalid_cell"),  # a text is read as the mapping says
        ("NaN", "unreadable_row"),
        ("Infinity", "unreadable_row"),
        ("-Infinity", "unreadable_row"),
    ],
)
def test_a_number_that_is_no_amount_rejects_its_row(number: str, reason: str) -> None:
    line = f'{{"order":"1","day":"2024-01-31","email":"a@example.com","total":{number}}}'

    found = imported(
        line.encode(), mapping_of('format = "jsonl"\ncolumns = ["order", "day", "email", "total"]', BOUGHT)
    )

    assert [row["reason"] for row in found.rejected] == [reason]


@pytest.mark.parametrize("bad", ["[1]", "{", "null", '{"order": {"id": 1}}', '{"order": NaN}', "[" * 100_000])
def test_a_json_line_that_is_no_row_is_set_apart_as_it_stands(bad: str) -> None:
    good = json.dumps(dict(zip(NAMES, ROWS[0], strict=True)))

    found = imported(csv(good, bad, good), mapping_of('format = "jsonl"', BOUGHT))

    assert len(found.events) == 2
    assert [(row["row"], row["reason"]) for row in found.rejected] == [(2, "unreadable_row")]


def test_a_key_that_none_of_the_first_rows_has_is_a_mistake_unless_it_is_named() -> None:
    good = json.dumps(dict(zip(NAMES, ROWS[0], strict=True))).encode()
    event = BOUGHT + 'fields.coupon_id = "{coupon}"'

    with pytest.raises(InvalidMapping, match="there is no column coupon in the first rows"):
        imported(good, mapping_of('format = "jsonl"', event))
    named = 'format = "jsonl"\ncolumns = ["order", "day", "email", "total", "coupon"]'
    assert len(imported(good, mapping_of(named, event)).events) == 1


@pytest.mark.parametrize(
    ("source", "content", "told"),
    [
        ('format = "csv"', b"", "it is empty, not even a header is there"),
        ('format = "csv"', gzip.compress(csv(HEADER, *LINES), mtime=0)[:-9], "Compressed file ended"),
        # After the header of 10 bytes, a block of a type that there is not.
        ('format = "csv"', gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "invalid block type"),
        ('format = "jsonl"', gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "invalid block type"),
        (
            'format = "csv"\nencoding = "utf-16"',
            csv(HEADER, encoding="utf-16") + b"\x00\xd8\x00",
            "not encoded in utf-16",
        ),
        ('format = "csv"', csv(HEADER, LINES[0]) + b'2,"' + b"x" * (2 << 20), "is the sign around a cell missing"),
        ('format = "parquet"', b"PAR1 not really", "it is no Parquet file"),
    ],
)
def test_what_leaves_no_sense_in_reading_on_is_one_clear_error(source: str, content: bytes, told: str) -> None:
    with pytest.raises(TableUnreadable, match=told):
        imported(content, mapping_of(source, BOUGHT))


def test_without_pyarrow_the_line_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(PackageMissing, match=r"pip install 'customer-timeline\[parquet\]'"):
        imported(b"", mapping_of('format = "parquet"', BOUGHT))
