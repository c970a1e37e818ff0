"""The short way for the one request that callers send thousands of times a second: the view of a customer.

FastAPI's routing and its solving of dependencies cost more than the query and the answer together (measured: half of
the processor time of a request). This lane stands in front of the application and answers what needs neither: a view
that is there. For everything else, every error included, the application is asked as if the lane were not there, so
there is one place that says what is refused and how. The same tests run with and without it.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from customer_timeline.api.answers import customer_answer
from customer_timeline.api.caching import CACHE_CONTROL, matches
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.own_write import AFTER_HEADER
from customer_timeline.api.references import MAX_LENGTH, identifier_id_of
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.schemas.errors import CustomerTimelineError

PREFIX: Final = "/v1/customers/"
ROUTE: Final = "/v1/customers/{ref}"
# The other resources of a customer.
_OTHERS: Final = ("/timeline", "/lifecycle", "/diff", "/identity", "/identity/why")
_AFTER_HEADER: Final = AFTER_HEADER.lower().encode()
_CACHE_HEADER: Final = (b"cache-control", CACHE_CONTROL.encode())
_TYPE_HEADER: Final = (b"content-type", b"application/json")


class ViewLane:
    """Middleware. Answers `GET /v1/customers/{ref}` with 200 or 304, or leaves the request to the application."""

    def __init__(self, app: ASGIApp, *, reader: TimelineReader, config: ApiConfig) -> None:
        self._app = app
        self._reader = reader
        self._identifiers = config.identifiers
        self._projection = config.projection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not _is_view(scope) or not await self._answered(scope, send):
            await self._app(scope, receive, send)

    async def _answered(self, scope: Scope, send: Send) -> bool:
        scope["route_template"] = ROUTE
        try:
            identifier_id = identifier_id_of(scope["path"][len(PREFIX) :], self._identifiers)
            record = await self._reader.customer(identifier_id)
        except CustomerTimelineError:
            return False  # the application meets the same error and says so
        if record is None:
            return False
        answer = customer_answer(record, self._projection)
        etag = f'"{answer.version}"'
        known = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        headers = [(b"etag", etag.encode()), _CACHE_HEADER]
        if known is not None and matches(known.decode("latin-1"), etag):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return True
        headers += (_TYPE_HEADER, (b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        return True


def _is_view(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    # With parameters, and for a caller that waits for a write of its own, there is more to do than this lane knows.
    if scope["query_string"] or any(name == _AFTER_HEADER for name, _ in scope["headers"]):
        return False
    path: str = scope["path"]
    return path.startswith(PREFIX) and not path.endswith(_OTHERS) and len(path) <= len(PREFIX) + MAX_LENGTH
