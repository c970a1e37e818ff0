"""The OpenAPI document and the page that shows it. The page needs nothing from the network: Swagger UI's files come
from the package `fastapi-swagger`."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from importlib import resources
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from customer_timeline.api import examples
from customer_timeline.api.models import Problem
from customer_timeline.api.problems import MEDIA_TYPE, NO_SUCH_RESOURCE, TYPE_PREFIX, ProblemError, ProblemKind

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>customer-timeline API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout"
});
"""
_FILES: Final = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_EXAMPLES: Final = {
    "/v1/customers": examples.CUSTOMERS,
    "/v1/customers/{ref}": examples.CUSTOMER,
    "/v1/customers/{ref}/identity": examples.IDENTITY,
    "/v1/customers/{ref}/identity/why": examples.WHY,
    "/v1/customers/{ref}/lifecycle": examples.LIFECYCLE,
    "/v1/customers/{ref}/timeline": examples.TIMELINE,
    "/v1/customers/{ref}/diff": examples.DIFFERENCE,
    "/v1/reports/late-events": examples.LATE_EVENTS,
    "/v1/dead-letters": examples.DEAD_LETTERS,
    "/v1/dead-letters/{topic}/{partition}/{offset}": examples.DEAD_LETTER,
    "/v1/identity/review": examples.REVIEW,
}
_PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}


def problem_responses(*kinds: ProblemKind) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses for these problems, one a status."""
    by_status: defaultdict[int, list[ProblemKind]] = defaultdict(list)
    for kind in kinds:
        by_status[kind.status].append(kind)
    return {
        status: {
            "description": "; ".join(kind.title for kind in same),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {kind.slug: {"value": _example(kind)} for kind in same},
                }
            },
        }
        for status, same in sorted(by_status.items())
    }


def not_modified() -> dict[str, Any]:
    """The OpenAPI response for a caller that has the answer already."""
    return {"description": "Not changed since the ETag in If-None-Match."}


def _example(kind: ProblemKind) -> dict[str, Any]:
    return {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": "What to do about this case.",
        "instance": "urn:customer-timeline:request:6f1c2f5a",
    }


def install(app: FastAPI) -> None:
    """Serve `/docs` and complete `/openapi.json` with the shape of problems."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            document["paths"] = dict(
                sorted(document["paths"].items(), key=lambda found: (found[0][:4] != "/v1/", found))
            )
            for path, example in _EXAMPLES.items():
                # Put in here, because FastAPI drops members that are null.
                document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"] = example
            document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return Response(_PAGE, media_type="text/html", headers=_PAGE_HEADERS)

    @app.get("/docs/{file}", include_in_schema=False)
    async def page_file(file: str) -> Response:
        if file == "start.js":
            return Response(_START, media_type="text/javascript", headers=_PAGE_HEADERS)
        if file not in _FILES:
            raise ProblemError(NO_SUCH_RESOURCE, "The documentation has no such file.")
        return Response(
            _swagger_file(file), media_type=_FILES[file], headers={**_PAGE_HEADERS, "cache-control": "max-age=86400"}
        )


@cache
def _swagger_file(name: str) -> bytes:
    return resources.files("fastapi_swagger").joinpath("resources", name).read_bytes()
