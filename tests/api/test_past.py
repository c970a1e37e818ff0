"""`as_of` and `known_at` on every read, what changed between two instants of recording, and late events."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import httpx
import pytest
from api_client import MakeClient
from memory_cut_reader import MemoryCutReader
from reference.log_model import Record
from view_rows import SOURCE, Views, event, viewed

from customer_timeline.api import examples
from customer_timeline.api.models import (
    CustomerListView,
    CustomerView,
    DifferenceView,
    LateEventsView,
    LifecycleView,
    TimelineView,
)
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.schemas.decoded import to_micros

pytestmark = pytest.mark.anyio
ANN, PHONE = ("email", "ann@example.com"), ("phone", "+14155550123")
URL = "/v1/customers/email:ann@example.com"


def us(at: str) -> int:
    return to_micros(datetime.fromisoformat(at))


def bought(number: int, at: str, amount: str, who: tuple[str, str] = ANN, **more: Any) -> dict[str, Any]:
    data = {"order_id": f"o{number}", "total": {"amount": amount, "currency": "USD"}}
    return {**event(number, "purchase.completed.v1", at, data, [who]), **more}


def log(*appended: tuple[Mapping[str, Any], str]) -> MemoryCutReader:
    """The past of a log: events and when each was recorded. Everything recorded before June is applied."""
    records = [
        Record(json.dumps(one).encode(), datetime.fromisoformat(at), 0, n) for n, (one, at) in enumerate(appended)
    ]
    return MemoryCutReader(lambda: records, passed_us=us("2026-06-01T00:00:00Z"))


# In March Ann was seen, and bought for 10; the shop's second till delivered a purchase of 5 in April, and corrected the
# first to 12.50 in May.
LATE = (
    (viewed(1, "2026-03-01T12:00:00Z", ANN), "2026-03-01T12:00:01Z"),
    (bought(2, "2026-03-10T12:00:00Z", "10.00"), "2026-03-10T12:00:01Z"),
    (bought(3, "2026-03-20T12:00:00Z", "5.00"), "2026-04-02T08:00:00Z"),
    (bought(2, "2026-03-10T12:00:00Z", "12.50", revision=1), "2026-05-05T08:00:00Z"),
)


async def got(client: httpx.AsyncClient, path: str, **parameters: str) -> dict[str, Any]:
    answer = await client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_happened_later_does_not_count(client: MakeClient) -> None:
    view = await got(client(past=log(*LATE)), URL, as_of="2026-03-10T12:00:00Z")
    assert view["activity"]["events"] == 2  # the instant itself is included
    assert view["purchases"]["by_currency"]["USD"]["gross"] == "12.50"  # corrected since, and that is known
    assert view["cut"] == {
        "as_of": "2026-03-10T12:00:00Z",
        "known_at": None,
        "identity": "cut",
        "complete": None,
    }
    assert CustomerView.model_validate(view)


async def test_what_was_recorded_later_does_not_count(client: MakeClient) -> None:
    api = client(past=log(*LATE))
    before = await got(api, URL, known_at="2026-03-31T23:59:59Z")
    assert (before["purchases"]["count"], before["purchases"]["by_currency"]["USD"]["gross"]) == (1, "10.00")
    assert before["cut"]["complete"] is True
    later = await got(api, URL, known_at="2026-04-30T00:00:00Z", as_of="2026-03-15T00:00:00Z")
    assert later["purchases"]["by_currency"]["USD"]["gross"] == "10.00"  # of the late purchase only its time is cut


async def test_a_cut_beyond_what_is_applied_says_that_it_is_not_complete(client: MakeClient) -> None:
    view = await got(client(past=log(*LATE)), URL, known_at="2026-06-01T00:00:01Z")
    assert view["cut"]["complete"] is False


async def test_a_date_means_its_end_in_the_business_zone(client: MakeClient) -> None:
    kolkata = CustomerProjection(BusinessCalendar("Asia/Kolkata"))
    view = await got(client(past=log(*LATE), projection=kolkata), URL, as_of="2026-03-10")
    assert view["cut"]["as_of"] == "2026-03-10T18:29:59.999999Z"
    assert date.fromisoformat(view["cut"]["as_of"][:10]) == date(2026, 3, 10)


async def test_who_is_who_follows_the_cut_or_today(client: MakeClient) -> None:
    both = event(4, "page.viewed.v1", "2026-04-01T00:00:00Z", {"url": "https://a.example"}, [ANN, PHONE])
    api = client(
        past=log(
            (viewed(1, "2026-03-01T12:00:00Z", ANN), "2026-03-01T12:00:01Z"),
            (viewed(2, "2026-03-02T12:00:00Z", PHONE), "2026-03-02T12:00:01Z"),
            (both, "2026-04-01T00:00:01Z"),
        )
    )
    then = await got(api, URL, as_of="2026-03-31")
    assert [one["value"] for one in then["identifiers"]] == [ANN[1]]
    assert then["activity"]["events"] == 1
    today = await got(api, URL, as_of="2026-03-31", identity="current")
    assert [one["value"] for one in today["identifiers"]] == [ANN[1], PHONE[1]]
    assert (today["activity"]["events"], today["cut"]["identity"]) == (2, "current")


async def test_whom_nobody_had_named_by_then_is_unknown(client: MakeClient) -> None:
    answer = await client(past=log(*LATE)).get(URL, params={"as_of": "2026-02-28"})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "No event that this cut leaves names the identifier."


async def test_a_timeline_shows_the_records_that_counted_then(client: MakeClient) -> None:
    api = client(past=log(*LATE))
    page = await got(api, f"{URL}/timeline", known_at="2026-04-30", limit="2")
    assert [item["id"] for item in page["items"]] == ["e3", "e2"]
    assert page["items"][1]["data"]["total"]["amount"] == "10.00"
    assert TimelineView.model_validate(page)
    rest = await got(api, f"{URL}/timeline", known_at="2026-04-30", limit="2", cursor=page["next_cursor"])
    assert [item["id"] for item in rest["items"]] == ["e1"]
    other = await api.get(f"{URL}/timeline", params={"known_at": "2026-05-30", "cursor": page["next_cursor"]})
    assert (other.status_code, other.json()["type"].rpartition(":")[2]) == (400, "invalid-cursor")


@pytest.mark.parametrize(
    ("cut", "at"),
    [
        ({"as_of": "2026-04-15T00:00:00Z"}, "2026-04-15T00:00:00Z"),
        ({"known_at": "2026-04-20T00:00:00Z"}, "2026-04-20T00:00:00Z"),  # nobody could know then what came later
        ({"known_at": "2099-01-01T00:00:00Z"}, "2026-06-01T00:00:00Z"),  # never after the present
        ({"as_of": "2026-12-01T00:00:00Z"}, "2026-12-01T00:00:00Z"),  # if nothing happens
    ],
)
async def test_a_lifecycle_is_about_the_instant_of_its_cut(client: MakeClient, cut: dict[str, str], at: str) -> None:
    shown = await got(client(past=log(*LATE)), f"{URL}/lifecycle", **cut)
    assert shown["at"] == at
    assert LifecycleView.model_validate(shown)


async def test_a_stage_of_the_past_knows_nothing_of_what_came_after(client: MakeClient) -> None:
    shown = await got(client(past=log(*LATE)), f"{URL}/lifecycle", known_at="2026-04-01", as_of="2026-04-09T12:00:00Z")
    # New for 90 days since the first purchase, on 10 March; at that cut no second one is known.
    assert (shown["stage"], shown["until"]) == ("new", "2026-06-08T12:00:00Z")
    assert shown["next_purchase_due_on"] is None


async def test_a_list_of_the_past_is_its_customers_one_by_one(client: MakeClient) -> None:
    api = client(past=log(*LATE, (bought(9, "2026-04-05T00:00:00Z", "1.00", PHONE), "2026-04-05T00:00:01Z")))
    listed = await got(api, "/v1/customers", as_of="2026-03-15")
    assert [(row["stage"], row["events"], row["purchases"]) for row in listed["items"]] == [("new", 2, 1)]
    assert (listed["cut"]["identity"], listed["at"]) == ("current", "2026-03-15T23:59:59.999999Z")
    assert CustomerListView.model_validate(listed)


async def test_a_difference_names_the_fields_and_the_events_behind_them(client: MakeClient) -> None:
    shown = await got(client(past=log(*LATE)), f"{URL}/diff", known_from="2026-03-31", as_of="2026-03-31")
    assert DifferenceView.model_validate(shown)
    changes = {change["field"]: change for change in shown["changes"]}
    gross = changes["purchases.by_currency.USD.gross"]
    assert (gross["before"], gross["after"], len(gross["event_ids"])) == ("10.00", "17.50", 2)
    assert changes["purchases.count"]["event_ids"]
    assert "activity.first_at" not in changes
    assert [(one["how"], one["recorded_at"]) for one in shown["events"]] == [
        ("corrected", "2026-05-05T08:00:00Z"),
        ("added", "2026-04-02T08:00:00Z"),
    ]


async def test_nothing_changed_where_nothing_was_recorded(client: MakeClient) -> None:
    shown = await got(client(past=log(*LATE)), f"{URL}/diff", known_from="2026-04-03", known_to="2026-04-30")
    assert (shown["changes"], shown["events"], shown["complete"]) == ([], [], True)


async def test_a_retraction_takes_back_what_the_event_had_added(client: MakeClient) -> None:
    retracted = {
        "specversion": "1.0",
        "id": "e3",
        "source": SOURCE,
        "type": "event.retracted.v1",
        "time": "2026-03-20T12:00:00Z",
        "revision": 1,
        "data": {"reason": "entered twice", "operator": "op"},
    }
    past = log(*LATE[:3], (retracted, "2026-05-01T00:00:00Z"))
    shown = await got(client(past=past), f"{URL}/diff", known_from="2026-04-30")
    assert [one["how"] for one in shown["events"]] == ["removed"]
    assert {c["field"]: c["after"] for c in shown["changes"]}["purchases.count"] == 1


async def test_late_events_are_reported_as_changes_of_the_months_they_fall_into(client: MakeClient) -> None:
    api = client(past=log(*LATE), now_us=lambda: us("2026-04-15T12:00:00Z"))
    report = await got(api, "/v1/reports/late-events")
    assert LateEventsView.model_validate(report)
    assert (report["from"], report["until"]) == ("2026-04-01T00:00:00Z", "2026-04-15T12:00:00Z")
    assert (report["customers"], report["complete"]) == (1, True)
    assert report["changes"] == [
        {"month": "2026-03", "measure": "events", "key": None, "change": "1"},
        {"month": "2026-03", "measure": "revenue", "key": "USD", "change": "5.00"},
    ]


async def test_a_correction_changes_the_month_by_its_difference(client: MakeClient) -> None:
    api = client(past=log(*LATE))
    parameters = {"from": "2026-05-01T00:00:00Z", "until": "2026-06-01T00:00:00Z", "close": "2026-05-01T00:00:00Z"}
    report = await got(api, "/v1/reports/late-events", **parameters)
    assert report["changes"] == [{"month": "2026-03", "measure": "revenue", "key": "USD", "change": "2.50"}]
    answer = await api.get("/v1/reports/late-events", params={**parameters, "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.DictReader(io.StringIO(answer.text))) == [
        {"month": "2026-03", "measure": "revenue", "key": "USD", "change": "2.50"}
    ]


async def test_a_customer_who_was_found_late_changes_counts_and_stages(client: MakeClient) -> None:
    past = log((bought(1, "2026-02-10T12:00:00Z", "10.00"), "2026-04-02T08:00:00Z"))
    report = await got(client(past=past, now_us=lambda: us("2026-04-15T12:00:00Z")), "/v1/reports/late-events")
    assert [(row["month"], row["measure"], row["key"], row["change"]) for row in report["changes"]] == [
        ("2026-02", "events", None, "1"),
        ("2026-02", "new_customers", None, "1"),
        ("2026-02", "revenue", "USD", "10.00"),
        ("2026-02", "stage", "new", "1"),
        ("2026-03", "stage", "new", "1"),
    ]


async def test_an_event_of_a_month_that_is_still_open_is_not_late(client: MakeClient) -> None:
    api = client(past=log(*LATE), now_us=lambda: us("2026-04-15T12:00:00Z"))
    report = await got(api, "/v1/reports/late-events", close="2026-03-01T00:00:00Z")
    assert (report["customers"], report["changes"]) == (0, [])


@pytest.mark.parametrize(
    ("path", "parameters", "told"),
    [
        ("", {"as_of": "2026-02-30"}, "there is no such date"),
        ("", {"known_at": "yesterday"}, "or a date such as 2026-03-31"),
        ("", {"identity": "mine"}, "'cut' or 'current'"),
        ("", {"as_off": "2026-03-01"}, "Extra inputs"),
        ("/diff", {}, "Field required"),
        ("/diff", {"known_from": "2026-03-01T00:00:00"}, "with an offset"),
    ],
)
async def test_a_cut_that_is_none_is_refused(
    client: MakeClient, path: str, parameters: dict[str, str], told: str
) -> None:
    answer = await client(Views()).get(URL + path, params=parameters)
    assert answer.status_code == 422
    assert told in answer.json()["errors"][0]["detail"]


async def test_a_window_must_end_after_it_begins(client: MakeClient) -> None:
    window = {"from": "2026-03-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}
    answer = await client(Views()).get("/v1/reports/late-events", params=window)
    assert answer.status_code == 422
    assert "until must be later" in answer.json()["errors"][0]["detail"]


async def test_an_answer_at_a_cut_has_an_etag_of_its_own(client: MakeClient) -> None:
    views = Views()
    views.customer([viewed(1, "2026-03-01T12:00:00Z", ANN)])
    api = client(views)
    now = await api.get(URL)
    then = await api.get(URL, params={"as_of": "2026-05-01"})
    assert then.json()["version"] == now.json()["version"]
    assert then.headers["etag"] != now.headers["etag"]
    again = await api.get(URL, params={"as_of": "2026-05-01"}, headers={"if-none-match": then.headers["etag"]})
    assert again.status_code == 304


def test_the_examples_have_the_shapes() -> None:
    assert DifferenceView.model_validate(examples.DIFFERENCE)
    assert LateEventsView.model_validate(examples.LATE_EVENTS)
