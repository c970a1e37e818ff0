"""Customers as resources: the list, and of each the view, the timeline, the lifecycle, the identity. Reads only."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from customer_timeline.api import examples
from customer_timeline.api.answers import customer_answer, timeline_answer
from customer_timeline.api.caching import respond
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.cursors import decode_cursor
from customer_timeline.api.documentation import not_modified, problem_responses
from customer_timeline.api.identity import (
    NotOfThisCustomerError,
    UnknownIdentifierError,
    identity_answer,
    why_answer,
)
from customer_timeline.api.identity_models import IdentityView, WhyView
from customer_timeline.api.lifecycle import Assessment, lifecycle_answer
from customer_timeline.api.lists import list_answer
from customer_timeline.api.models import CustomerListView, CustomerView, LifecycleView, TimelineView
from customer_timeline.api.parameters import ListParameters, TimelineParameters, WhyParameters
from customer_timeline.api.problems import (
    IDENTITY_TOO_LARGE,
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

_PROBLEMS: Final = (INVALID_REFERENCE, UNKNOWN_CUSTOMER, INVALID_PARAMETER, INTERNAL, VIEWS_UNAVAILABLE)
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
    **problem_responses(
        INVALID_REFERENCE, INVALID_CURSOR, UNKNOWN_CUSTOMER, INVALID_PARAMETER, INTERNAL, VIEWS_UNAVAILABLE
    ),
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
    **problem_responses(INVALID_CURSOR, INVALID_PARAMETER, INTERNAL, VIEWS_UNAVAILABLE, STAGES_BEING_ASSESSED),
}


def customers_router(reader: TimelineReader, config: ApiConfig) -> APIRouter:
    """The routes. `:path`, because a value may hold a slash (`%2F` is decoded before a path is matched)."""
    router = APIRouter(prefix="/v1/customers", tags=["customers"], redirect_slashes=False)
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
        "/{ref:path}/identity",
        operation_id="customer_identity",
        summary="What makes a customer's identifiers one customer",
        response_model=None,
        responses=_IDENTITY_RESPONSES,
    )
    async def identity(ref: Reference, request: Request) -> Response:
        answer = await identity_answer(reader, identifier_id_of(ref, config.identifiers), config.identifiers.policy)
        if answer is None:
            raise _unknown_customer()
        return respond(request, answer)

    @router.get(
        "/{ref:path}/identity/why",
        operation_id="customer_identity_why",
        summary="Why two identifiers are one customer, or what keeps them apart",
        response_model=None,
        responses=_WHY_RESPONSES,
    )
    async def identity_why(ref: Reference, request: Request, given: Annotated[WhyParameters, Query()]) -> Response:
        a, b = (identifier_id_of(one, config.identifiers) for one in (given.a or ref, given.b))
        try:
            answer = await why_answer(
                reader, identifier_id_of(ref, config.identifiers), a, b, config.identifiers.policy
            )
        except UnknownIdentifierError as exc:
            raise ProblemError(UNKNOWN_CUSTOMER, str(exc)) from exc
        except NotOfThisCustomerError as exc:
            raise ProblemError(INVALID_PARAMETER, str(exc)) from exc
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
