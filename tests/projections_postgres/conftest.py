"""A migrated database for the tests of reading: one a module, emptied before each test."""

from __future__ import annotations

from collections.abc import Callable

import psycopg2
import pytest
from view_rows import SCHEMA

from customer_timeline.runtime.migrate import migrate

_TABLES = (
    "outbox, link, link_evidence, decision, projection_meta, timeline, identifier, customer, thing, dead_letter, "
    "projector_offset"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def migrated(empty_database: Callable[[], str]) -> str:
    url = empty_database()
    migrate(url, SCHEMA)
    return url


@pytest.fixture
def emptied(migrated: str) -> str:
    """URL of a database whose views are empty."""
    connection = psycopg2.connect(migrated, options=f"-c search_path={SCHEMA}")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")
    finally:
        connection.close()
    return migrated
