"""GET /v1/customers/{ref}/lifecycle"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import pytest
from api_client import MakeClient
from memory_reader import MemoryReader
from view_rows import Views, event, identifier_id, viewed

from customer_timeline.api import examples
from customer_timeline.api.models import LifecycleView
from customer_timeline.projections.alive import AliveParameters
from customer_timeline.projections.reading import EventAt
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import to_micros

pytestmark = pytest.mark.anyio
ANN = ("email", "ann@example.com")
URL = "/v1/customers/email:ann@example.com/lifecycle"
TOTAL = {"amount": "5", "currency": "USD"}


def bought(number: int, at: str) -> dict[str, Any]:
    return event(number, "purchase.completed.v1", at, {"order_id": f"o{number}", "total": TOTAL}, [ANN])


def at(text: str) -> dict[str, object]:
    """The configuration of an API that is asked at an instant."""
    return {"now_us": lambda: to_micros(datetime.fromisoformat(text))}


def event_id(views: Views, number: int) -> str:
    return next(landed.event.event_id for landed in views.events if landed.event.id == f"e{number}")


@pytest.fixture
def views() -> Views:
    """Ann was seen on 1 January and bought on the 11th, at noon; two events stand at that instant."""
    views = Views()
    mail = event(3, "email.sent.v1", "2026-01-11T12:00:00Z", {"message_id": "m"}, [ANN], channel="email")
    views.customer([viewed(1, "2026-01-01T12:00:00Z", ANN), bought(2, "2026-01-11T12:00:00Z"), mail])
    return views


async def test_a_lifecycle_says_where_the_customer_stands_why_what_was_and_what_will_be(
    client: MakeClient, views: Views
) -> None:
    shown = (await client(views, **at("2026-04-20T12:00:00Z")).get(URL)).json()
    # Silent since 11 January: 30 days are over on 10 February, 90 (new) on 11 April, 180 on 10 July.
    because = {
        "inputs": {
            "last_sign_of_life_at": "2026-01-11T12:00:00Z",
            "silent_days": 30,
            "silent_gaps": 2,
            "median_gap_days": None,
            "threshold_days": 30,
            "threshold_passed_at": "2026-02-10T12:00:00Z",
        },
        # The mail of that instant is no sign of life.
        "events": [{"role": "sign_of_life", "at": "2026-01-11T12:00:00Z", "event_ids": [event_id(views, 2)]}],
    }
    assert shown == {
        "customer_id": identifier_id(*ANN),
        "stage": "at_risk",
        "flags": ["silent"],
        "stage_since": "2026-04-11T12:00:00Z",
        "since": "2026-04-11T12:00:00Z",
        "until": "2026-07-10T12:00:00Z",
        "rule": "at_risk_silent",
        "reasons": [
            {"of": "stage", "rule": "at_risk_silent", **because},
            {"of": "silent", "rule": "silent", **because},
        ],
        "history": [
            {"stage": "prospect", "flags": [], "from": "2026-01-01T12:00:00Z", "until": "2026-01-11T12:00:00Z"},
            {"stage": "new", "flags": [], "from": "2026-01-11T12:00:00Z", "until": "2026-02-10T12:00:00Z"},
            {"stage": "new", "flags": ["silent"], "from": "2026-02-10T12:00:00Z", "until": "2026-04-11T12:00:00Z"},
            {"stage": "at_risk", "flags": ["silent"], "from": "2026-04-11T12:00:00Z", "until": "2026-07-10T12:00:00Z"},
        ],
        "schedule": [{"stage": "churned", "flags": ["silent"], "from": "2026-07-10T12:00:00Z", "until": None}],
        "p_alive": {
            "p_alive": 1.0,
            "repeat_days": 0,
            "recency_days": 0,
            "age_days": 99,  # 11 January to 20 April: 20 + 28 + 31 + 20
            "parameters": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
        },
        "next_purchase_due_on": None,
        "complaints": {"open": 0, "opened_total": 0, "open_cases": []},
        "contracts": [],
        "satisfaction": {"answers": 0, "csat": None, "nps": None},
        "rules_version": StageRules().version,
        "at": "2026-04-20T12:00:00Z",
        "cut": None,
    }


async def test_all_events_that_can_be_meant_are_named(client: MakeClient) -> None:
    views = Views()
    same = "2026-01-01T12:00:00Z"
    views.customer(
        [viewed(1, same, ANN), bought(2, same), viewed(3, same, ANN), viewed(4, "2026-01-02T00:00:00Z", ANN)]
    )
    prospect = Views()
    prospect.customer([viewed(1, same, ANN), event(2, "email.sent.v1", same, {"message_id": "m"}, [ANN])])
    shown = (await client(views, **at("2026-01-03T00:00:00Z")).get(URL)).json()
    assert shown["reasons"][0]["events"] == [{"role": "purchase", "at": same, "event_ids": [event_id(views, 2)]}]
    shown = (await client(prospect, **at("2026-01-03T00:00:00Z")).get(URL)).json()
    both = sorted(event_id(prospect, number) for number in (1, 2))
    assert shown["reasons"][0]["events"] == [{"role": "first_event", "at": same, "event_ids": both}]
    shown = (await client(views, **at("2026-02-03T00:00:00Z")).get(URL)).json()
    (silent,) = (reason for reason in shown["reasons"] if reason["of"] == "silent")
    assert silent["events"][0]["event_ids"] == [event_id(views, 4)]


async def test_event_ids_that_the_facts_know_need_no_looking_up(client: MakeClient) -> None:
    views = Views()
    opened = event(2, "complaint.opened.v1", "2026-01-02T00:00:00Z", {"case_id": "c1", "theme": "late"}, [ANN])
    views.customer([bought(1, "2026-01-01T00:00:00Z"), opened])
    shown = (await client(views, **at("2026-01-10T00:00:00Z")).get(URL)).json()
    assert (shown["stage"], shown["flags"], shown["rule"]) == ("at_risk", ["complaint_open"], "at_risk_complaint")
    assert shown["reasons"][0]["inputs"] == {
        "cases": [{"case_id": "c1", "open_since_at": "2026-01-02T00:00:00Z"}],
        "complaint_days": 7,
    }
    named = {"role": "complaint", "at": "2026-01-02T00:00:00Z", "event_ids": [event_id(views, 2)]}
    assert shown["reasons"][0]["events"] == [named]
    assert shown["complaints"]["open_cases"] == [{"case_id": "c1", "since": "2026-01-02T00:00:00Z"}]


async def test_rules_and_parameters_are_those_of_the_deployment(client: MakeClient, views: Views) -> None:
    given = {"rules": StageRules(silent_days=100), "alive": AliveParameters(r=0.5)}
    shown = (await client(views, **at("2026-04-20T12:00:00Z"), **given).get(URL)).json()
    assert (shown["stage"], shown["rules_version"]) == ("active", StageRules(silent_days=100).version)
    assert shown["p_alive"]["parameters"]["r"] == 0.5


async def test_a_customer_without_events_has_no_stage_and_empty_lists(client: MakeClient) -> None:
    views = Views()
    views.customer([], also=[ANN])
    views.facts.clear()
    shown = (await client(views).get(URL)).json()
    LifecycleView.model_validate(shown)
    assert {name: shown[name] for name in ("stage", "since", "until", "rule", "p_alive")} == dict.fromkeys(
        ("stage", "since", "until", "rule", "p_alive")
    )
    assert [shown[name] for name in ("flags", "reasons", "history", "schedule", "contracts")] == [[], [], [], [], []]


async def test_before_the_first_event_everything_is_still_to_come(client: MakeClient, views: Views) -> None:
    shown = (await client(views, **at("2026-01-01T11:59:00Z")).get(URL)).json()
    assert (shown["stage"], shown["history"]) == (None, [])
    assert [entry["stage"] for entry in shown["schedule"]][:2] == ["prospect", "new"]


async def test_the_etag_leaves_out_when_it_was_asked_and_changes_with_the_stage(
    client: MakeClient, views: Views
) -> None:
    first = await client(views, **at("2026-04-11T11:00:00Z")).get(URL)
    known = {"if-none-match": first.headers["etag"]}
    assert first.headers["etag"].startswith('W/"')
    same = await client(views, **at("2026-04-11T11:59:59.999999Z")).get(URL, headers=known)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    changed = await client(views, **at("2026-04-11T12:00:00Z")).get(URL, headers=known)
    assert (first.json()["stage"], changed.status_code, changed.json()["stage"]) == ("new", 200, "at_risk")


class MergingReader(MemoryReader):
    """A reader between whose two reads something happens: the first looking up finds nothing."""

    def __init__(self, views: Views, *, times: int) -> None:
        super().__init__(views)
        self.times = times

    async def events_at(self, identifier_id: str, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        self.times -= 1
        return () if self.times >= 0 else await super().events_at(identifier_id, instants_us)


@pytest.mark.parametrize(("times", "found"), [(1, 1), (2, 1), (3, 0)])
async def test_where_a_merge_comes_between_the_two_reads_both_are_done_again(
    client: MakeClient, views: Views, times: int, found: int
) -> None:
    shown = (await client(MergingReader(views, times=times), **at("2026-04-20T12:00:00Z")).get(URL)).json()
    assert [len(one["event_ids"]) for reason in shown["reasons"] for one in reason["events"]] == [found, found]
    assert shown["stage"] == "at_risk"


async def test_answers_have_the_shape_that_the_document_promises(client: MakeClient, views: Views) -> None:
    signed = {"contract_id": "k", "starts_on": "2026-01-01", "ends_on": "2026-12-31"}
    answered = {"survey_id": "s", "via": "online", "csat": 1, "nps": 9}
    views.customer(
        [
            bought(11, "2026-01-01T00:00:00Z"),
            event(12, "contract.signed.v1", "2026-01-01T00:00:00Z", signed, [("crm_id", "C")]),
            event(13, "survey.answered.v1", "2026-01-02T00:00:00Z", answered, [("crm_id", "C")]),
        ]
    )
    for ref in ("email:ann@example.com", "crm_id:C"):
        answer = await client(views).get(f"/v1/customers/{ref}/lifecycle")
        LifecycleView.model_validate_json(answer.content)
    LifecycleView.model_validate(examples.LIFECYCLE)


async def test_an_unknown_customer_has_no_lifecycle(client: MakeClient, views: Views) -> None:
    response = await client(views).get("/v1/customers/email:nobody@example.com/lifecycle")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:customer-timeline:problem:unknown-customer"
