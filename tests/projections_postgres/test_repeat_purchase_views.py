"""How many customers buy again, as analysts see it."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg2
from psycopg2.extras import execute_values
from reference.plain_stages import MASTER
from view_rows import SCHEMA, Views, event, viewed

from customer_timeline.projections import days
from customer_timeline.projections.calendar import DAY_US
from customer_timeline.schemas.decoded import EPOCH

ALL = "SELECT customers, repeat_customers, repeat_rate FROM repeat_purchases"
BY_MONTH = (
    "SELECT first_month::text, customers, repeat_customers, repeat_rate FROM repeat_purchases_by_month ORDER BY 1"
)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url, options=f"-c search_path={SCHEMA} -c timezone=UTC")
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


def bought(views: Views, member: str, *at: str, recurring: bool = False) -> None:
    """A customer with a purchase at each instant."""
    start = 100 * len(views.members)
    total = {"total": {"amount": "10.00", "currency": "USD"}, **({"recurring": True} if recurring else {})}
    views.customer(
        event(start + n, "purchase.completed.v1", when, {"order_id": f"{member}-{n}", **total}, [("member_id", member)])
        for n, when in enumerate(at)
    )


def test_nobody_bought_is_a_rate_of_nothing(emptied: str) -> None:
    assert rows(emptied, ALL) == [(0, 0, None)]
    assert rows(emptied, BY_MONTH) == []


def test_who_bought_on_two_days_bought_again_and_counts_with_the_month_of_the_first(emptied: str) -> None:
    views = Views()
    bought(views, "again", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z")
    bought(views, "late", "2026-03-05T00:00:00Z", "2026-01-05T00:00:00Z")  # arrives in the wrong order
    bought(views, "twice-a-day", "2026-01-10T09:00:00Z", "2026-01-10T19:00:00Z")
    bought(views, "once", "2026-02-03T00:00:00Z")
    bought(views, "charged", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", recurring=True)
    views.customer([viewed(900, "2026-01-01T00:00:00Z", ("email", "ann@example.com"))])
    views.insert(emptied)
    assert rows(emptied, BY_MONTH) == [("2026-01-01", 3, 2, Decimal("0.666667")), ("2026-02-01", 1, 0, Decimal(0))]
    assert rows(emptied, ALL) == [(4, 2, Decimal("0.5"))]


def test_a_first_purchase_day_of_any_age_falls_into_its_month(emptied: str) -> None:
    on = ("1969-12-31", "1970-01-01", "1981-03-14", "2024-10-04", "2999-12-31")
    _customers(emptied, [_facts([day.replace("-", "")]) for day in on])
    assert [month for month, *_ in rows(emptied, BY_MONTH)] == [f"{day[:7]}-01" for day in on]


def test_purchases_of_a_real_shop_are_counted_as_plain_loops_count_them(emptied: str) -> None:
    dates: dict[str, set[str]] = defaultdict(set)
    with gzip.open(MASTER, "rt", encoding="ascii") as lines:
        next(lines)
        for line in lines:
            customer, day, _, _ = line.split()
            dates[customer].add(day)
    expected: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for days_bought in dates.values():
        first = min(days_bought)
        expected[f"{first[:4]}-{first[4:6]}-01"][0] += 1
        expected[f"{first[:4]}-{first[4:6]}-01"][1] += len(days_bought) > 1
    _customers(emptied, [_facts(sorted(days_bought)) for days_bought in dates.values()])
    found = rows(emptied, BY_MONTH)
    assert {month: [customers, again] for month, customers, again, _ in found} == expected
    assert [rate for *_, rate in found] == [round(Decimal(again) / customers, 6) for _, customers, again, _ in found]
    (whole,) = rows(emptied, ALL)
    assert whole[:2] == (23_570, sum(again for _, again in expected.values()))  # 23,570: the README of the data


def _facts(dates: list[str]) -> dict[str, Any]:
    packed = days.EMPTY
    for text in dates:
        number = date(int(text[:4]), int(text[4:6]), int(text[6:])).toordinal() - EPOCH.toordinal()
        packed = days.with_instant(packed, number, number * DAY_US + DAY_US // 2)
    return {"purchases": {"days": days.count(packed), "day_set": packed}}


def _customers(url: str, facts: list[dict[str, Any]]) -> None:
    connection = psycopg2.connect(url, options=f"-c search_path={SCHEMA}")
    with connection, connection.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO customer (customer_id, gen, contested, events, signs_of_life, purchases, facts) VALUES %s",
            [(json.dumps(one),) for one in facts],
            template="(gen_random_uuid(), 1, false, 1, 1, 1, %s::json)",
            page_size=2000,
        )
    connection.close()
