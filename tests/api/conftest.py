"""Clients that are closed after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from api_client import MakeClient, make_client
from view_rows import Views

from customer_timeline.projections.cut_reading import CutReader
from customer_timeline.projections.reading import TimelineReader


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[MakeClient]:
    """Makes clients: `client(views, local_only=False)`."""
    made: list[httpx.AsyncClient] = []

    def make(
        views: Views | TimelineReader | None = None, *, past: CutReader | None = None, **changes: object
    ) -> httpx.AsyncClient:
        made.append(make_client(views, past=past, **changes))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()
