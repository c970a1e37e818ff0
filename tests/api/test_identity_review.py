"""GET /v1/identity/review"""

from __future__ import annotations

from typing import Any

import pytest
from api_client import MakeClient
from view_rows import Views, event, identifier_id, viewed

from customer_timeline.api import examples
from customer_timeline.api.identity_models import ReviewView
from customer_timeline.projections.identity_review import IdentityChange
from customer_timeline.schemas.decoded import to_micros

pytestmark = pytest.mark.anyio
URL = "/v1/identity/review"
PHONE, SPARE = ("phone", "+14155550123"), ("phone", "+14155550124")
ANN = ("email", "ann@example.com")


def member(number: int) -> tuple[str, str]:
    return ("member_id", f"M-{number}")


@pytest.fixture
def views() -> Views:
    """M-1 is Ann; four more members use her email. Two telephones are shared; a third customer has two identifiers."""
    views = Views()
    page = {"url": "https://shop.example.com/"}
    views.customer([event(1, "page.viewed.v1", "2026-03-01T00:00:00Z", page, [member(1), ANN])])
    for number in (2, 3, 4, 5):
        views.customer([viewed(number, "2026-03-02T00:00:00Z", member(number))])
        views.land(event(10 + number, "page.viewed.v1", "2026-03-03T00:00:00Z", page, [member(number), ANN]))
    for number, phone in ((20, PHONE), (21, SPARE)):
        shared = views.customer([viewed(number, "2026-03-01T00:00:00Z", phone)])
        views.shared.add(shared)
        views.land(event(number + 10, "page.viewed.v1", "2026-03-04T00:00:00Z", page, [member(1), phone]))
    recorded = [to_micros(landed.event.recorded_at) for landed in views.events]
    views.changes += [
        IdentityChange(identifier_id(*ANN), (identifier_id(*member(1)),), recorded[0]),
        IdentityChange(identifier_id(*member(2)), (identifier_id(*PHONE),), recorded[1]),
    ]
    return views


async def pages(client: MakeClient, views: Views, **asked: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list, by their cursors."""
    api, found, cursor = client(views), [], None
    while True:
        answer = await api.get(URL, params={**asked, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        ReviewView.model_validate_json(answer.text)
        told = answer.json()
        found.append(told["items"])
        cursor = told["next_cursor"]
        if cursor is None:
            return found


async def test_shared_values_come_with_how_many_they_were_named_with(client: MakeClient, views: Views) -> None:
    found = await pages(client, views, of="shared_values", limit=1)
    assert [len(page) for page in found] == [1, 1]
    assert {page[0]["value"]: page[0]["named_with"] for page in found} == {PHONE[1]: 1, SPARE[1]: 1}


async def test_refused_links_are_those_that_limits_skipped_not_those_of_shared_values(
    client: MakeClient, views: Views
) -> None:
    found = await pages(client, views, of="refused_links", limit=3)
    assert [len(page) for page in found] == [3, 1]
    links = [link for page in found for link in page]
    assert {(link["a"]["value"], link["b"]["value"]) for link in links} == {
        (f"M-{number}", "ann@example.com") for number in (2, 3, 4, 5)
    }
    assert {link["reason"] for link in links} == {"limit:member_id"}
    assert [link["a"]["identifier_id"] for link in links] == sorted(link["a"]["identifier_id"] for link in links)


async def test_large_customers_are_those_of_at_least_so_many_identifiers(client: MakeClient, views: Views) -> None:
    (found,) = await pages(client, views, of="large_customers", size=2)
    assert [(one["identifiers"], one["customer_id"]) for one in found] == [
        (2, min(identifier_id(*ANN), identifier_id(*member(1))))
    ]
    assert await pages(client, views, of="large_customers") == [[]]


async def test_recent_changes_come_newest_first(client: MakeClient, views: Views) -> None:
    found = await pages(client, views, of="recent_changes", limit=1)
    assert [page[0]["customer_id"] for page in found] == [identifier_id(*member(2)), identifier_id(*ANN)]
    assert found[1][0]["at"] == "2026-03-01T00:00:01Z"


@pytest.mark.parametrize(
    ("asked", "status", "kind"),
    [
        ({}, 422, "invalid-parameter"),
        ({"of": "everything"}, 422, "invalid-parameter"),
        ({"of": "shared_values", "limit": "201"}, 422, "invalid-parameter"),
        ({"of": "large_customers", "size": "1"}, 422, "invalid-parameter"),
        ({"of": "shared_values", "cursor": "x"}, 400, "invalid-cursor"),
    ],
)
async def test_what_cannot_be_listed_is_a_problem(
    client: MakeClient, views: Views, asked: dict[str, str], status: int, kind: str
) -> None:
    answer = await client(views).get(URL, params=asked)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, kind)


async def test_a_cursor_leads_on_in_its_own_list_only(client: MakeClient, views: Views) -> None:
    api = client(views)
    cursor = (await api.get(URL, params={"of": "shared_values", "limit": 1})).json()["next_cursor"]
    answer = await api.get(URL, params={"of": "refused_links", "cursor": cursor})
    assert answer.json()["type"].endswith("invalid-cursor")


def test_the_example_has_the_documented_shape() -> None:
    ReviewView.model_validate(examples.REVIEW)
