"""Customers as resources: the list, and of each the view, the timeline, the lifecycle, the identity. Reads only."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from customer_timeline.api import examples
from customer_timeline.api.answering import Answering
from customer_timeline.api.caching import respond
from customer_timeline.api.documentation import not_modified, problem_responses
from customer_timeline.api.identity_models import IdentityView, WhyView
from customer_timeline.api.models import CustomerListView, CustomerView, DifferenceView, LifecycleView, TimelineView
from customer_timeline.api.own_write import OWN_WRITE_PROBLEMS
from customer_timeline.api.parameters import (
    CutParameters,
    DifferenceParameters,
    ListParameters,
    TimelineParameters,
    WhyParameters,
)
from customer_timeline.api.problems import (
    IDENTITY_TOO_LARGE,
    INTERNAL,
    INVALID_CURSOR,
    INVALID_PARAMETER,
    INVALID_REFERENCE,
    STAGES_BEING_ASSESSED,
    TOO_MANY_TO_RESTORE,
    UNKNOWN_CUSTOMER,
    VIEWS_UNAVAILABLE,
)
from customer_timeline.api.references import MAX_LENGTH

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
_DIFFERENCE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": DifferenceView,
        "description": "The difference.",
    },
    304: not_modified(),
    **problem_responses(*_PROBLEMS),
}
_IDENTITY_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": IdentityView,
        "description": "What makes these identifiers one customer.",
    },
    304: not_modified(),
    **problem_responses(*_PROBLEMS, IDENTITY_TOO_LARGE),
}
_WHY_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": WhyView,
        "description": "Why the two are one customer, or what keeps them apart.",
    },
    304: not_modified(),
    **problem_responses(*_PROBLEMS, IDENTITY_TOO_LARGE),
}
_LIST_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": CustomerListView,
        "description": "A page.",
    },
    304: not_modified(),
    **problem_responses(
        INVALID_CURSOR,
        INVALID_PARAMETER,
        *OWN_WRITE_PROBLEMS,
        TOO_MANY_TO_RESTORE,
        INTERNAL,
        VIEWS_UNAVAILABLE,
        STAGES_BEING_ASSESSED,
    ),
}


def customers_router(answering: Answering) -> APIRouter:
    """The routes. `:path`, because a value may hold a slash (`%2F` is decoded before a path is matched)."""
    router = APIRouter(prefix="/v1/customers", tags=["customers"], redirect_slashes=False)
    _add_list(router, answering)
    _add_history(router, answering)
    _add_identity(router, answering)
    _add_customer(router, answering)  # the last one: it takes every path that no other one does
    return router


def _add_list(router: APIRouter, answering: Answering) -> None:
    @router.get(
        "",
        operation_id="customers",
        summary="Customers by where they stand",
        response_model=None,
        responses=_LIST_RESPONSES,
    )
    async def customers(request: Request, given: Annotated[ListParameters, Query()]) -> Response:
        return respond(request, await answering.customers(given))


def _add_history(router: APIRouter, answering: Answering) -> None:
    @router.get(
        "/{ref:path}/timeline",
        operation_id="customer_timeline",
        summary="A customer's events, newest first",
        response_model=None,
        responses=_TIMELINE_RESPONSES,
    )
    async def timeline(ref: Reference, request: Request, given: Annotated[TimelineParameters, Query()]) -> Response:
        return respond(request, await answering.timeline(ref, given))

    @router.get(
        "/{ref:path}/lifecycle",
        operation_id="customer_lifecycle",
        summary="Where a customer stands, why, and what will be if nothing happens",
        response_model=None,
        responses=_LIFECYCLE_RESPONSES,
    )
    async def lifecycle(ref: Reference, request: Request, given: Annotated[CutParameters, Query()]) -> Response:
        return respond(request, await answering.lifecycle(ref, given))

    @router.get(
        "/{ref:path}/diff",
        operation_id="customer_diff",
        summary="What changed of a customer between two instants of recording, and the events that did it",
        response_model=None,
        responses=_DIFFERENCE_RESPONSES,
    )
    async def difference(ref: Reference, request: Request, given: Annotated[DifferenceParameters, Query()]) -> Response:
        return respond(request, await answering.difference(ref, given))


def _add_identity(router: APIRouter, answering: Answering) -> None:
    @router.get(
        "/{ref:path}/identity",
        operation_id="customer_identity",
        summary="What makes a customer's identifiers one customer",
        response_model=None,
        responses=_IDENTITY_RESPONSES,
    )
    async def identity(ref: Reference, request: Request, given: Annotated[CutParameters, Query()]) -> Response:
        return respond(request, await answering.identity(ref, given))

    @router.get(
        "/{ref:path}/identity/why",
        operation_id="customer_identity_why",
        summary="Why two identifiers are one customer, or what keeps them apart",
        response_model=None,
        responses=_WHY_RESPONSES,
    )
    async def identity_why(ref: Reference, request: Request, given: Annotated[WhyParameters, Query()]) -> Response:
        return respond(request, await answering.identity_why(ref, given))


def _add_customer(router: APIRouter, answering: Answering) -> None:
    @router.get(
        "/{ref:path}",
        operation_id="customer",
        summary="A customer, now or as of another time",
        response_model=None,
        responses=_VIEW_RESPONSES,
    )
    async def customer(ref: Reference, request: Request, given: Annotated[CutParameters, Query()]) -> Response:
        return respond(request, await answering.customer(ref, given))
