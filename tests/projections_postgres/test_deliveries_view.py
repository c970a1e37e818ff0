"""Deliveries against their promises, as analysts see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from view_rows import SCHEMA, Views, event, identifier_id, viewed

ANN = ("member_id", "M-1")
DUE = "2026-03-10T18:00:00Z"

Told = tuple[str, str, dict[str, Any]]  # verb, time, fields


def promised(at: str, due_at: str = DUE, **fields: Any) -> Told:
    return "promised", at, {"due_at": due_at, **fields}


def shipped(at: str, **fields: Any) -> Told:
    return "shipped", at, fields


def completed(at: str, **fields: Any) -> Told:
    return "completed", at, fields


def failed(at: str, **fields: Any) -> Told:
    return "failed", at, fields


@pytest.fixture
def deliveries(emptied: str) -> Callable[..., list[dict[str, Any]]]:
    """The rows of the view for what was told of order o1, by shipment."""

    def rows_of(*told: Told, also: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
        views = Views()
        views.customer([viewed(0, "2026-03-01T00:00:00Z", ANN)])
        views.thing("order", "o1", owner=identifier_id(*ANN))
        for number, (verb, at, fields) in enumerate(told, 1):
            views.land(event(number, f"delivery.{verb}.v1", at, {"order_id": "o1", **fields}, channel="partner"))
        for other in also:
            views.land(other)
        views.insert(emptied)
        connection = psycopg2.connect(emptied, options=f"-c search_path={SCHEMA} -c timezone=Asia/Tokyo")
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM deliveries ORDER BY order_id, shipment_id NULLS FIRST")
                names = [column.name for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            connection.close()

    return rows_of


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


Deliveries = Callable[..., list[dict[str, Any]]]


def test_late_is_by_how_long_after_the_promise_it_arrived(deliveries: Deliveries) -> None:
    (row,) = deliveries(
        promised("2026-03-01T09:00:00Z"), shipped("2026-03-09T09:00:00Z"), completed("2026-03-11T18:30:00Z")
    )
    assert row == {
        "order_id": "o1",
        "shipment_id": None,
        "customer_id": identifier_id(*ANN),
        "promises": 1,
        "promised_at": at("2026-03-01T09:00:00Z"),
        "due_at": at(DUE),
        "shipped_at": at("2026-03-09T09:00:00Z"),
        "delivered_at": at("2026-03-11T18:30:00Z"),
        "late_by": timedelta(days=1, minutes=30),
        "last_failed_at": None,
        "cancelled_at": None,
    }


@pytest.mark.parametrize("arrived_at", ["2026-03-08T00:00:00Z", DUE], ids=["early", "at the promised instant"])
def test_in_time_is_not_late(deliveries: Deliveries, arrived_at: str) -> None:
    (row,) = deliveries(promised("2026-03-01T09:00:00Z"), completed(arrived_at))
    assert (row["delivered_at"], row["late_by"]) == (at(arrived_at), None)


@pytest.mark.parametrize(
    ("moved_to", "late_by"),
    [("2026-03-12T18:00:00Z", None), ("2026-03-09T18:00:00Z", timedelta(days=2))],
    ids=["put off", "brought forward"],
)
def test_the_last_promise_counts_whatever_order_promises_arrive_in(
    deliveries: Deliveries, moved_to: str, late_by: timedelta | None
) -> None:
    (row,) = deliveries(
        promised("2026-03-02T09:00:00Z", moved_to), promised("2026-03-01T09:00:00Z"), completed("2026-03-11T18:00:00Z")
    )
    assert (row["promises"], row["promised_at"]) == (2, at("2026-03-02T09:00:00Z"))
    assert (row["due_at"], row["late_by"]) == (at(moved_to), late_by)


def test_of_promises_of_one_instant_the_one_with_the_greatest_event_id_counts(deliveries: Deliveries) -> None:
    views, dues = Views(), {1: "2026-03-05T00:00:00Z", 2: "2026-03-06T00:00:00Z", 3: "2026-03-07T00:00:00Z"}
    told = [promised("2026-03-01T09:00:00Z", due) for due in dues.values()]
    ids = {
        views.land(event(number, "delivery.promised.v1", when, {"order_id": "o1", **fields})).event_id: dues[number]
        for number, (_, when, fields) in enumerate(told, 1)
    }
    (row,) = deliveries(*told)
    assert row["due_at"] == at(ids[max(ids)])


def test_delivered_with_no_promise_is_not_late(deliveries: Deliveries) -> None:
    (row,) = deliveries(shipped("2026-03-09T09:00:00Z"), completed("2026-03-11T18:00:00Z"))
    assert (row["promises"], row["promised_at"], row["due_at"], row["late_by"]) == (0, None, None, None)
    assert row["delivered_at"] == at("2026-03-11T18:00:00Z")


def test_what_is_due_and_not_delivered_is_told_by_its_columns(deliveries: Deliveries) -> None:
    (row,) = deliveries(
        promised("2026-03-01T09:00:00Z"), failed("2026-03-10T10:00:00Z"), failed("2026-03-10T17:00:00Z")
    )
    assert (row["due_at"], row["delivered_at"], row["late_by"]) == (at(DUE), None, None)
    assert row["last_failed_at"] == at("2026-03-10T17:00:00Z")


def test_a_cancelled_order_says_when_it_was_cancelled(deliveries: Deliveries) -> None:
    cancelled = [
        event(90 + number, "order.cancelled.v1", "2026-03-05T00:00:00Z", {"order_id": order})
        for number, order in enumerate(("o1", "o2"))
    ]
    (row,) = deliveries(promised("2026-03-01T09:00:00Z"), also=tuple(cancelled))
    assert (row["order_id"], row["cancelled_at"]) == ("o1", at("2026-03-05T00:00:00Z"))


def test_every_shipment_of_an_order_is_a_row_and_its_own_promise_comes_after_that_of_the_order(
    deliveries: Deliveries,
) -> None:
    first, second, third = deliveries(
        promised("2026-03-01T09:00:00Z"),
        shipped("2026-03-02T09:00:00Z", shipment_id="s1"),
        completed("2026-03-11T18:00:00Z", shipment_id="s1"),
        promised("2026-03-03T09:00:00Z", "2026-03-20T18:00:00Z", shipment_id="s2"),
        completed("2026-03-11T18:00:00Z", shipment_id="s2"),
        shipped("2026-03-04T09:00:00Z", shipment_id="s3"),
    )
    assert [row["shipment_id"] for row in (first, second, third)] == ["s1", "s2", "s3"]
    assert [row["late_by"] for row in (first, second, third)] == [timedelta(days=1), None, None]
    assert [row["promises"] for row in (first, second, third)] == [1, 2, 1]
    assert (third["due_at"], third["delivered_at"]) == (at(DUE), None)


def test_what_names_no_shipment_is_about_every_shipment_that_had_left(deliveries: Deliveries) -> None:
    first, second = deliveries(
        shipped("2026-03-02T09:00:00Z", shipment_id="s1"),
        completed("2026-03-05T09:00:00Z"),
        shipped("2026-03-06T09:00:00Z", shipment_id="s2"),
    )
    assert (first["shipment_id"], first["delivered_at"]) == ("s1", at("2026-03-05T09:00:00Z"))
    assert (second["shipment_id"], second["delivered_at"]) == ("s2", None)


def test_the_first_report_of_leaving_and_of_arrival_counts(deliveries: Deliveries) -> None:
    (row,) = deliveries(
        completed("2026-03-12T09:00:00Z", shipment_id="s1"),
        completed("2026-03-11T09:00:00Z", shipment_id="s1"),
        shipped("2026-03-03T09:00:00Z", shipment_id="s1"),
        shipped("2026-03-02T09:00:00Z", shipment_id="s1"),
    )
    assert (row["shipped_at"], row["delivered_at"]) == (at("2026-03-02T09:00:00Z"), at("2026-03-11T09:00:00Z"))


def test_an_order_of_nobody_known_has_no_customer(deliveries: Deliveries) -> None:
    alone = event(90, "delivery.promised.v1", "2026-03-01T09:00:00Z", {"order_id": "o2", "due_at": DUE})
    (row,) = deliveries(also=(alone,))
    assert (row["order_id"], row["customer_id"]) == ("o2", None)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-03-10T18:00:00+23:59", "2026-03-09T18:01:00+00:00"),  # Postgres itself takes up to 15:59
        ("2026-03-10T18:00:00-23:59", "2026-03-11T17:59:00+00:00"),
        ("2026-03-10t18:00:00z", "2026-03-10T18:00:00+00:00"),
        ("2026-03-10 18:00:00.123456789Z", "2026-03-10T18:00:00.123456+00:00"),
        ("2026-03-10T18:00:00.5+05:30", "2026-03-10T12:30:00.500000+00:00"),
    ],
)
def test_every_instant_that_an_event_may_write_is_read_as_the_log_reads_it(
    deliveries: Deliveries, written: str, instant: str
) -> None:
    (row,) = deliveries(promised("2026-03-01T09:00:00Z", written))
    assert row["due_at"] == at(instant)
