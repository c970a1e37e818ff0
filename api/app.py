"""The application: routes, problems, documentation and observation put together. Building it does no I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from customer_timeline.api import documentation, problems
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.customers import customers_router
from customer_timeline.api.health import health_router
from customer_timeline.api.metrics import ApiMetrics
from customer_timeline.api.observing import Observing
from customer_timeline.api.review import review_router
from customer_timeline.api.view_lane import ViewLane
from customer_timeline.projections.reading import TimelineReader

_DESCRIPTION = """Customers as the log of touchpoints tells of them. Reads only.

Amounts are decimal text, instants RFC 3339 in UTC, ids lower-case UUIDs. Every error is `application/problem+json`.
Every answer carries `X-Request-Id`; send your own to find it in the logs."""


def create_app(reader: TimelineReader, config: ApiConfig) -> FastAPI:
    """The API over `reader`, which it closes when the server stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await reader.aclose()

    metrics = ApiMetrics()
    app = FastAPI(
        title="customer-timeline",
        version=version("customer-timeline"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    problems.install(app)
    app.include_router(customers_router(reader, config))
    app.include_router(review_router(reader))
    app.include_router(health_router(reader, config, metrics))
    documentation.install(app)
    # The last one added is the outermost.
    app.add_middleware(ViewLane, reader=reader, config=config)
    app.add_middleware(Observing, metrics=metrics, local_only=config.local_only)
    return app
