"""A migrated database for the tests of reading: one a module, emptied before each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import psycopg2
import pytest
from memory_reader import MemoryReader
from view_rows import SCHEMA, VERSION, Views

from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.runtime.migrate import migrate

_TABLES = (
    "outbox, link, link_evidence, decision, projection_meta, timeline, identifier, customer, thing, dead_letter, "
    "dead_letter_decision, operation, operation_offset, projector_offset"
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


@pytest.fixture(params=["memory", "postgres"])
async def read(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., TimelineReader]]:
    """Makes a reader of the given views."""
    readers: list[TimelineReader] = []
    database = request.getfixturevalue("emptied") if request.param == "postgres" else None

    def make(views: Views, *, version: str | None = VERSION) -> TimelineReader:
        if database is None:
            readers.append(MemoryReader(views, projection_version=version))
        else:
            views.insert(database)
            readers.append(PostgresReader(database, SCHEMA, projection_version=version, connections=2))
        return readers[-1]

    yield make
    for reader in readers:
        await reader.aclose()
