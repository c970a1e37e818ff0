"""What happens around every request: its id, its line in the access log, its latency, and the answer to errors nobody
foresaw.

Plain ASGI, because it runs for every request. A log line holds the route template and never the path, the query or a
header but the request id: paths hold identifiers.
"""

from __future__ import annotations

import os
import re
import time
import traceback
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from customer_timeline.api.listening import is_loopback
from customer_timeline.api.metrics import ApiMetrics
from customer_timeline.api.problems import INTERNAL, MEDIA_TYPE, WRONG_HOST, ProblemKind, problem_body

UNMATCHED: Final = "(unmatched)"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger("customer_timeline.api")


class Observing:
    """Middleware. `local_only`: refuse requests that name another host than this machine."""

    def __init__(self, app: ASGIApp, *, metrics: ApiMetrics, local_only: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id"))
        scope["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            if self._local_only and not is_loopback(_host_name(headers.get(b"host", b""))):
                await _send_problem(send_with_id, WRONG_HOST, "Use the address that the server printed.", request_id)
            else:
                await self._app(scope, receive, send_with_id)
        except Exception as exc:
            # The message and the values in it stay out of the log: they may be personal. Where it happened is enough.
            log.error("request_failed", request_id=request_id, error=type(exc).__name__, where=_frames(exc))
            if status:
                raise
            await _send_problem(send_with_id, INTERNAL, "The request id leads to the log of the server.", request_id)
        finally:
            self._record(scope, status, request_id, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, request_id: str, duration_s: float) -> None:
        # ViewLane sets the template itself, FastAPI the route.
        route: str = scope.get("route_template") or getattr(scope.get("route"), "path_format", None) or UNMATCHED
        # 499, as nginx has it: the caller went away before the answer.
        status = status or 499
        # Waiting for the projector has a metric of its own: it is not the API that is slow then.
        self._metrics.observe(scope["method"], route, status, duration_s - scope.get("waited_s", 0.0))
        log.info(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            duration_ms=round(duration_s * 1000, 3),
            request_id=request_id,
        )


def _request_id(given: bytes | None) -> str:
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return os.urandom(16).hex()


def _host_name(header: bytes) -> str:
    host = header.decode("latin-1")
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _frames(exc: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(exc.__traceback__)[-8:]]


async def _send_problem(send: Send, kind: ProblemKind, detail: str, request_id: str) -> None:
    body = problem_body(kind, detail, request_id)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": kind.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
