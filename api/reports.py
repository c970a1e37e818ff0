"""Reports: what somebody who answers for figures asks once a month. Reads only."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from customer_timeline.api.answering import Answering
from customer_timeline.api.caching import respond
from customer_timeline.api.documentation import not_modified, problem_responses
from customer_timeline.api.models import LateEventsView
from customer_timeline.api.own_write import OWN_WRITE_PROBLEMS
from customer_timeline.api.parameters import LateEventParameters
from customer_timeline.api.problems import INTERNAL, INVALID_PARAMETER, TOO_MANY_TO_RESTORE, VIEWS_UNAVAILABLE

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": LateEventsView,
        "description": "The report.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    },
    304: not_modified(),
    **problem_responses(INVALID_PARAMETER, TOO_MANY_TO_RESTORE, *OWN_WRITE_PROBLEMS, INTERNAL, VIEWS_UNAVAILABLE),
}


def reports_router(answering: Answering) -> APIRouter:
    """The routes of reports."""
    router = APIRouter(prefix="/v1/reports", tags=["reports"], redirect_slashes=False)

    @router.get(
        "/late-events",
        operation_id="late_events",
        summary="By how much events that were recorded late changed the figures of closed months",
        response_model=None,
        responses=_RESPONSES,
    )
    async def late_events(request: Request, given: Annotated[LateEventParameters, Query()]) -> Response:
        answer = await answering.late_events(given)
        return respond(request, answer, "text/csv" if given.format == "csv" else "application/json")

    return router
