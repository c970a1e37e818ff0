"""GET /v1/customers/{ref}/identity and /identity/why"""

from __future__ import annotations

from typing import Any

import pytest
from api_client import MakeClient
from view_rows import Views, event, identifier_id, viewed

from customer_timeline.api import examples, identity
from customer_timeline.api.identity_models import IdentityView, WhyView
from customer_timeline.projections import identity_reading
from customer_timeline.projections.component import Component
from customer_timeline.projections.dead_letters import StoredDeadLetters
from customer_timeline.projections.identity_reading import ComponentTooLargeError

pytestmark = pytest.mark.anyio
ANN, MEMBER, OTHER = ("email", "ann@example.com"), ("member_id", "M-1"), ("member_id", "M-2")
PHONE, BOB = ("phone", "+14155550123"), ("email", "bob@example.com")
URL = {"url": "https://shop.example.com/"}


def decided(number: int, verdict: str, at: str, a: tuple[str, str], b: tuple[str, str]) -> dict[str, Any]:
    named = {"a": {"kind": a[0], "value": a[1]}, "b": {"kind": b[0], "value": b[1]}}
    told = event(number, f"identity.{verdict}.v1", at, {**named, "reason": "Asked.", "operator": "op-1"}, channel=None)
    del told["data"]["identifiers"]
    return told


@pytest.fixture
def views() -> Views:
    """Ann: email, member number, phone. M-2 is another customer, whose event names Ann's email too; Bob was parted."""
    views = Views()
    views.customer(
        [
            event(1, "page.viewed.v1", "2026-03-01T00:00:00Z", URL, [MEMBER, ANN]),
            event(2, "page.viewed.v1", "2026-03-02T00:00:00Z", URL, [ANN, PHONE]),
        ]
    )
    views.customer([viewed(3, "2026-03-03T00:00:00Z", OTHER)])
    views.customer([viewed(4, "2026-03-03T00:00:00Z", BOB)])
    views.land(event(5, "page.viewed.v1", "2026-03-04T00:00:00Z", URL, [OTHER, ANN]))
    views.land(event(6, "page.viewed.v1", "2026-03-04T00:00:00Z", URL, [MEMBER, BOB]))
    views.land(decided(7, "unlinked", "2026-03-05T00:00:00Z", BOB, MEMBER))
    return views


def value_pairs(links: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(link["a"]["value"], link["b"]["value"]) for link in links]


async def test_identity_shows_links_with_their_events_and_refusals_with_their_reasons(
    client: MakeClient, views: Views
) -> None:
    answer = await client(views).get("/v1/customers/phone:+14155550123/identity")
    assert answer.status_code == 200
    told = answer.json()
    IdentityView.model_validate_json(answer.text)
    first_event = next(landed.event.event_id for landed in views.events if landed.event.id == "e1")
    # M-1 and Ann were both seen first by the first event; the lesser id leads.
    assert told["customer_id"] == min(identifier_id(*MEMBER), identifier_id(*ANN))
    assert {one["value"] for one in told["identifiers"]} == {"M-1", "ann@example.com", "+14155550123"}
    assert len(told["former_ids"]) == 2
    assert value_pairs(told["links"]) == [("M-1", "ann@example.com"), ("ann@example.com", "+14155550123")]
    assert told["links"][0]["evidence"] == [
        {
            "event_id": first_event,
            "occurred_at": "2026-03-01T00:00:00Z",
            "recorded_at": "2026-03-01T00:00:01Z",
            "source": "https://shop.example.com",
            "type": "page.viewed.v1",
        }
    ]
    refused = {(one["a"]["value"], one["b"]["value"]): one["refused"] for one in told["refused_links"]}
    assert refused["M-2", "ann@example.com"]["reason"] == "limit:member_id"
    assert {one["value"] for one in refused["M-2", "ann@example.com"]["identifiers"]} == {"M-1", "M-2"}
    assert refused["M-1", "bob@example.com"]["reason"] == "unlinked"
    assert [one["reason"] for one in refused["M-1", "bob@example.com"]["decisions"]] == ["Asked."]
    (decision,) = told["decisions"]
    assert (decision["verdict"], decision["operator"], decision["counts"]) == ("unlinked", "op-1", True)
    assert told["left_out"] == {
        "identifiers": 0, "links": 0, "refused_links": 0, "decisions": 0, "uncounted_links": False
    }  # fmt: skip


async def test_an_unchanged_identity_is_304(client: MakeClient, views: Views) -> None:
    api = client(views)
    first = await api.get("/v1/customers/member_id:M-1/identity")
    again = await api.get(
        "/v1/customers/email:ann@example.com/identity", headers={"if-none-match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    views.land(decided(8, "linked", "2026-03-06T00:00:00Z", BOB, MEMBER))
    after = await api.get("/v1/customers/member_id:M-1/identity", headers={"if-none-match": first.headers["etag"]})
    assert after.status_code == 200


async def test_why_leads_from_the_one_to_the_other(client: MakeClient, views: Views) -> None:
    answer = await client(views).get("/v1/customers/phone:+14155550123/identity/why", params={"b": "member_id:M-1"})
    WhyView.model_validate_json(answer.text)
    told = answer.json()
    assert told["together"]
    assert value_pairs(told["chain"]) == [("+14155550123", "ann@example.com"), ("ann@example.com", "M-1")]
    assert told["a"]["customer_id"] == told["b"]["customer_id"]


async def test_why_says_what_keeps_two_apart(client: MakeClient, views: Views) -> None:
    api = client(views)
    asked = {"a": "phone:+14155550123", "b": identifier_id(*OTHER)}
    told = (await api.get("/v1/customers/member_id:M-2/identity/why", params=asked)).json()
    assert (told["together"], told["kept_apart_by"]) == (False, [])
    assert [link["refused"] and link["refused"]["reason"] for link in told["chain"]] == [None, "limit:member_id"]
    parted = (await api.get("/v1/customers/member_id:M-1/identity/why", params={"b": "email:bob@example.com"})).json()
    assert [link["refused"]["reason"] for link in parted["chain"]] == ["unlinked"]
    assert [(one["operator"], one["reason"]) for one in parted["kept_apart_by"]] == [("op-1", "Asked.")]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("email:nobody@example.com/identity", 404, "unknown-customer"),
        ("email:ann@example.com/identity/why", 422, "invalid-parameter"),
        ("email:ann@example.com/identity/why?b=email:nobody@example.com", 404, "unknown-customer"),
        ("email:bob@example.com/identity/why?a=email:ann@example.com&b=member_id:M-1", 422, "invalid-parameter"),
        ("email:ann@example.com/identity/why?b=order:1", 400, "invalid-reference"),
        ("email:ann@example.com/identity/why?b=member_id:M-1&c=1", 422, "invalid-parameter"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    client: MakeClient, views: Views, path: str, status: int, kind: str
) -> None:
    answer = await client(views).get(f"/v1/customers/{path}")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, kind)
    assert "example.com" not in answer.text


async def test_long_lists_are_cut_and_say_so(client: MakeClient, views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_IDENTIFIERS", "MOST_LINKS", "MOST_REFUSED"):
        monkeypatch.setattr(identity, name, 1)
    told = (await client(views).get("/v1/customers/member_id:M-1/identity")).json()
    assert [len(told[name]) for name in ("identifiers", "former_ids", "links", "refused_links")] == [1, 1, 1, 1]
    assert (told["left_out"]["identifiers"], told["left_out"]["links"], told["left_out"]["refused_links"]) == (2, 1, 1)
    chain = (await client(views).get("/v1/customers/member_id:M-1/identity/why?b=phone:%2B14155550123")).json()
    assert (len(chain["chain"]), chain["left_out"]["chain"]) == (1, 1)


async def test_too_many_connected_identifiers_are_a_problem_that_says_what_to_do(client: MakeClient) -> None:
    class TooLarge:
        async def identity(self, identifier_id: str) -> Component | None:
            raise ComponentTooLargeError

        async def stored_dead_letters(self) -> StoredDeadLetters:
            return StoredDeadLetters({}, 0)

        async def aclose(self) -> None:
            pass

    answer = await client(TooLarge()).get("/v1/customers/member_id:M-1/identity")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "identity-too-large")
    assert f"{identity_reading.MOST_MEMBERS:,}" in answer.json()["detail"]


def test_the_examples_have_the_documented_shape() -> None:
    IdentityView.model_validate(examples.IDENTITY)
    WhyView.model_validate(examples.WHY)
