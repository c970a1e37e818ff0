"""GET /v1/customers/{ref}/timeline"""

from __future__ import annotations

import base64

import httpx
import pytest
from api_client import MakeClient
from view_rows import Views, event, viewed

from customer_timeline.api.parameters import DEFAULT_LIMIT, MAX_LIMIT

pytestmark = pytest.mark.anyio
ANN, BOB = ("email", "ann@example.com"), ("email", "bob@example.com")
URL = "/v1/customers/email:ann@example.com/timeline"


@pytest.fixture
def views() -> Views:
    """Ann viewed a page on each of the first nine days of March; on the tenth she got a mail."""
    views = Views()
    mail = event(10, "email.sent.v1", "2026-03-10T00:00:00Z", {"message_id": "m"}, [ANN], channel="email")
    views.customer([*(viewed(n, f"2026-03-0{n}T00:00:00Z", ANN) for n in range(1, 10)), mail])
    return views


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


async def test_an_item_is_the_whole_event_and_what_the_log_knows_about_it(client: MakeClient, views: Views) -> None:
    item = (await client(views).get(URL, params={"limit": 1})).json()["items"][0]
    landed = next(landed for landed in views.events if landed.event.id == "e10")
    assert item == {
        "specversion": "1.0",
        "id": "e10",
        "source": "https://shop.example.com",
        "type": "email.sent.v1",
        "time": "2026-03-10T00:00:00Z",
        "data": {"identifiers": [{"kind": "email", "value": "ann@example.com"}], "channel": "email", "message_id": "m"},
        "event_id": landed.event.event_id,
        "recorded_at": "2026-03-10T00:00:01Z",
        "position": {"partition": 0, "offset": 9},
        "data_quality": None,
    }


async def test_cursors_lead_through_the_whole_timeline_newest_first(client: MakeClient, views: Views) -> None:
    api, found, cursor = client(views), [], None
    while True:
        page = await api.get(URL, params={"limit": 4, **({"cursor": cursor} if cursor else {})})
        found.append(ids(page))
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert found == [["e10", "e9", "e8", "e7"], ["e6", "e5", "e4", "e3"], ["e2", "e1"]]


async def test_a_cursor_stays_good_when_customers_merge(client: MakeClient, views: Views) -> None:
    bob = views.customer([viewed(n, f"2026-02-0{n - 20}T00:00:00Z", BOB) for n in (21, 22)])
    ann = next(customer for customer in views.members if customer != bob)
    api = client(views)
    cursor = (await api.get(URL, params={"limit": 9})).json()["next_cursor"]
    views.merge(ann, bob)
    page = await api.get(URL, params={"limit": 9, "cursor": cursor})
    assert ids(page) == ["e1", "e22", "e21"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"type": "email.sent"}, ["e10"]),
        ({"type": "email.sent.v1"}, ["e10"]),
        ({"channel": "email"}, ["e10"]),
        ({"from": "2026-03-09T00:00:00Z"}, ["e10", "e9"]),
        ({"until": "2026-03-02T00:00:00Z"}, ["e1"]),
        ({"from": "2026-03-09T01:00:00+01:00", "until": "2026-03-09T00:00:00.000001Z"}, ["e9"]),
        ({"from": "2026-03-11T00:00:00Z"}, []),
        ({"from": "0001-01-01T00:00:00+14:00", "until": "1969-12-31T00:00:00Z"}, []),
        ({"from": "9999-12-31T23:59:59-14:00"}, []),
        ({"channel": "pigeon"}, []),
    ],
)
async def test_filters_cut_the_timeline(
    client: MakeClient, views: Views, params: dict[str, str], expected: list[str]
) -> None:
    assert ids(await client(views).get(URL, params=params)) == expected


async def test_a_page_has_fifty_events_unless_told_and_never_more_than_two_hundred(client: MakeClient) -> None:
    assert (DEFAULT_LIMIT, MAX_LIMIT) == (50, 200)
    views = Views()
    views.customer([viewed(n, f"2026-03-01T00:{n // 60:02}:{n % 60:02}Z", ANN) for n in range(201)])
    api = client(views)
    assert len(ids(await api.get(URL))) == 50
    assert len(ids(await api.get(URL, params={"limit": 200}))) == 200
    assert (await api.get(URL, params={"limit": 201})).status_code == 422


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1.0"}, "limit"),
        ({"limit": "1_0"}, "limit"),
        ({"limit": "999999999999999999999999"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"type": "Page.Viewed"}, "type"),
        ({"type": "page"}, "type"),
        ({"type": "page.viewed.v0"}, "type"),
        ({"type": "%"}, "type"),
        ({"channel": "We b"}, "channel"),
        ({"channel": "web\x00"}, "channel"),
        ({"from": "2026-03-01"}, "from"),
        ({"from": "2026-03-01T00:00:00"}, "from"),
        ({"from": "1740787200"}, "from"),
        ({"until": "2026-02-30T00:00:00Z"}, "until"),
        ({"until": "2026-03-01T00:00:00 00:00"}, "until"),  # a + that was not quoted
        ({"cursor": ""}, "cursor"),
        ({"cursor": "A" * 56}, "cursor"),
        ({"chanel": "web"}, "chanel"),
        ({"to": "2026-03-01T00:00:00Z"}, "to"),
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
    cursor = (await api.get(URL, params={"limit": 4})).json()["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor + "=")
    flipped = [raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :] for n in range(len(raw))]
    altered = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in (*flipped, raw[:-1], raw[1:], bytes(41))]
    for bad in (*altered, "x", "....", "é", cursor[:-2], "A" * 55, "🦆"):
        response = await api.get(URL, params={"cursor": bad})
        assert response.status_code == 400, bad
        assert response.json()["type"] == "urn:customer-timeline:problem:invalid-cursor"


async def test_a_cursor_belongs_to_the_filters_that_it_was_made_with(client: MakeClient, views: Views) -> None:
    api = client(views)
    cursor = (await api.get(URL, params={"limit": 4, "type": "page.viewed"})).json()["next_cursor"]
    same = await api.get(URL, params={"limit": 2, "type": "page.viewed", "cursor": cursor})
    assert ids(same) == ["e5", "e4"]
    for other in ({}, {"type": "email.sent"}, {"type": "page.viewed", "channel": "web"}):
        response = await api.get(URL, params={**other, "cursor": cursor})
        assert (response.status_code, response.json()["title"]) == (400, "The cursor cannot be used here")


async def test_a_page_that_did_not_change_is_304(client: MakeClient, views: Views) -> None:
    api = client(views)
    first = await api.get(URL)
    same = await api.get(URL, headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


async def test_an_unknown_customer_has_no_timeline(client: MakeClient, views: Views) -> None:
    response = await client(views).get("/v1/customers/email:nobody@example.com/timeline")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:customer-timeline:problem:unknown-customer"
