"""What becomes of errors in requests: whatever is raised is answered with a problem of `api.problems`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from customer_timeline.api.answering import UnknownCustomerError
from customer_timeline.api.cursors import InvalidCursorError
from customer_timeline.api.identity import NotOfThisCustomerError, UnknownIdentifierError
from customer_timeline.api.problems import (
    IDENTITY_TOO_LARGE,
    INVALID_CURSOR,
    INVALID_PARAMETER,
    INVALID_POSITION_TOKEN,
    INVALID_REFERENCE,
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    NO_SUCH_RESOURCE,
    POSITION_OF_ANOTHER_LOG,
    STAGES_BEING_ASSESSED,
    TOO_MANY_TO_RESTORE,
    UNKNOWN_CUSTOMER,
    VIEWS_OUT_OF_DATE,
    VIEWS_UNAVAILABLE,
    ProblemError,
    ProblemKind,
    problem_body,
)
from customer_timeline.api.references import InvalidReferenceError
from customer_timeline.projections.cut_reading import TooManyToRestoreError
from customer_timeline.projections.identity_reading import ComponentTooLargeError
from customer_timeline.projections.reading import StagesBeingAssessedError, ViewsOutOfDateError, ViewsUnavailableError
from customer_timeline.schemas.position_token import DifferentLogsError, InvalidPositionTokenError


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem. Errors that nobody foresaw are left to `api.observing`."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(InvalidReferenceError, _invalid_reference)
    app.add_exception_handler(InvalidCursorError, _invalid_cursor)
    app.add_exception_handler(InvalidPositionTokenError, _invalid_position_token)
    app.add_exception_handler(DifferentLogsError, _position_of_another_log)
    app.add_exception_handler(ComponentTooLargeError, _too_large)
    app.add_exception_handler(ViewsUnavailableError, _unavailable)
    app.add_exception_handler(ViewsOutOfDateError, _out_of_date)
    app.add_exception_handler(StagesBeingAssessedError, _being_assessed)
    app.add_exception_handler(TooManyToRestoreError, _too_many)
    app.add_exception_handler(UnknownCustomerError, _unknown_customer)
    app.add_exception_handler(UnknownIdentifierError, _unknown_customer)
    app.add_exception_handler(NotOfThisCustomerError, _not_of_this_customer)


def _response(
    request: Request,
    kind: ProblemKind,
    detail: str,
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    request_id = request.scope.get("request_id", "")
    return Response(
        problem_body(kind, detail, request_id, extra),
        status_code=kind.status,
        headers={"cache-control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


async def _problem(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, ProblemError):
        raise exc
    return _response(request, exc.kind, exc.detail, exc.extra, exc.headers)


async def _http_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    headers = dict(exc.headers or {})
    if exc.status_code == HTTPStatus.NOT_FOUND:
        return _response(request, NO_SUCH_RESOURCE, "No resource has this path; /docs lists what there is.")
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("Allow") or headers.get("allow") or "GET"
        return _response(request, METHOD_NOT_ALLOWED, f"Allowed: {allowed}.", headers={"allow": allowed})
    phrase = HTTPStatus(exc.status_code).phrase
    kind = ProblemKind(phrase.lower().replace(" ", "-"), exc.status_code, phrase)
    return _response(request, kind, phrase, headers=headers)


async def _invalid_request(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, RequestValidationError):
        raise exc
    errors = parameter_errors(exc.errors())
    names = ", ".join(sorted({error["parameter"] for error in errors}))
    return _response(request, INVALID_PARAMETER, f"Not valid: {names}.", {"errors": errors})


def parameter_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Validation errors without the values that they are about."""
    return [
        {
            "parameter": ".".join(str(part) for part in e["loc"][1:]) or "request",
            "detail": e["msg"].removeprefix("Value error, "),
        }
        for e in errors
    ]


async def _invalid_reference(request: Request, exc: Exception) -> Response:
    return _response(request, INVALID_REFERENCE, str(exc))


async def _invalid_cursor(request: Request, exc: Exception) -> Response:
    return _response(request, INVALID_CURSOR, str(exc))


async def _invalid_position_token(request: Request, exc: Exception) -> Response:
    return _response(request, INVALID_POSITION_TOKEN, str(exc))


async def _position_of_another_log(request: Request, exc: Exception) -> Response:
    return _response(request, POSITION_OF_ANOTHER_LOG, str(exc))


async def _too_large(request: Request, exc: Exception) -> Response:
    return _response(request, IDENTITY_TOO_LARGE, str(exc))


async def _unavailable(request: Request, exc: Exception) -> Response:
    return _response(request, VIEWS_UNAVAILABLE, str(exc), headers={"retry-after": "1"})


async def _out_of_date(request: Request, exc: Exception) -> Response:
    return _response(request, VIEWS_OUT_OF_DATE, str(exc), headers={"retry-after": "60"})


async def _unknown_customer(request: Request, exc: Exception) -> Response:
    return _response(request, UNKNOWN_CUSTOMER, str(exc))


async def _not_of_this_customer(request: Request, exc: Exception) -> Response:
    return _response(request, INVALID_PARAMETER, str(exc))


async def _too_many(request: Request, exc: Exception) -> Response:
    return _response(request, TOO_MANY_TO_RESTORE, str(exc))


async def _being_assessed(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, StagesBeingAssessedError):
        raise exc
    left = min(exc.left, exc.COUNTED)
    extra = {"left": left, "left_is_more": exc.left > left}
    return _response(request, STAGES_BEING_ASSESSED, str(exc), extra, headers={"retry-after": "10"})
