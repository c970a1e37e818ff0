"""The SQL views for analysts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from view_rows import SCHEMA, Views, event, identifier_id, viewed

ANN, MEMBER = ("email", "ann@example.com"), ("member_id", "M-1")
VIEWS = (
    *("touchpoints", "customers", "customer_identifiers", "purchases", "refunds"),
    *("deliveries", "repeat_purchases", "repeat_purchases_by_month"),
)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url, options=f"-c search_path={SCHEMA} -c timezone=UTC")
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


@pytest.fixture
def filled(emptied: str) -> tuple[str, str]:
    views = Views()
    money = {"amount": "12.50", "currency": "USD"}
    bought = {"order_id": "o1", "total": money, "cost": {"amount": "5", "currency": "EUR"}}
    refunded = {"order_id": "o1", "refund_id": "r1", "total": {"amount": "2.50", "currency": "USD"}}
    customer_id = views.customer(
        [
            event(1, "purchase.completed.v1", "2026-03-02T00:00:00Z", bought, [MEMBER, ANN]),
            viewed(2, "2026-03-01T00:00:00Z", ANN),
            event(3, "purchase.refunded.v1", "2026-03-03T00:00:00.000001Z", refunded, [ANN]),
        ]
    )
    views.thing("order", "o1", owner=identifier_id(*MEMBER))
    views.thing("case", "c1", via=("order", "o1"))
    views.land(event(4, "complaint.resolved.v1", "2026-03-04T00:00:00Z", {"case_id": "c1"}))
    views.land(event(5, "complaint.resolved.v1", "2026-03-04T00:00:00Z", {"case_id": "nobody's"}))
    retraction = event(9, "event.retracted.v1", "2026-03-05T00:00:00Z", {"reason": "r", "operator": "o"}, channel=None)
    retraction["data"].pop("identifiers")
    views.land({**retraction, "revision": 1})
    views.insert(emptied)
    return emptied, customer_id


def test_touchpoints_know_their_customer_through_identifiers_and_things(filled: tuple[str, str]) -> None:
    url, customer_id = filled
    found = rows(url, "SELECT type, customer_id::text FROM touchpoints ORDER BY occurred_at, customer_id NULLS LAST")
    assert found == [
        ("page.viewed", customer_id),
        ("purchase.completed", customer_id),
        ("purchase.refunded", customer_id),
        ("complaint.resolved", customer_id),
        ("complaint.resolved", None),
    ]


def test_purchases_and_refunds_are_rows_with_exact_amounts(filled: tuple[str, str]) -> None:
    url, customer_id = filled
    bought = "SELECT customer_id::text, order_id, amount, currency, cost, cost_currency, recurring FROM purchases"
    assert rows(url, bought) == [(customer_id, "o1", Decimal("12.50"), "USD", Decimal("5"), "EUR", False)]
    assert rows(url, "SELECT order_id, refund_id, amount FROM refunds") == [("o1", "r1", Decimal("2.50"))]


def test_customers_tell_when_they_bought(filled: tuple[str, str]) -> None:
    url, customer_id = filled
    query = "SELECT customer_id::text, purchases, purchase_days, first_purchase_at = '2026-03-02Z' FROM customers"
    assert rows(url, query) == [(customer_id, 1, 1, True)]


def test_identifiers_tell_when_they_were_seen(filled: tuple[str, str]) -> None:
    url, _ = filled
    query = "SELECT kind, value, first_seen_at::text, last_seen_at::text FROM customer_identifiers ORDER BY kind"
    assert rows(url, query) == [
        ("email", "ann@example.com", "2026-03-01 00:00:00+00", "2026-03-03 00:00:00.000001+00"),
        ("member_id", "M-1", "2026-03-02 00:00:00+00", "2026-03-02 00:00:00+00"),
    ]


def test_every_view_and_every_column_says_what_it_is(emptied: str) -> None:
    columns = (
        "pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 "
        f"WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND c.relname = ANY ('{{{','.join(VIEWS)}}}')"
    )
    # 14 + 13 + 7 + 10 + 8 + 11 + 3 + 4 columns of the views
    assert rows(emptied, f"SELECT count(*) FROM {columns}") == [(70,)]
    silent = "col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL"
    assert rows(emptied, f"SELECT c.relname, a.attname FROM {columns} AND ({silent})") == []
