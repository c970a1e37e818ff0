"""Conditional requests: ETag out, If-None-Match in (RFC 9110, section 13.1.2)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from customer_timeline.api.answers import Answer

# A shared cache must not keep personal data; the caller's own may, if it asks each time.
CACHE_CONTROL = "private, no-cache"


def respond(request: Request, answer: Answer, media_type: str = "application/json") -> Response:
    """200 with the answer, or 304 where the caller has it already."""
    etag = f'{"W/" if answer.weak else ""}"{answer.version}"'
    headers = {"etag": etag, "cache-control": CACHE_CONTROL}
    known = request.headers.get("if-none-match")
    if known is not None and matches(known, etag):
        return Response(status_code=304, headers=headers)
    return Response(answer.body, headers=headers, media_type=media_type)


def matches(if_none_match: str, etag: str) -> bool:
    """Whether the header `If-None-Match` names `etag`, or anything at all (`*`)."""
    # Weak comparison: a proxy that compressed the answer says W/ of it.
    candidates = (candidate.strip().removeprefix("W/") for candidate in if_none_match.split(","))
    return any(candidate in ("*", etag.removeprefix("W/")) for candidate in candidates)
