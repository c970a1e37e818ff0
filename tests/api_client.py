"""Clients of an app over views in memory: most of what the API promises needs no server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
from memory_cut_reader import MemoryCutReader
from memory_reader import MemoryReader
from view_rows import CODEC, PROJECTION, Views

from customer_timeline.api.app import create_app
from customer_timeline.api.config import ApiConfig
from customer_timeline.projections.cut_reading import CutReader
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.schemas.decoded import to_micros

NOW_US = to_micros(datetime(2026, 6, 1, tzinfo=UTC))
BASE_URL = "http://127.0.0.1:8000"
MakeClient = Callable[..., httpx.AsyncClient]


def make_client(
    views: Views | TimelineReader | None = None, *, past: CutReader | None = None, **changes: object
) -> httpx.AsyncClient:
    """A client of an app over `views` (or a reader), and over the past of the same or another; `changes` are fields of
    its configuration."""
    reader = MemoryReader(views or Views()) if isinstance(views, Views | None) else views
    given = {"identifiers": CODEC.space, "projection": PROJECTION, "now_us": lambda: NOW_US, **changes}
    config = ApiConfig(**given)  # type: ignore[arg-type]
    if past is None:
        past = MemoryCutReader(views.records) if isinstance(views, Views) else MemoryCutReader()
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(reader, past, config)), base_url=BASE_URL)
