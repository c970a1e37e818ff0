"""A whole table through plan, codec and publisher: what is published, what is set apart, what the report says of it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from itertools import count
from types import FrameType
from typing import Any

import pytest
from published_log import CODEC
from table_import import NOW, imported, mapping_of

from customer_timeline.producers.memory import MemoryPublisher
from customer_timeline.producers.tables import distinct
from customer_timeline.producers.tables.cells import Row
from customer_timeline.producers.tables.importer import TableImport
from customer_timeline.producers.tables.opening import open_table
from customer_timeline.schemas.envelope import event_id

CSV = 'format = "csv"\nzone = "UTC"\nempty = ["NULL"]'
PAID = """
type = "purchase.completed.v1"
id = "{order}-paid"
when = { column = "status", one_of = ["paid", "refunded"] }
time = { columns = ["day", "clock"], formats = ["%d.%m.%Y %H:%M", "%d.%m.%Y"], at = "12:00" }
identifiers = [{ kind = "member_id", value = "{member}" }, { kind = "email", value = "{email}" }]
[event.fields]
channel = "web"
order_id = "shop:{order}"
coupon_id = "{coupon}"
total = { column = "total", as = "money", currency_column = "currency" }
"""
REFUNDED = """
type = "purchase.refunded.v1"
id = "{order}-refunded"
when = [{ column = "status", equals = "refunded" }, { column = "total", differs = "0" }]
time = { column = "day", formats = ["%d.%m.%Y"], at = "18:00" }
[event.fields]
channel = "web"
order_id = "shop:{order}"
refund_id = "shop:{order}"
total = { column = "total", as = "money", currency_column = "currency" }
"""
HEADER = "order,day,clock,member,email,total,currency,status,coupon"
MAPPING = mapping_of(CSV, PAID, REFUNDED)


def table(*rows: str) -> bytes:
    return "\n".join((HEADER, *rows)).encode()


def test_a_row_gives_every_event_whose_conditions_hold() -> None:
    found = imported(
        table(
            "1,31.01.2024,09:15,M-1,a@example.com,5.00,EUR,paid,",
            "2,31.01.2024,,M-2,NULL,7.50,EUR,refunded,SPRING",
            "3,31.01.2024,,M-3,c@example.com,1,EUR,open,",
            "4,31.01.2024,,M-4,,0,EUR,refunded,",
        ),
        MAPPING,
    )

    assert [(event["id"], event["time"]) for event in found.events] == [
        ("1-paid", "2024-01-31T09:15:00Z"),
        ("2-paid", "2024-01-31T12:00:00Z"),
        ("2-refunded", "2024-01-31T18:00:00Z"),
        ("4-paid", "2024-01-31T12:00:00Z"),
    ]
    assert found.data[1] == {
        "identifiers": [{"kind": "member_id", "value": "M-2"}],
        "channel": "web",
        "order_id": "shop:2",
        "coupon_id": "SPRING",
        "total": {"amount": "7.50", "currency": "EUR"},
    }
    assert found.report["rows"] == {
        "read": 4,
        "accepted": 4,
        "rejected": 0,
        "without_event": 1,
        "accepted_percent": 100.0,
    }


@pytest.mark.parametrize(
    ("row", "reason", "field"),
    [
        ("1,31.01.2024,,M-1,,x,EUR,paid,", "invalid_cell", "data.total"),
        ("1,31.01.2024,,M-1,,5,,paid,", "invalid_cell", "data.total"),
        ("1,31.01.2024,,M-1,,5,Euro,paid,", "invalid_field", "data.total.currency"),
        ("1,31.01.2024,,M-1,,-5,EUR,paid,", "invalid_field", "data.total.amount"),
        ("1,31.01.2024,,M-1,,,EUR,paid,", "invalid_field", "data.total"),
        ("1,,,M-1,,5,EUR,paid,", "invalid_cell", "time"),
        (",31.01.2024,,M-1,,5,EUR,paid,", "invalid_cell", "id"),
        ("1,31.01.2424,,M-1,,5,EUR,paid,", "future", "time"),
        ("1,31.01.1924,,M-1,,5,EUR,paid,", "before_1970", "time"),
        ("1,31.01.2024,,M-1,,5,EUR,paid,a\0b", "invalid_field", "data.coupon_id"),
    ],
)
def test_what_the_log_would_reject_is_rejected_here_with_the_row_as_it_was(row: str, reason: str, field: str) -> None:
    found = imported(table(row), MAPPING)

    assert found.events == []
    (told,) = found.rejected
    assert (told["row"], told["reason"], told["field"]) == (1, reason, field)
    assert list(told["original"].values()) == row.split(",")
    assert found.report["reasons"] == {reason: 1}


def test_text_that_postgres_cannot_store_is_rejected_here() -> None:
    event = """
    type = "complaint.opened.v1"
    id = "{id}"
    time = { column = "at" }
    fields.channel = "web"
    fields.case_id = "{id}"
    fields.theme = "late"
    fields.description = "{text}"
    """
    found = imported(b"id,at,text\n1,2024-01-31T09:00Z,a\\u0000b\n2,2024-01-31T09:00Z,a\0b\n", mapping_of(CSV, event))

    assert [event["id"] for event in found.events] == ["1"]
    assert [(row["row"], row["reason"]) for row in found.rejected] == [(2, "unstorable")]


def test_a_row_is_published_whole_or_not_at_all() -> None:
    # As a purchase the row is fine; a refund without its day is none.
    paid = PAID.replace('columns = ["day", "clock"]', 'column = "clock"').replace('"%d.%m.%Y %H:%M", ', "")

    found = imported(table("1,,31.01.2024,M-1,,5,EUR,refunded,"), mapping_of(CSV, paid, REFUNDED))

    assert found.events == []
    assert found.rejected[0]["type"] == "purchase.refunded.v1"


def test_mended_rows_make_the_events_that_they_should_have_made() -> None:
    numbered = PAID.replace("{order}-paid", "orders-{#}")
    mapping = mapping_of(CSV, numbered)
    good = "1,31.01.2024,,M-1,,5,EUR,paid,"
    whole = imported(table(good, good, good.replace(",5,", ",7,"), good), mapping)
    first = imported(table(good, good + ",surplus", good.replace(",5,", ",7 EUR,"), good), mapping)
    assert [row["row"] for row in first.rejected] == [2, 3]

    mended = [json.loads(line) for line in first.side_file.splitlines()]
    mended[0]["original"].pop()
    mended[1]["original"]["total"] = "7"
    second = imported(b"\n".join(json.dumps(row).encode() for row in mended), mapping, mended=True)

    assert sorted(map(str, first.events + second.events)) == sorted(map(str, whole.events))
    assert second.rejected == []


def test_rows_that_were_not_mended_are_rejected_again_as_they_were() -> None:
    first = imported(table("1,31.01.2024,,M-1,,x,EUR,paid,", "1,2"), MAPPING)

    again = imported(first.side_file + b'{"row": 3}\n', MAPPING, mended=True)

    assert again.rejected[:2] == first.rejected
    assert again.rejected[2]["detail"] == "expected a line of a file of rejected rows, with row and original"


def test_the_report_counts_what_is_filled_who_is_named_and_what_looks_wrong() -> None:
    found = imported(
        table(
            "1,31.01.2024,,M-1,a@example.com,5,EUR,paid,",
            "2,31.01.2024,,M-1,A@example.com ,6,EUR,paid,X",
            "3,31.01.2024,,null,b@example,7,EUR,paid,",
            "4,31.01.2024,,M-2,,x,EUR,paid,",
            "5,31.01.2024,,M-2,,y,EUR,paid,",
            "1,31.01.2024,,M-1,a@example.com,5,EUR,paid,",
            "2,31.01.2024,,M-1,a@example.com,9,EUR,paid,",
        ),
        mapping_of(CSV, PAID),
    )
    report = found.report

    assert report["rows"]["accepted_percent"] == 71.4  # 5 of 7
    (event,) = report["events"]
    assert (event["type"], event["events"]) == ("purchase.completed.v1", 5)
    assert event["fields"] == {
        "order_id": {"filled": 5, "percent": 100.0},
        "coupon_id": {"filled": 1, "percent": 20.0},
        "total": {"filled": 5, "percent": 100.0},
    }
    assert report["identifiers"] == {
        "email": {"usable": 4, "distinct": 1, "dropped": {"not_normalisable": 1}},
        "member_id": {"usable": 4, "distinct": 1, "dropped": {"blocked": 1}},
    }
    assert report["duplicates"] == {"same": 1, "other": 1, "rows": [6, 7]}
    assert report["problems"] == [
        {
            "reason": "invalid_cell",
            "type": "purchase.completed.v1",
            "field": "data.total",
            "detail": report["problems"][0]["detail"],
            "rows": 2,
            "first_row": 4,
        }
    ]
    notes = "\n".join(report["notes"])
    assert "repeat an earlier one word for word, and count once: 1 (rows 6, 7)" in notes
    assert "say something else: 1" in notes
    assert "Values of email that mean nobody and were left out: 1 not_normalisable." in notes
    assert "a@example.com" not in str(report).lower()


def test_counts_are_exact_beyond_what_memory_keeps() -> None:
    ids = [event_id("shop", str(number * 7919 % 300)) for number in range(1000)]
    keys, repeated = distinct.DistinctKeys(kept=16), distinct.RepeatedIds(kept=16)
    for row, id_ in enumerate(ids, 1):
        keys.add(id_)
        # Odd rows of an id say one thing, even rows another: 300 is even, so an id always says the same.
        repeated.add(id_, b"odd" if row == 901 else b"same", row)

    # 7919 is coprime to 300: rows 1..300 have all ids, every later one repeats one of them.
    assert keys.count() == 300
    assert repeated.found() == (699, 1, tuple(range(301, 311)))
    keys.close()
    repeated.close()


def test_a_group_of_which_no_column_is_filled_is_left_out_with_its_constants() -> None:
    event = """
    type = "profile.updated.v1"
    id = "{id}"
    time = { column = "at" }
    identifiers = [{ kind = "crm_id", value = "{id}" }]
    fields.channel = "crm"
    fields.traits.addresses.0.kind = "home"
    fields.traits.addresses.0.city = "{city}"
    fields.traits.addresses.1.kind = "work"
    fields.traits.addresses.1.city = "{office}"
    fields.staff.id = "{agent}"
    fields.staff.team = "sales"
    """
    found = imported(
        b"id,at,city,office,agent\n1,2024-01-31T09:00Z,,Bonn,a7\n2,2024-01-31T09:00Z,,,\n", mapping_of(CSV, event)
    )

    assert [(data["traits"], data.get("staff")) for data in found.data] == [
        ({"addresses": [{"city": "Bonn", "kind": "work"}]}, {"id": "a7", "team": "sales"}),
        # `traits` itself is required, and may say nothing.
        ({}, None),
    ]


def test_rows_that_are_in_the_log_are_counted_and_not_published_again() -> None:
    rows = [f"{number},31.01.2024,,M-1,,5,EUR,paid," for number in range(5)]

    found = imported(table(*rows), MAPPING, published_before=3)

    assert [event["id"] for event in found.events] == ["3-paid", "4-paid"]
    assert found.report["rows"]["read"] == 5


def test_a_correction_carries_the_ids_of_what_it_corrects_and_a_higher_revision() -> None:
    row = "1,31.01.2024,,M-1,,5,EUR,paid,"
    (first,) = imported(table(row), mapping_of(CSV, PAID)).events
    (second,) = imported(table(row), mapping_of(CSV, "revision = 1\n" + PAID)).events

    assert second == {**first, "revision": 1}
    assert CODEC.parse(json.dumps(second).encode()).revision == 1


def test_wherever_an_import_is_interrupted_it_counts_the_rows_that_are_in_the_log() -> None:
    content = table(*(f"{row},31.01.2024,09:15,M-{row},,5.00,EUR,paid," for row in range(3)))
    for moment in count():
        publisher = MemoryPublisher(CODEC)
        read, plan, report = open_table(io.BytesIO(content), MAPPING, mended=False)
        with report:
            run = TableImport(plan, CODEC, publisher, report, reject=lambda *_: None, now=lambda: NOW)
            interrupted = _interrupted(run, read.rows, moment)
        assert run.published_rows == len(publisher.records)
        if not interrupted:
            break
    assert moment > 10
    assert run.published_rows == 3


def _interrupted(run: TableImport, rows: Iterator[Row], moment: int) -> bool:
    """Import them, and press Ctrl-C before that line of what accounts for rows; whether it came so far."""
    lines = count()

    def traced(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code is not TableImport._account.__code__:
            return None
        if event == "line" and next(lines) == moment:
            raise KeyboardInterrupt
        return traced

    sys.settrace(traced)
    try:
        run.run(rows)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False
