"""The OpenAPI document, its page, and whether the API keeps what they say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import schemathesis
from api_client import NOW_US, MakeClient
from hypothesis import HealthCheck, settings
from memory_cut_reader import MemoryCutReader
from memory_reader import MemoryReader
from schemathesis.specs.openapi.checks import positive_data_acceptance
from view_rows import CODEC, PROJECTION, Views, event, viewed

from customer_timeline.api.app import create_app
from customer_timeline.api.config import ApiConfig

ANN = ("email", "ann@example.com")


def filled() -> Views:
    views = Views()
    mail = event(10, "email.sent.v1", "2026-03-10T00:00:00Z", {"message_id": "m"}, [ANN], channel="email")
    views.customer([*(viewed(n, f"2026-03-0{n}T00:00:00Z", ANN) for n in range(1, 10)), mail])
    views.dead_letter(7, "not_json", "2026-03-01T00:00:00Z")
    return views


APP = create_app(
    MemoryReader(filled()),
    MemoryCutReader(filled().records),
    ApiConfig(identifiers=CODEC.space, projection=PROJECTION, now_us=lambda: NOW_US, local_only=False),
)
schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@schema.parametrize()
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_what_its_document_says(case: schemathesis.Case[Any]) -> None:
    # A schema cannot say which text is an email address, or a cursor of ours: those refusals are 400, tested elsewhere.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


@pytest.mark.anyio
async def test_every_operation_has_examples_and_documented_limits(client: MakeClient) -> None:
    document = (await client().get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/v1/customers",
        "/v1/customers/{ref}",
        "/v1/customers/{ref}/diff",
        "/v1/customers/{ref}/identity",
        "/v1/customers/{ref}/identity/why",
        "/v1/customers/{ref}/lifecycle",
        "/v1/customers/{ref}/timeline",
        "/v1/dead-letters",
        "/v1/dead-letters/{topic}/{partition}/{offset}",
        "/v1/identity/review",
        "/v1/reports/late-events",
        "/livez",
        "/readyz",
        "/metrics",
    }
    view = document["paths"]["/v1/customers/{ref}"]["get"]
    assert view["parameters"][0]["examples"]["email"]["value"] == "email:Ann@Example.com"
    assert view["responses"]["200"]["content"]["application/json"]["example"]["customer_id"]
    timeline = document["paths"]["/v1/customers/{ref}/timeline"]["get"]
    limit = next(p for p in timeline["parameters"] if p["name"] == "limit")["schema"]
    assert (limit["default"], limit["minimum"], limit["maximum"]) == (50, 1, 200)
    assert set(timeline["responses"]) == {"200", "304", "400", "404", "409", "422", "500", "503"}
    for status in ("400", "404", "409", "422", "500", "503"):
        assert set(timeline["responses"][status]["content"]) == {"application/problem+json"}
    listing = document["paths"]["/v1/customers"]["get"]
    stages = next(p for p in listing["parameters"] if p["name"] == "stage")["schema"]["anyOf"][0]["enum"]
    assert stages == ["prospect", "new", "active", "loyal", "at_risk", "churned", "won_back"]
    assert set(listing["responses"]) == {"200", "304", "400", "409", "422", "500", "503"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


@pytest.mark.anyio
async def test_the_page_needs_nothing_from_another_server(client: MakeClient) -> None:
    api = client()
    page = await api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "'self'" in page.headers["content-security-policy"]
    needed = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert needed
    for address in needed:
        file = await api.get(f"/{address}")
        assert file.status_code == 200, address
    assert "//" not in page.text.replace("</", "")
    assert (await api.get("/docs/start.js")).text.startswith("SwaggerUIBundle")
