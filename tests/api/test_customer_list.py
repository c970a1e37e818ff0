"""GET /v1/customers"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest
from api_client import MakeClient
from view_rows import Views, event, identifier_id, viewed

from customer_timeline.api import examples
from customer_timeline.api.models import CustomerListView
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import to_micros

pytestmark = pytest.mark.anyio
ANN, BOB, CAM = ("crm_id", "ann"), ("crm_id", "bob"), ("crm_id", "cam")
URL = "/v1/customers"


def at(text: str) -> dict[str, object]:
    """The configuration of an API that is asked at an instant."""
    return {"now_us": lambda: to_micros(datetime.fromisoformat(text))}


def bought(number: int, at: str, who: tuple[str, str]) -> dict[str, Any]:
    total = {"amount": "5", "currency": "USD"}
    return event(number, "purchase.completed.v1", at, {"order_id": f"o{number}", "total": total}, [who])


@pytest.fixture
def views() -> Views:
    """Ann bought on 1 January at noon, Bob was seen on the 2nd, Cam bought on the 3rd."""
    views = Views()
    views.customer([bought(1, "2026-01-01T12:00:00Z", ANN)])
    views.customer([viewed(2, "2026-01-02T12:00:00Z", BOB)])
    views.customer([bought(3, "2026-01-03T12:00:00Z", CAM)])
    return views


async def test_a_list_says_who_has_a_stage_since_when_and_how_many_have_each(client: MakeClient, views: Views) -> None:
    # Ann's first 90 days as a new customer end on 1 April (30 + 28 + 31 days of three months, and one).
    given = at("2026-04-01T12:00:00Z")
    shown = (await client(views, **given).get(URL, params={"stage": "at_risk", "flag": "silent"})).json()
    assert shown == {
        "items": [
            {
                "customer_id": identifier_id(*ANN),
                "stage": "at_risk",
                "flags": ["silent"],
                "since": "2026-04-01T12:00:00Z",
                "until": "2026-06-30T12:00:00Z",  # 180 days after 1 January
                "events": 1,
                "purchases": 1,
                "first_event_at": "2026-01-01T12:00:00Z",
                "last_event_at": "2026-01-01T12:00:00Z",
                "last_sign_of_life_at": "2026-01-01T12:00:00Z",
            }
        ],
        "count": 1,
        "counts": {"prospect": 1, "new": 1, "active": 0, "loyal": 0, "at_risk": 1, "churned": 0, "won_back": 0},
        "at": "2026-04-01T12:00:00Z",
        "next_cursor": None,
        "cut": None,
    }


async def test_all_pages_are_about_the_instant_of_the_first(client: MakeClient, views: Views) -> None:
    before, after = at("2026-04-01T11:00:00Z"), at("2026-04-01T13:00:00Z")
    filters = {"stage": "new", "order": "-since", "limit": "1"}
    first = (await client(views, **before).get(URL, params=filters)).json()
    assert (first["items"][0]["customer_id"], first["count"]) == (identifier_id(*CAM), 2)
    # An hour later Ann is no longer new. The list goes on as it began.
    second = (await client(views, **after).get(URL, params={**filters, "cursor": first["next_cursor"]})).json()
    assert (second["items"][0]["customer_id"], second["count"]) == (identifier_id(*ANN), 2)
    assert (second["at"], second["next_cursor"]) == ("2026-04-01T11:00:00Z", None)
    assert (await client(views, **after).get(URL, params=filters)).json()["count"] == 1


async def test_a_list_that_did_not_change_is_304_whenever_it_is_asked_for(client: MakeClient, views: Views) -> None:
    first = await client(views, **at("2026-04-01T11:00:00Z")).get(URL, params={"limit": 2})
    known = {"if-none-match": first.headers["etag"]}
    same = await client(views, **at("2026-04-01T11:59:59Z")).get(URL, params={"limit": 2}, headers=known)
    assert (same.status_code, same.content) == (304, b"")
    changed = await client(views, **at("2026-04-01T12:00:00Z")).get(URL, params={"limit": 2}, headers=known)
    assert changed.status_code == 200


async def test_a_list_has_fifty_customers_unless_told_and_never_more_than_two_hundred(client: MakeClient) -> None:
    views = Views()
    for number in range(201):
        views.customer([viewed(number, "2026-03-01T00:00:00Z", ("crm_id", f"c{number}"))])
    api = client(views)
    assert len((await api.get(URL)).json()["items"]) == 50
    assert len((await api.get(URL, params={"limit": 200})).json()["items"]) == 200
    assert (await api.get(URL, params={"limit": 201})).status_code == 422


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"stage": "lost"}, "stage"),
        ({"stage": ""}, "stage"),
        ({"flag": "at_risk"}, "flag"),
        ({"order": "stage"}, "order"),
        ({"order": "-customer_id"}, "order"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1.0"}, "limit"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "A" * 67}, "cursor"),
        ({"stages": "new"}, "stages"),
        ({"at": "2026-03-01T00:00:00Z"}, "at"),
    ],
)
async def test_a_parameter_that_is_not_valid_is_a_problem_that_names_it(
    client: MakeClient, views: Views, params: dict[str, str], parameter: str
) -> None:
    response = await client(views).get(URL, params=params)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


async def test_a_cursor_that_is_not_ours_is_a_problem(client: MakeClient, views: Views) -> None:
    api = client(views)
    cursor = (await api.get(URL, params={"limit": 1})).json()["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor + "==")
    flipped = [raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :] for n in range(len(raw))]
    altered = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in (*flipped, raw[:-1], raw[1:])]
    timeline = (await api.get(f"{URL}/crm_id:ann/timeline", params={"limit": 1})).json()["next_cursor"]
    for bad in (*altered, "x", "é", cursor[:-2], "A" * 66, *([timeline] if timeline else [])):
        response = await api.get(URL, params={"cursor": bad})
        assert response.status_code == 400, bad
        assert response.json()["type"] == "urn:customer-timeline:problem:invalid-cursor"


async def test_a_cursor_belongs_to_the_filters_and_the_order_that_it_was_made_with(
    client: MakeClient, views: Views
) -> None:
    api = client(views)
    cursor = (await api.get(URL, params={"limit": 1, "order": "since"})).json()["next_cursor"]
    assert len(cursor) == 66
    assert (await api.get(URL, params={"limit": 9, "order": "since", "cursor": cursor})).status_code == 200
    for other in ({}, {"order": "-since"}, {"order": "since", "stage": "new"}, {"order": "since", "flag": "silent"}):
        assert (await api.get(URL, params={**other, "cursor": cursor})).status_code == 400


async def test_while_customers_are_assessed_by_other_rules_there_is_no_list(client: MakeClient, views: Views) -> None:
    api = client(views, rules=StageRules(silent_days=31))
    response = await api.get(URL)
    problem = response.json()
    assert (response.status_code, problem["type"]) == (503, "urn:customer-timeline:problem:stages-being-assessed")
    assert response.headers["retry-after"] == "10"
    assert (problem["left"], problem["left_is_more"]) == (3, False)
    # One customer needs nobody else: the lifecycle is worked out from the facts.
    assert (await api.get(f"{URL}/crm_id:ann/lifecycle")).status_code == 200


async def test_answers_have_the_shape_that_the_document_promises(client: MakeClient, views: Views) -> None:
    CustomerListView.model_validate_json((await client(views).get(URL)).content)
    CustomerListView.model_validate_json((await client().get(URL)).content)
    CustomerListView.model_validate(examples.CUSTOMERS)
