"""The API over views in memory: most of what it promises needs no server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from view_rows import CODEC, PROJECTION, MemoryReader, Views

from customer_timeline.api.app import create_app
from customer_timeline.api.config import ApiConfig
from customer_timeline.projections.reading import TimelineReader

BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def config(**changes: object) -> ApiConfig:
    """The configuration of the tests."""
    return ApiConfig(identifiers=CODEC.space, projection=PROJECTION, **changes)  # type: ignore[arg-type]


Client = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Makes a client of an app over the given views (or reader)."""
    made: list[httpx.AsyncClient] = []

    def make(views: Views | TimelineReader | None = None, **changes: object) -> httpx.AsyncClient:
        reader = MemoryReader(views or Views()) if isinstance(views, Views | None) else views
        transport = httpx.ASGITransport(create_app(reader, config(**changes)))
        made.append(httpx.AsyncClient(transport=transport, base_url=BASE_URL))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()
