"""The contract of `TimelineReader.customers`, run on memory and on Postgres: pages, orders, and rows left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import psycopg2
import pytest
from memory_reader import MemoryReader
from view_rows import SCHEMA, VERSION, Views, event, identifier_id, viewed

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.reading import (
    CustomerFilter,
    CustomerKey,
    CustomerPage,
    CustomerRow,
    Order,
    StagesBeingAssessedError,
    TimelineReader,
    ViewsOutOfDateError,
)
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import to_micros

pytestmark = pytest.mark.anyio
ANN, BOB, CAM = ("crm_id", "ann"), ("crm_id", "bob"), ("crm_id", "cam")
RULES = StageRules().version
ALL = CustomerFilter()
Read = Callable[[Views], TimelineReader]


@pytest.fixture(params=["memory", "postgres"])
async def read(request: pytest.FixtureRequest) -> AsyncIterator[Read]:
    """Makes a reader of the given views."""
    readers: list[TimelineReader] = []
    database = request.getfixturevalue("emptied") if request.param == "postgres" else None

    def make(views: Views) -> TimelineReader:
        if database is None:
            readers.append(MemoryReader(views))
        else:
            views.insert(database)
            readers.append(PostgresReader(database, SCHEMA, projection_version=VERSION))
        return readers[-1]

    yield make
    for reader in readers:
        await reader.aclose()


def us(at: str) -> int:
    return to_micros(datetime.fromisoformat(at))


def bought(number: int, at: str, who: tuple[str, str]) -> dict[str, Any]:
    total = {"amount": "5", "currency": "USD"}
    return event(number, "purchase.completed.v1", at, {"order_id": f"o{number}", "total": total}, [who])


async def ask(
    reader: TimelineReader,
    wanted: CustomerFilter = ALL,
    *,
    at: str = "2026-02-01T00:00:00Z",
    limit: int = 9,
    after: CustomerKey | None = None,
) -> CustomerPage:
    return await reader.customers(wanted, rules=RULES, at_us=us(at), limit=limit, after=after)


def ids(page: CustomerPage) -> list[str]:
    return [row.customer_id for row in page.rows]


@pytest.fixture
def three() -> Views:
    """Ann bought on 1 January, Bob was seen on the 2nd, Cam bought on the 3rd and complained on the 4th."""
    views = Views()
    views.customer([bought(1, "2026-01-01T00:00:00Z", ANN)])
    views.customer([viewed(2, "2026-01-02T00:00:00Z", BOB)])
    opened = event(4, "complaint.opened.v1", "2026-01-04T00:00:00Z", {"case_id": "c", "theme": "late"}, [CAM])
    views.customer([bought(3, "2026-01-03T00:00:00Z", CAM), opened])
    return views


async def test_a_row_says_where_the_customer_stood_and_what_is_known_now(read: Read, three: Views) -> None:
    page = await ask(read(three), CustomerFilter(stage="at_risk"), at="2026-01-20T00:00:00Z")
    assert page.rows == (
        CustomerRow(
            identifier_id(*CAM),
            "at_risk",
            ("complaint_open",),
            us("2026-01-11T00:00:00Z"),  # a week after it was opened
            us("2026-02-03T00:00:00Z"),  # silent, 30 days after it
            events=2,
            purchases=1,
            first_event_us=us("2026-01-03T00:00:00Z"),
            last_event_us=us("2026-01-04T00:00:00Z"),
            last_sign_of_life_us=us("2026-01-04T00:00:00Z"),
        ),
    )
    assert not page.more
    assert page.counts == {"new": 1, "prospect": 1, "at_risk": 1}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # Rows were last written with the last event of each: at each of these instants some of them are outdated.
        ("2025-12-31T23:59:59Z", {}),
        ("2026-01-01T00:00:00Z", {ANN: "new"}),
        ("2026-01-02T00:00:00Z", {ANN: "new", BOB: "prospect"}),
        ("2026-01-03T12:00:00Z", {ANN: "new", BOB: "prospect", CAM: "new"}),
        ("2026-01-11T00:00:00Z", {ANN: "new", BOB: "prospect", CAM: "at_risk"}),
        ("2026-04-01T00:00:00Z", {ANN: "at_risk", BOB: "prospect", CAM: "at_risk"}),
        ("2027-01-01T00:00:00Z", {ANN: "churned", BOB: "prospect", CAM: "churned"}),
    ],
)
async def test_a_list_is_right_at_any_instant_though_no_sweeper_ran(
    read: Read, three: Views, at: str, expected: dict[tuple[str, str], str]
) -> None:
    page = await ask(read(three), at=at)
    assert {row.customer_id: row.stage for row in page.rows} == {
        identifier_id(*who): stage for who, stage in expected.items()
    }
    assert sum(page.counts.values()) == len(expected)


async def test_counts_are_those_of_the_flag_whatever_the_stage(read: Read, three: Views) -> None:
    page = await ask(read(three), CustomerFilter("new", "silent"), at="2026-02-05T00:00:00Z")
    assert ids(page) == [identifier_id(*ANN)]
    assert page.counts == {"new": 1, "prospect": 1, "at_risk": 1}


async def test_a_flag_that_nobody_has_lists_nobody(read: Read, three: Views) -> None:
    page = await ask(read(three), CustomerFilter(flag="unhappy"))
    assert (page.rows, page.more, page.counts) == ((), False, {})


async def test_orders_go_up_and_down_and_equals_by_customer_id(read: Read) -> None:
    views = Views()
    dated = {"a": "2026-01-03", "b": "2026-01-01", "c": "2026-01-02", "d": "2026-01-02"}
    for number, (name, day) in enumerate(dated.items()):
        at = f"{day}T00:00:00Z"
        views.customer([viewed(number, at, ("crm_id", name))])
        # Some rows are outdated, some are not: the order must not show which.
        views.assessed_us[identifier_id("crm_id", name)] = us(at) + (40 * DAY_US if name in "ac" else 0)
    reader, by_name = read(views), {name: identifier_id("crm_id", name) for name in dated}
    tied = sorted((by_name["c"], by_name["d"]))
    pairs: tuple[tuple[Order, Order], ...] = (("since", "-since"), ("last_event", "-last_event"))
    for ascending, descending in pairs:
        up = await ask(reader, CustomerFilter(order=ascending), at="2026-02-20T00:00:00Z")
        down = await ask(reader, CustomerFilter(order=descending), at="2026-02-20T00:00:00Z")
        assert ids(up) == [by_name["b"], *tied, by_name["a"]]
        assert ids(down) == [by_name["a"], *tied, by_name["b"]]
    assert ids(await ask(reader)) == sorted(by_name.values())


async def test_a_page_goes_on_where_the_one_before_ended_whatever_happened_to_that_customer(
    read: Read, three: Views
) -> None:
    reader = read(three)
    whole = await ask(reader, CustomerFilter(order="-since"))
    first = await ask(reader, CustomerFilter(order="-since"), limit=1)
    assert (ids(first), first.more) == (ids(whole)[:1], True)
    key = first.rows[0].key("-since")
    gone = CustomerKey(key.value_us, "00000000-0000-0000-0000-000000000000")
    assert ids(await ask(reader, CustomerFilter(order="-since"), after=key)) == ids(whole)[1:]
    assert ids(await ask(reader, CustomerFilter(order="-since"), after=gone)) == ids(whole)


async def test_customers_without_events_are_in_no_list(read: Read, three: Views) -> None:
    empty = three.customer([], also=[("crm_id", "nobody")])
    assert empty not in ids(await ask(read(three)))


async def test_rows_that_other_rules_assessed_are_not_listed_but_counted(read: Read, three: Views) -> None:
    three.rules = StageRules(silent_days=31)
    with pytest.raises(StagesBeingAssessedError, match=r"^3 customers") as caught:
        await ask(read(three))
    assert caught.value.left == 3


async def test_views_of_another_version_are_not_listed(read: Read, three: Views) -> None:
    three.version = "customer-0-old"
    with pytest.raises(ViewsOutOfDateError):
        await ask(read(three))


async def test_a_list_before_any_worker_wrote_is_empty(read: Read) -> None:
    page = await ask(read(Views(version=None)))
    assert (page.rows, page.counts) == ((), {})


def _execute(database: str, statement: str) -> None:
    connection = psycopg2.connect(database, options=f"-c search_path={SCHEMA}")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


@pytest.fixture
async def stored(emptied: str, three: Views) -> AsyncIterator[PostgresReader]:
    """A reader of the three in tables."""
    three.insert(emptied)
    reader = PostgresReader(emptied, SCHEMA, projection_version=VERSION)
    yield reader
    await reader.aclose()


async def test_how_many_are_still_to_be_assessed_is_counted_to_a_bound(emptied: str, stored: PostgresReader) -> None:
    await ask(stored)
    columns = "contested, events, signs_of_life, purchases, facts, rules"
    _execute(
        emptied,
        f"INSERT INTO customer (customer_id, gen, {columns}) "
        "SELECT gen_random_uuid(), n, false, 1, 0, 0, '{}', CASE WHEN mod(n, 2) = 0 THEN '0' ELSE '9' END "
        "FROM generate_series(1, 10005) AS n",
    )
    with pytest.raises(StagesBeingAssessedError, match=r"^More than 10000 customers"):
        await ask(stored)
    _execute(emptied, "DELETE FROM customer WHERE rules IN ('0', '9') AND gen > 4")
    with pytest.raises(StagesBeingAssessedError, match=r"^4 customers"):
        await ask(stored)


async def test_a_row_without_events_needs_no_assessing(emptied: str, stored: PostgresReader) -> None:
    _execute(emptied, "UPDATE customer SET rules = '', events = 0, stage = NULL, schedule = '[]', sweep_us = NULL")
    assert (await ask(stored)).rows == ()


async def test_a_sweep_that_is_due_early_changes_nothing(emptied: str, stored: PostgresReader) -> None:
    expected = await ask(stored, at="2026-01-20T00:00:00Z")
    _execute(emptied, "UPDATE customer SET sweep_us = swept_us WHERE sweep_us IS NOT NULL")
    assert await ask(stored, at="2026-01-20T00:00:00Z") == expected
