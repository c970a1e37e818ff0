"""The review of identity: where strangers may be one customer, or one customer many. Reads only."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from customer_timeline.api.answers import Answer, content_hash
from customer_timeline.api.caching import respond
from customer_timeline.api.cursors import decode_review_cursor, encode_review_cursor
from customer_timeline.api.documentation import not_modified, problem_responses
from customer_timeline.api.identity_models import ReviewView
from customer_timeline.api.parameters import ReviewParameters
from customer_timeline.api.problems import INTERNAL, INVALID_CURSOR, INVALID_PARAMETER, VIEWS_UNAVAILABLE
from customer_timeline.projections.identity_reading import IdentityReader
from customer_timeline.projections.identity_review import (
    COUNTED,
    IdentityChange,
    LargeCustomer,
    ReviewRow,
    SharedValue,
    SkippedLink,
)
from customer_timeline.projections.instants import rfc3339

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": ReviewView,
        "description": "A page.",
    },
    304: not_modified(),
    **problem_responses(INVALID_CURSOR, INVALID_PARAMETER, INTERNAL, VIEWS_UNAVAILABLE),
}


def review_router(reader: IdentityReader) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1/identity", tags=["identity"], redirect_slashes=False)

    @router.get(
        "/review",
        operation_id="identity_review",
        summary="Where identity may be wrong: shared values, refused links, large customers, recent changes",
        response_model=None,
        responses=_RESPONSES,
    )
    async def review(request: Request, given: Annotated[ReviewParameters, Query()]) -> Response:
        return respond(request, await review_answer(reader, given))

    return router


async def review_answer(reader: IdentityReader, given: ReviewParameters) -> Answer:
    """One page of a list. Raises InvalidCursorError."""
    wanted = given.wanted()
    after = None if given.cursor is None else decode_review_cursor(given.cursor, wanted)
    page = await reader.identity_review(wanted, limit=given.limit, after=after)
    body = orjson.dumps(
        {
            "of": wanted.of,
            "items": [_item(row) for row in page.rows],
            "next_cursor": page.after and encode_review_cursor(page.after, wanted),
        }
    )
    return Answer(body, content_hash(body))


def _item(row: ReviewRow) -> dict[str, Any]:
    match row:
        case SharedValue():
            return {
                **_named((row.identifier_id, row.kind, row.value)),
                "customer_id": row.customer_id,
                "named_with": min(row.named_with, COUNTED),
                "named_with_more": row.named_with > COUNTED,
            }
        case SkippedLink():
            return {
                "a": _named(row.a),
                "b": _named(row.b),
                "reason": row.reason,
                "occurred_at": rfc3339(row.occurred_us),
                "event_id": row.event_id,
            }
        case LargeCustomer():
            return {"customer_id": row.customer_id, "identifiers": row.identifiers}
        case IdentityChange():
            return {"customer_id": row.customer_id, "former_ids": row.former_ids, "at": rfc3339(row.at_us)}


def _named(identifier: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("identifier_id", "kind", "value"), identifier, strict=True))
