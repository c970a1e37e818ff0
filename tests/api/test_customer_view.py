"""GET /v1/customers/{ref}"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from api_client import MakeClient
from view_rows import Views, event, identifier_id, viewed

from customer_timeline.api import examples
from customer_timeline.api.models import CustomerView, TimelineView

pytestmark = pytest.mark.anyio
ANN, PHONE = ("email", "ann@example.com"), ("phone", "+14155550123")
WECHAT = ("open_id:wechat", "oGZUI0")
USD = "USD"


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": USD}


@pytest.fixture
def views() -> Views:
    """Ann: seen by phone first, bought twice (12.50 and 7.25, cost 5), got 2.50 back."""
    views = Views()
    views.customer(
        [
            event(1, "call.missed.v1", "2026-03-01T09:00:00Z", {"direction": "inbound"}, [PHONE], channel="phone"),
            event(
                2,
                "purchase.completed.v1",
                "2026-03-02T10:00:00Z",
                {"order_id": "o1", "total": money("12.50"), "cost": money("5")},
                [ANN, PHONE],
            ),
            event(
                3, "purchase.completed.v1", "2026-03-06T10:00:00.5Z", {"order_id": "o2", "total": money("7.25")}, [ANN]
            ),
            event(
                4,
                "purchase.refunded.v1",
                "2026-03-07T10:00:00Z",
                {"order_id": "o2", "refund_id": "r", "total": money("2.50")},
                [ANN],
            ),
            event(
                5, "profile.updated.v1", "2026-03-05T00:00:00Z", {"traits": {"given_name": "Ann"}}, [ANN], channel="crm"
            ),
        ],
        also=[("crm_id", "C-7"), WECHAT],
    )
    return views


async def test_the_view_holds_all_that_is_known_of_a_customer(client: MakeClient, views: Views) -> None:
    view = (await client(views).get("/v1/customers/email:ann@example.com")).json()
    profile_event = next(landed.event.event_id for landed in views.events if landed.event.id == "e5")
    phone_id, ann_id = identifier_id(*PHONE), identifier_id(*ANN)
    version = view.pop("version")
    assert len(version) == 32
    assert view == {
        "customer_id": phone_id,
        "former_ids": [ann_id, *(i for i in view["former_ids"] if i != ann_id)],
        "identifiers": [
            {
                "kind": "phone",
                "value": "+14155550123",
                "first_seen_at": "2026-03-01T09:00:00Z",
                "last_seen_at": "2026-03-02T10:00:00Z",
            },
            {
                "kind": "email",
                "value": "ann@example.com",
                "first_seen_at": "2026-03-02T10:00:00Z",
                "last_seen_at": "2026-03-07T10:00:00Z",
            },
            *(
                {"kind": i["kind"], "value": i["value"], "first_seen_at": None, "last_seen_at": None}
                for i in view["identifiers"][2:]
            ),
        ],
        "profile": {
            "given_name": {
                "value": "Ann",
                "occurred_at": "2026-03-05T00:00:00Z",
                "source": "https://shop.example.com",
                "event_id": profile_event,
            },
        },
        "activity": {
            "events": 5,
            "signs_of_life": 3,  # the call and the purchases
            "first_at": "2026-03-01T09:00:00Z",
            "last_at": "2026-03-07T10:00:00Z",
            "last_sign_of_life_at": "2026-03-06T10:00:00.500000Z",
            "by_channel": {
                "crm": {"inbound": 0, "outbound": 0, "system": 1, "last_at": "2026-03-05T00:00:00Z"},
                "phone": {"inbound": 1, "outbound": 0, "system": 0, "last_at": "2026-03-01T09:00:00Z"},
                "web": {"inbound": 2, "outbound": 0, "system": 1, "last_at": "2026-03-07T10:00:00Z"},
            },
            "by_type": {"call.missed": 1, "profile.updated": 1, "purchase.completed": 2, "purchase.refunded": 1},
            "by_month": {"2026-03": 5},
        },
        "purchases": {
            "count": 2,
            "days": 2,
            "first_at": "2026-03-02T10:00:00Z",
            "last_at": "2026-03-06T10:00:00.500000Z",
            # 12.50 + 7.25 = 19.75; less 2.50 = 17.25
            "by_currency": {USD: {"gross": "19.75", "refunds": "2.50", "net": "17.25", "cost": "5.00"}},
            "median_gap_days": 4,
        },
        "cut": None,
    }
    assert {(i["kind"], i["value"]) for i in view["identifiers"][2:]} == {("crm_id", "C-7"), WECHAT}
    assert set(view["former_ids"]) == {ann_id, identifier_id("crm_id", "C-7"), identifier_id(*WECHAT)}


# V2, each trait with a value and the event that it comes from.
_CONTACT = {
    "given_name": "Ann",
    "family_name": "Lee",
    "full_name": "Ann Lee",
    "phones": ["+14155550123"],
    "emails": ["ann@example.com", "ann@work.example.com"],
    "addresses": [{"kind": "home", "city": "Bonn", "country": "DE"}],
    "company": "Acme",
    "title": "Head of lamps",
    "birthday": "1988-05-17",
    "interests": ["lamps"],
    "needs": ["light"],
}
_COMPANY = {"industry": "retail", "size": "50-249"}


async def test_every_trait_that_a_profile_is_made_of_reaches_the_view_with_its_origin(client: MakeClient) -> None:
    views = Views()
    company = {"account": "acme", "traits": _COMPANY}
    views.customer(
        [
            event(1, "profile.updated.v1", "2026-03-01T09:00:00Z", {"traits": _CONTACT}, [ANN], channel="crm"),
            event(2, "account.updated.v1", "2026-03-02T09:00:00Z", company, [ANN], channel="crm"),
        ]
    )
    contact, account = (
        {"occurred_at": at, "source": "https://shop.example.com", "event_id": landed.event.event_id}
        for at, landed in zip(("2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z"), views.events, strict=True)
    )
    shown = (await client(views).get("/v1/customers/email:ann@example.com")).json()["profile"]
    assert shown == {
        **{trait: {"value": value, **contact} for trait, value in _CONTACT.items()},
        "account": {"value": "acme", **account},
        "company_size": {"value": "50-249", **account},
        "industry": {"value": "retail", **account},
    }


@pytest.mark.parametrize(
    "ref",
    [
        "email:Ann@Example.com",
        "email:%20ANN@example.COM%20",
        "phone:+1 (415) 555-0123",
        "phone:415-555-0123",
        "crm_id:C-7",
        "open_id:wechat:oGZUI0",
        identifier_id(*ANN),
        identifier_id(*PHONE).upper(),
    ],
)
async def test_any_reference_in_any_spelling_leads_to_the_same_view(client: MakeClient, views: Views, ref: str) -> None:
    api = client(views)
    expected = await api.get(f"/v1/customers/{identifier_id(*PHONE)}")
    found = await api.get(f"/v1/customers/{ref}")
    assert found.status_code == 200
    assert found.content == expected.content


@pytest.mark.parametrize("value", ["a/b", "a/timeline/b", "%41 50%", "x:y:z", "日本", "a?b#c"])
async def test_a_value_may_hold_what_a_url_must_quote(client: MakeClient, value: str) -> None:
    views = Views()
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ("crm_id", value))])
    found = await client(views).get(f"/v1/customers/crm_id:{quote(value, safe='')}")
    assert found.json()["customer_id"] == customer_id
    timeline = await client(views).get(f"/v1/customers/crm_id:{quote(value, safe='')}/timeline")
    assert len(timeline.json()["items"]) == 1


async def test_a_customer_that_only_a_decision_names_has_an_empty_view(client: MakeClient) -> None:
    views = Views()
    views.customer([], also=[ANN])
    views.facts.clear()
    view = (await client(views).get("/v1/customers/email:ann@example.com")).json()
    assert (view["activity"]["events"], view["purchases"]["count"], view["profile"]) == (0, 0, {})
    CustomerView.model_validate(view)


async def test_the_etag_is_the_version_and_answers_304_until_the_content_changes(
    client: MakeClient, views: Views
) -> None:
    url = "/v1/customers/email:ann@example.com"
    api = client(views)
    first = await api.get(url)
    etag = first.headers["etag"]
    assert etag == f'"{first.json()["version"]}"'
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        same = await api.get(url, headers={"if-none-match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert (await api.get(url, headers={"if-none-match": '"other"'})).status_code == 200
    views.customer([viewed(9, "2026-03-09T00:00:00Z", ANN)])
    views.merge(identifier_id(*ANN), identifier_id(*PHONE))
    changed = await api.get(url, headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_answers_have_the_shapes_that_the_document_promises(client: MakeClient, views: Views) -> None:
    api = client(views)
    CustomerView.model_validate_json((await api.get("/v1/customers/email:ann@example.com")).content)
    page = await api.get("/v1/customers/email:ann@example.com/timeline?limit=2")
    TimelineView.model_validate_json(page.content)
    CustomerView.model_validate(examples.CUSTOMER)
    TimelineView.model_validate(examples.TIMELINE)
