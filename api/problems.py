"""Problems: every error of the API as `application/problem+json` (RFC 9457).

Raised as `ProblemError` by the parts that answer; `install` turns whatever FastAPI and Starlette raise into the same
form. No problem repeats what the caller sent, and no log line holds it: references are personal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from customer_timeline.api.answering import UnknownCustomerError
from customer_timeline.api.cursors import InvalidCursorError
from customer_timeline.api.identity import NotOfThisCustomerError, UnknownIdentifierError
from customer_timeline.api.references import InvalidReferenceError
from customer_timeline.projections.cut_reading import TooManyToRestoreError
from customer_timeline.projections.identity_reading import ComponentTooLargeError
from customer_timeline.projections.reading import StagesBeingAssessedError, ViewsOutOfDateError, ViewsUnavailableError
from customer_timeline.schemas.position_token import DifferentLogsError, InvalidPositionTokenError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:customer-timeline:problem:"


class ProblemKind(NamedTuple):
    """A kind of problem: `slug` ends its type URI and is stable, `title` never varies from case to case."""

    slug: str
    status: int
    title: str


INVALID_REFERENCE = ProblemKind("invalid-reference", 400, "The reference names no identifier")
INVALID_CURSOR = ProblemKind("invalid-cursor", 400, "The cursor cannot be used here")
INVALID_POSITION_TOKEN = ProblemKind("invalid-position-token", 400, "The text is no position token")
WRONG_HOST = ProblemKind("wrong-host", 421, "This server does not answer to that name")
UNKNOWN_CUSTOMER = ProblemKind("unknown-customer", 404, "No customer has this identifier")
NO_SUCH_RESOURCE = ProblemKind("no-such-resource", 404, "There is nothing here")
UNKNOWN_DEAD_LETTER = ProblemKind("unknown-dead-letter", 404, "That record is no dead letter")
METHOD_NOT_ALLOWED = ProblemKind("method-not-allowed", 405, "This resource does not take that method")
NOT_YET = ProblemKind("not-yet", 409, "The projector has not passed the positions yet")
INVALID_PARAMETER = ProblemKind("invalid-parameter", 422, "A parameter is not valid")
# Right in form, and asking again will not help: 422 (RFC 9110, section 15.5.21), where 409 invites to ask again.
BECAME_DEAD_LETTER = ProblemKind("became-dead-letter", 422, "An event at these positions could not be applied")
POSITION_OF_ANOTHER_LOG = ProblemKind("position-of-another-log", 422, "The positions are of another log")
TOO_MANY_TO_RESTORE = ProblemKind("too-many-to-restore", 422, "The list would put too many customers together again")
IDENTITY_TOO_LARGE = ProblemKind("identity-too-large", 422, "More identifiers are connected than one answer can hold")
INTERNAL = ProblemKind("internal-error", 500, "The server failed")
VIEWS_UNAVAILABLE = ProblemKind("views-unavailable", 503, "The views cannot be read just now")
VIEWS_OUT_OF_DATE = ProblemKind("views-out-of-date", 503, "The views are of another version")
STAGES_BEING_ASSESSED = ProblemKind(
    "stages-being-assessed", 503, "Customers are being assessed by other rules just now"
)
NOT_READY = ProblemKind("not-ready", 503, "Not ready to serve")

KINDS = (
    INVALID_REFERENCE,
    INVALID_CURSOR,
    INVALID_POSITION_TOKEN,
    UNKNOWN_CUSTOMER,
    UNKNOWN_DEAD_LETTER,
    NO_SUCH_RESOURCE,
    METHOD_NOT_ALLOWED,
    NOT_YET,
    WRONG_HOST,
    INVALID_PARAMETER,
    BECAME_DEAD_LETTER,
    POSITION_OF_ANOTHER_LOG,
    TOO_MANY_TO_RESTORE,
    IDENTITY_TOO_LARGE,
    INTERNAL,
    VIEWS_UNAVAILABLE,
    VIEWS_OUT_OF_DATE,
    STAGES_BEING_ASSESSED,
    NOT_READY,
)


class ProblemError(Exception):
    """Ends a request with a problem. `detail` says what to do about this case; `extra` are further members."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.extra = extra or {}
        self.headers = headers or {}
        super().__init__(detail)


def problem_body(kind: ProblemKind, detail: str, request_id: str, extra: Mapping[str, object] | None = None) -> bytes:
    """The JSON of a problem. `instance` is the request id: the path holds identifiers."""
    return orjson.dumps(
        {
            "type": TYPE_PREFIX + kind.slug,
            "title": kind.title,
            "status": kind.status,
            "detail": detail,
            "instance": f"urn:customer-timeline:request:{request_id}",
            **(extra or {}),
        }
    )


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
