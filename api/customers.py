"""Customers as resources: the list, and of each the view, the timeline and the lifecycle. Reads only."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from customer_timeline.api import examples
from customer_timeline.api.answers import customer_answer, timeline_answer
from customer_timeline.api.caching import respond
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.cursors import decode_cursor
from customer_timeline.api.documentation import not_modified, problem_responses
from customer_timeline.api.lifecycle import Assessment, lifecycle_answer
from customer_timeline.api.lists import list_answer
from customer_timeline.api.models import CustomerListView, CustomerView, LifecycleView, TimelineView
from customer_timeline.api.own_write import OWN_WRITE_PROBLEMS, own_write
from customer_timeline.api.parameters import ListParameters, TimelineParameters
from customer_timeline.api.problems import (
    INTERNAL,
    INVALID_CURSOR,
    INVALID_PARAMETER,
    INVALID_REFERENCE,
    STAGES_BEING_ASSESSED,
    UNKNOWN_CUSTOMER,
    VIEWS_UNAVAILABLE,
    ProblemError,
)
from customer_timeline.api.references import MAX_LENGTH, identifier_id_of
from customer_timeline.api.waiting import PositionWaiter
from customer_timeline.projections.reading import TimelineReader

Reference = Annotated[
    str,
    Path(
        min_length=1,
        max_length=MAX_LENGTH,
        description="Any `identifier_id` ever given out, or `kind:value` (percent-encoded; normalised as in events).",
        openapi_examples=examples.REFERENCES,
    ),
]

_PROBLEMS: Final = (
    INVALID_REFERENCE,
    UNKNOWN_CUSTOMER,
    INVALID_PARAMETER,
    *OWN_WRITE_PROBLEMS,
    INTERNAL,
    VIEWS_UNAVAILABLE,
)
_VIEW_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": CustomerView,
        "description": "The customer.",
    },
    304: not_modified(),
    **problem_responses(*_PROBLEMS),
}
_LIFECYCLE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": LifecycleView,
        "description": "The lifecycle.",
    },
    304: not_modified(),
    **problem_responses(*_PROBLEMS),
}
_TIMELINE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": TimelineView,
        "description": "A page.",
    },
    304: not_modified(),
    **problem_responses(INVALID_CURSOR, *_PROBLEMS),
}
_LIST_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": CustomerListView,
        "description": "A page.",
    },
    304: not_modified(),
    **problem_responses(
        INVALID_CURSOR, INVALID_PARAMETER, *OWN_WRITE_PROBLEMS, INTERNAL, VIEWS_UNAVAILABLE, STAGES_BEING_ASSESSED
    ),
}


def customers_router(reader: TimelineReader, config: ApiConfig, waiter: PositionWaiter) -> APIRouter:
    """The routes. `:path`, because a value may hold a slash (`%2F` is decoded before a path is matched)."""
    # All of them can wait for a write of the caller's own.
    waits = [Depends(own_write(waiter, config.now_us))]
    router = APIRouter(prefix="/v1/customers", tags=["customers"], redirect_slashes=False, dependencies=waits)
    assessment = Assessment(config.projection, config.rules, config.alive)

    @router.get(
        "",
        operation_id="customers",
        summary="Customers by where they stand",
        response_model=None,
        responses=_LIST_RESPONSES,
    )
    async def customers(request: Request, given: Annotated[ListParameters, Query()]) -> Response:
        answer = await list_answer(reader, given, rules=config.rules.version, now_us=config.now_us())
        return respond(request, answer)

    @router.get(
        "/{ref:path}/timeline",
        operation_id="customer_timeline",
        summary="A customer's events, newest first",
        response_model=None,
        responses=_TIMELINE_RESPONSES,
    )
    async def timeline(ref: Reference, request: Request, given: Annotated[TimelineParameters, Query()]) -> Response:
        wanted = given.wanted()
        before = None if given.cursor is None else decode_cursor(given.cursor, wanted)
        page = await reader.timeline(
            identifier_id_of(ref, config.identifiers), wanted, limit=given.limit, before=before
        )
        if page is None:
            raise _unknown_customer()
        return respond(request, timeline_answer(page, wanted))

    @router.get(
        "/{ref:path}/lifecycle",
        operation_id="customer_lifecycle",
        summary="Where a customer stands now, why, and what will be if nothing happens",
        response_model=None,
        responses=_LIFECYCLE_RESPONSES,
    )
    async def lifecycle(ref: Reference, request: Request) -> Response:
        answer = await lifecycle_answer(reader, identifier_id_of(ref, config.identifiers), assessment, config.now_us())
        if answer is None:
            raise _unknown_customer()
        return respond(request, answer)

    @router.get(
        "/{ref:path}",
        operation_id="customer",
        summary="A customer now",
        response_model=None,
        responses=_VIEW_RESPONSES,
    )
    async def customer(ref: Reference, request: Request) -> Response:
        record = await reader.customer(identifier_id_of(ref, config.identifiers))
        if record is None:
            raise _unknown_customer()
        return respond(request, customer_answer(record, config.projection))

    return router


def _unknown_customer() -> ProblemError:
    return ProblemError(UNKNOWN_CUSTOMER, "No event named this identifier, or none that was applied yet.")
