"""The law of lists: at any instant, a list is what asking every customer one by one would give.

Random customers, whose rows were last written at random instants and which no sweeper has visited since: of the columns
that the list reads, many have run out at the instant asked about, and some begin after it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx
import psycopg2
import pytest
from api_client import BASE_URL
from memory_cut_reader import MemoryCutReader
from view_rows import CODEC, PROJECTION, SCHEMA, VERSION, Views, event

from customer_timeline.api.app import create_app
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.lists import STAGES
from customer_timeline.projections.calendar import DAY_US, HOUR_US
from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.projections.lifecycle import Flag
from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.reading import Order
from customer_timeline.projections.stage_rules import StageRules

pytestmark = pytest.mark.anyio
START_US = 1_767_225_600_000_000  # 2026-01-01T00:00Z
DAYS = 24
# Small thresholds, so that three weeks hold a whole life.
RULES = StageRules(
    silent_days=3,
    silent_gaps=1,
    churn_days=6,
    churn_gaps=2,
    dormant_days=4,
    contract_grace_days=2,
    won_back_days=3,
    new_days=3,
    complaint_days=1,
    unhappy_days=3,
    loyal_purchase_days=3,
)
TYPES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("page.viewed", {"url": "https://a.example"}),
    ("email.sent", {"message_id": "m"}),
    ("purchase.completed", {"order_id": "o", "total": {"amount": "5", "currency": "USD"}}),
    ("purchase.completed", {"order_id": "o", "total": {"amount": "5", "currency": "USD"}}),
    ("complaint.opened", {"theme": "late"}),
    ("complaint.resolved", {}),
    ("survey.answered", {"survey_id": "s", "via": "online", "csat": 1}),
    ("contract.signed", {"contract_id": "k", "starts_on": "2026-01-01", "ends_on": "2026-01-08"}),
)
FLAGS: tuple[str, ...] = get_args(Flag)
ORDERS: tuple[str, ...] = get_args(Order)


def random_views(draw: random.Random, customers: int) -> Views:
    """Customers of one to nine events each; some never had one."""
    views = Views(rules=RULES)
    for number in range(customers):
        who = ("crm_id", f"c-{number}")
        if number % 15 == 0:
            views.customer([], also=[who])
            continue
        events = []
        chosen = draw.sample(TYPES, 3)
        for place in range(draw.randint(1, 9)):
            name, data = draw.choice(chosen)
            # Few instants, so that customers tie.
            at_us = START_US + draw.randint(0, DAYS - 6) * DAY_US + draw.choice((0, 0, 12 * HOUR_US))
            case = {"case_id": f"case-{number}"} if name.startswith("complaint.") else {}
            events.append(event(100 * number + place, f"{name}.v1", rfc3339(at_us), {**data, **case}, [who]))
        customer_id = views.customer(events)
        views.assessed_us[customer_id] = START_US + draw.randint(-1, DAYS) * DAY_US
    return views


def sweep_some_early(database: str) -> None:
    """A row may be due to the sweeper before its entry ends."""
    connection = psycopg2.connect(database, options=f"-c search_path={SCHEMA}")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE customer SET sweep_us = swept_us + (sweep_us - swept_us) / 3 "
                "WHERE swept_us IS NOT NULL AND mod(hashtext(customer_id::text), 2) = 0"
            )
    finally:
        connection.close()


class Asking:
    """An API over the tables that is asked at an instant of the test's choice."""

    def __init__(self, reader: PostgresReader) -> None:
        self.at_us = 0
        config = ApiConfig(
            identifiers=CODEC.space, projection=PROJECTION, now_us=lambda: self.at_us, rules=RULES, local_only=True
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(reader, MemoryCutReader(), config)), base_url=BASE_URL
        )

    async def get(self, path: str, **parameters: str | int | None) -> dict[str, Any]:
        """The JSON of an answer."""
        given = {name: value for name, value in parameters.items() if value is not None}
        answer = await self.client.get(f"/v1/customers{path}", params=given)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def whole(self, limit: int, **filters: str | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """All items of a list, and its first page. The later pages are asked for when time has gone on."""
        began_us = self.at_us
        page = first = await self.get("", limit=limit, **filters)
        items = list(page["items"])
        while page["next_cursor"]:
            assert len(page["items"]) == limit
            self.at_us += 9 * HOUR_US
            page = await self.get("", limit=limit, cursor=page["next_cursor"], **filters)
            assert {name: page[name] for name in ("at", "count", "counts")} == {
                name: first[name] for name in ("at", "count", "counts")
            }
            items += page["items"]
        self.at_us = began_us
        return items, first


@pytest.fixture
async def asked(emptied: str) -> AsyncIterator[tuple[Views, Asking]]:
    """Customers in the tables, and an API over them."""
    views = random_views(random.Random(20260101), 75)
    views.insert(emptied)
    sweep_some_early(emptied)
    reader = PostgresReader(emptied, SCHEMA, projection_version=VERSION)
    asking = Asking(reader)
    yield views, asking
    await asking.client.aclose()
    await reader.aclose()


async def one_by_one(views: Views, asking: Asking) -> list[dict[str, Any]]:
    """What a list of all must hold: every customer's own lifecycle, and the columns of its row."""
    items = []
    for customer_id, facts in views.facts.items():
        told = await asking.get(f"/{customer_id}/lifecycle")
        columns = PROJECTION.columns(PROJECTION.decode(facts))
        if told["stage"] is not None:
            items.append(
                {
                    **{name: told[name] for name in ("customer_id", "stage", "flags", "since", "until")},
                    "events": columns.events,
                    "purchases": columns.purchases,
                    "first_event_at": rfc3339_or_none(columns.first_event_us),
                    "last_event_at": rfc3339_or_none(columns.last_event_us),
                    "last_sign_of_life_at": rfc3339_or_none(columns.last_sign_of_life_us),
                }
            )
    return items


def ordered(items: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """By customer_id, then by the order: sorting keeps equals in place, also when it is reversed."""
    found = sorted(items, key=lambda item: str(item["customer_id"]))
    if order != "customer_id":
        name = "since" if order.endswith("since") else "last_event_at"
        found.sort(key=lambda item: str(item[name]), reverse=order.startswith("-"))
    return found


async def test_a_list_is_what_asking_one_by_one_gives_at_any_instant(asked: tuple[Views, Asking]) -> None:
    views, asking = asked
    draw = random.Random(7)
    seen_stages, seen_flags = set(), set()
    for day in (-0.5, 2, 6.5, 11, 17.5, 23, 60):
        asking.at_us = START_US + round(day * DAY_US)
        everybody = await one_by_one(views, asking)
        seen_stages |= {item["stage"] for item in everybody}
        seen_flags |= {flag for item in everybody for flag in item["flags"]}
        for stage in (None, *STAGES):
            for flag in (None, *FLAGS):
                flagged = [item for item in everybody if flag is None or flag in item["flags"]]
                expected = [item for item in flagged if stage in (None, item["stage"])]
                counts = {name: sum(item["stage"] == name for item in flagged) for name in STAGES}
                for order in (draw.choice(ORDERS),) if flag or stage else ORDERS:
                    items, first = await asking.whole(draw.choice((1, 3, 7, 200)), stage=stage, flag=flag, order=order)
                    assert items == ordered(expected, order), (day, stage, flag, order)
                    assert (first["count"], first["counts"]) == (len(expected), counts)
                    assert first["at"] == rfc3339(asking.at_us)
    assert seen_stages == set(STAGES)
    assert seen_flags == set(FLAGS)
