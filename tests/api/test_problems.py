"""Errors, request ids, and what may stand in a log."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from api_client import MakeClient
from memory_reader import MemoryReader
from view_rows import Views, viewed

from customer_timeline.projections.reading import CustomerRecord, ViewsOutOfDateError, ViewsUnavailableError
from customer_timeline.runtime.telemetry import configure_logging

pytestmark = pytest.mark.anyio
ANN = ("email", "ann@example.com")
PREFIX = "urn:customer-timeline:problem:"


class FailingReader(MemoryReader):
    """A reader that raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__(Views())
        self._error = error

    async def customer(self, identifier_id: str) -> CustomerRecord | None:
        raise self._error


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/v1/customers/email:nobody@example.com", 404, "unknown-customer"),
        ("GET", "/v1/customers/00000000-0000-0000-0000-000000000000", 404, "unknown-customer"),
        ("GET", "/v1/customers/nobody", 400, "invalid-reference"),
        ("GET", "/v1/customers/email:", 400, "invalid-reference"),
        ("GET", "/v1/customers/:x", 400, "invalid-reference"),
        ("GET", "/v1/customers/email:nobody", 400, "invalid-reference"),
        ("GET", "/v1/customers/phone:12", 400, "invalid-reference"),
        ("GET", "/v1/customers/member_id:null", 400, "invalid-reference"),
        ("GET", "/v1/customers/open_id:xyz", 400, "invalid-reference"),
        ("GET", "/v1/customers/open_id::xyz", 400, "invalid-reference"),
        ("GET", "/v1/customers/order:o1", 400, "invalid-reference"),
        ("GET", "/v1/customers/member_id:a%00b", 400, "invalid-reference"),
        ("GET", "/v1/customers/member_id:a%0Ab", 404, "no-such-resource"),
        ("GET", "/v1/customers/member_id:%ED%A0%80", 404, "unknown-customer"),
        ("GET", "/v1/customers/member_id:%FF", 404, "unknown-customer"),
        ("GET", "/v1/customers/member_id:" + "x" * 513, 400, "invalid-reference"),
        ("GET", "/v1/customers/member_id:" + "x" * 2000, 422, "invalid-parameter"),
        ("GET", "/v1/customers/", 422, "invalid-parameter"),
        ("GET", "/v1/customers?stage=lost", 422, "invalid-parameter"),
        ("POST", "/v1/customers", 405, "method-not-allowed"),
        ("GET", "/v1", 404, "no-such-resource"),
        ("GET", "/", 404, "no-such-resource"),
        ("GET", "/docs/other.js", 404, "no-such-resource"),
        ("GET", "/v1/customers/nobody/timeline", 400, "invalid-reference"),
        ("GET", "/v1/customers/nobody/lifecycle", 400, "invalid-reference"),
        ("POST", "/v1/customers/email:ann@example.com", 405, "method-not-allowed"),
        ("DELETE", "/v1/customers/email:ann@example.com/timeline", 405, "method-not-allowed"),
        ("POST", "/livez", 405, "method-not-allowed"),
    ],
)
async def test_every_refusal_is_a_problem(client: MakeClient, method: str, path: str, status: int, slug: str) -> None:
    response = await client().request(method, path)
    problem = response.json()
    assert (response.status_code, problem["status"], problem["type"]) == (status, status, PREFIX + slug)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert problem["instance"].endswith(response.headers["x-request-id"])
    assert problem["title"]
    assert problem["detail"]
    if status == 405:
        assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("timeline", ["", "/timeline"])
async def test_a_problem_never_repeats_the_reference(client: MakeClient, timeline: str) -> None:
    for value in ("secret-name@example", "secret-name@example.com"):
        response = await client().get(f"/v1/customers/email:{value}{timeline}")
        assert response.status_code in (400, 404)
        assert "secret-name" not in response.text


@pytest.mark.parametrize(
    ("error", "status", "slug", "retry_after"),
    [
        (ViewsUnavailableError("Postgres is not reachable."), 503, "views-unavailable", "1"),
        (ViewsOutOfDateError(found="a", expected="b"), 503, "views-out-of-date", "60"),
        (ZeroDivisionError("ann@example.com"), 500, "internal-error", None),
    ],
)
async def test_failures_of_ours_are_problems_too(
    client: MakeClient, error: Exception, status: int, slug: str, retry_after: str | None
) -> None:
    response = await client(FailingReader(error)).get("/v1/customers/email:ann@example.com")
    assert (response.status_code, response.json()["type"]) == (status, PREFIX + slug)
    assert response.headers.get("retry-after") == retry_after
    assert "ann@example.com" not in response.text


async def test_a_valid_request_id_comes_back_and_any_other_is_replaced(client: MakeClient) -> None:
    api = client()
    assert (await api.get("/livez", headers={"x-request-id": "abc-1.2_3"})).headers["x-request-id"] == "abc-1.2_3"
    made = set()
    for bad in ("", "a b", "ann@example.com", "x" * 65, "é"):
        answer = await api.get("/livez", headers=[(b"x-request-id", bad.encode())])
        made.add(answer.headers["x-request-id"])
        assert answer.headers.get_list("x-request-id") == [answer.headers["x-request-id"]]
    assert len(made) == 5
    assert all(len(one) == 32 and one.isalnum() for one in made)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:8000", "LOCALHOST", "127.1.2.3:1"])
async def test_on_loopback_only_names_of_this_machine_are_answered(client: MakeClient, host: str) -> None:
    assert (await client().get("/livez", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "10.0.0.1", "", "localhost.evil.example", "[::2]"]
)
async def test_on_loopback_another_name_is_refused_because_any_web_page_could_use_it(
    client: MakeClient, host: str
) -> None:
    response = await client().get("/livez", headers={"host": host})
    assert (response.status_code, response.json()["type"]) == (421, PREFIX + "wrong-host")
    assert (await client(local_only=False).get("/livez", headers={"host": host})).status_code == 200


async def test_the_access_log_holds_the_template_and_nothing_of_the_caller(
    client: MakeClient, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logging("debug", "json")
    try:
        views = Views()
        views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
        api = client(views)
        secret = {"x-request-id": "r1", "referer": "https://secret.example/", "user-agent": "secret-agent"}
        for path in (
            "/v1/customers/email:ann@example.com",
            "/v1/customers/email:ann@example.com/timeline?channel=secret",
            "/v1/customers/email:secret@example.com",
            "/v1/customers/secret",
            "/v1/customers/email:ann@example.com/timeline?cursor=secret",
            "/v1/customers/email:ann@example.com/timeline?secret=1",
            "/v1/customers/email:ann@example.com/lifecycle?secret=1",
            "/v1/customers?stage=secret",
            "/secret",
        ):
            await api.get(path, headers=secret)
        failing = client(FailingReader(ZeroDivisionError("ann@example.com is secret")))
        await failing.get("/v1/customers/email:ann@example.com", headers=secret)
    finally:
        logging.getLogger().handlers.clear()
    written = capfd.readouterr().err
    lines: list[dict[str, Any]] = [json.loads(line) for line in written.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    view, timeline = "/v1/customers/{ref}", "/v1/customers/{ref}/timeline"
    assert [(line["route"], line["status"]) for line in requests] == [
        (view, 200),
        (timeline, 200),
        (view, 404),
        (view, 400),
        (timeline, 400),
        (timeline, 422),
        ("/v1/customers/{ref}/lifecycle", 422),
        ("/v1/customers", 422),
        ("(unmatched)", 404),
        (view, 500),
    ]
    assert {line["request_id"] for line in requests} == {"r1"}
    failed = next(line for line in lines if line["event"] == "request_failed")
    assert failed["error"] == "ZeroDivisionError"
    assert any("test_problems.py" in place for place in failed["where"])
    for word in ("ann", "secret", "example.com", "%40"):
        assert word not in written.replace("channel", ""), word
