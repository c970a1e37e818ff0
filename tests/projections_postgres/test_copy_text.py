"""What is handed over as one literal arrives as it was, whatever is in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from customer_timeline.projections.postgres.copy_text import (
    boolean_array,
    instant_array,
    optional_uuid_array,
    text_array,
)

ONE = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def cursor(migrated: str) -> Iterator[Any]:
    connection = psycopg2.connect(migrated)
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


@pytest.mark.parametrize(
    "text", ["", " ", "NULL", "null", "a,b", "{}", '"', "\\", '\\"', "'", "%s", "\n\t", "Ω 名", "\\N"]
)
def test_a_text_arrives_as_it_was(cursor: Any, text: str) -> None:
    cursor.execute("SELECT %s::text[]", (text_array([text, None, text]),))
    assert cursor.fetchone() == ([text, None, text],)


def test_ids_instants_and_truths_arrive_as_they_were(cursor: Any) -> None:
    instants = [datetime(1970, 1, 1, tzinfo=UTC), None, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)]
    cursor.execute("SELECT %s::timestamptz[]", (instant_array(instants),))
    assert cursor.fetchone() == (instants,)
    cursor.execute("SELECT %s::uuid[]::text[]", (optional_uuid_array([ONE, None]),))
    assert cursor.fetchone() == ([ONE, None],)
    cursor.execute("SELECT %s::boolean[]", (boolean_array([True, False]),))
    assert cursor.fetchone() == ([True, False],)


def test_nothing_is_an_empty_array(cursor: Any) -> None:
    for literal in (text_array([]), optional_uuid_array([]), instant_array([]), boolean_array([])):
        assert literal == "{}"


def test_a_zone_of_an_instant_is_kept_in_mind(cursor: Any) -> None:
    noon = datetime.fromisoformat("2026-06-01T12:00:00+02:00")
    cursor.execute("SELECT %s::timestamptz[]", (instant_array([noon]),))
    (found,) = cursor.fetchone()
    assert found == [noon]
