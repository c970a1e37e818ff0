"""Problems: every error of the API as `application/problem+json` (RFC 9457).

Raised as `ProblemError` by the parts that answer; `api.failing` makes answers of them. No problem repeats what the
caller sent, and no log line holds it: references are personal. Without FastAPI: commands use them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

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
