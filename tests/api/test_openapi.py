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
from schemathesis.checks import load_all_checks
from schemathesis.core.result import Ok
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.schemas import BaseSchema
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


PATHS = (
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
)


@pytest.fixture(scope="module")
def document() -> BaseSchema:
    app = create_app(
        MemoryReader(filled()),
        MemoryCutReader(filled().records),
        ApiConfig(identifiers=CODEC.space, projection=PROJECTION, now_us=lambda: NOW_US, local_only=False),
    )
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def keeps_its_document(case: schemathesis.Case[Any]) -> None:
    # A schema cannot say which text is an email address, or a cursor of ours: those refusals are 400, tested elsewhere.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


@pytest.mark.hypothesis
@pytest.mark.parametrize("path", PATHS)
def test_the_api_keeps_what_its_document_says(document: BaseSchema, path: str) -> None:
    # What `schema.parametrize` does, but not while tests are collected: every process of the suite would make the cases
    # of every operation, which takes seconds.
    feedback = FeedbackSources(constants_value_source=make_constants_value_source(document))
    load_all_checks()
    (found,) = document.include(path=path).get_all_operations()
    assert isinstance(found, Ok)
    build_operation_test(
        config=document.config,
        operation=found.ok(),
        test_func=keeps_its_document,
        given_kwargs={},
        feedback=feedback,
    )()


@pytest.mark.anyio
async def test_every_operation_has_examples_and_documented_limits(client: MakeClient) -> None:
    document = (await client().get("/openapi.json")).json()
    assert set(document["paths"]) == set(PATHS)
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
