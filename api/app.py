"""The application: routes, problems, documentation and observation put together. Building it does no I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from customer_timeline.api import documentation, failing
from customer_timeline.api.answering import Answering
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.customers import customers_router
from customer_timeline.api.dead_letters import dead_letters_router
from customer_timeline.api.health import health_router
from customer_timeline.api.metrics import ApiMetrics
from customer_timeline.api.observing import Observing
from customer_timeline.api.own_write import own_write
from customer_timeline.api.reports import reports_router
from customer_timeline.api.review import review_router
from customer_timeline.api.view_lane import ViewLane
from customer_timeline.api.waiting import PositionWaiter
from customer_timeline.projections.cut_reading import CutReader
from customer_timeline.projections.reading import TimelineReader

_DESCRIPTION = """Customers as the log of touchpoints tells of them. Reads only.

Amounts are decimal text, instants RFC 3339 in UTC, ids lower-case UUIDs. Every error is `application/problem+json`.
Every answer carries `X-Request-Id`; send your own to find it in the logs."""


def create_app(reader: TimelineReader, past_reader: CutReader, config: ApiConfig) -> FastAPI:
    """The API over two readers, which it closes when the server stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await waiter.aclose()
        await reader.aclose()
        await past_reader.aclose()

    metrics = ApiMetrics()
    waiter = PositionWaiter(reader, config.topic, metrics.waited)
    app = FastAPI(
        title="customer-timeline",
        version=version("customer-timeline"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    failing.install(app)
    answering = Answering(reader, past_reader, config)
    # Every read of customers can wait for a write of the caller's own.
    waits = [Depends(own_write(waiter, config.now_us))]
    app.include_router(customers_router(answering), dependencies=waits)
    app.include_router(reports_router(answering), dependencies=waits)
    app.include_router(review_router(reader), dependencies=waits)
    app.include_router(dead_letters_router(reader))
    app.include_router(health_router(reader, config, metrics))
    documentation.install(app)
    # The last one added is the outermost.
    app.add_middleware(ViewLane, reader=reader, config=config)
    app.add_middleware(Observing, metrics=metrics, local_only=config.local_only)
    return app
