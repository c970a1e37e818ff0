"""Operations: what goes out comes back, and what is none is refused without being quoted."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pytest

from customer_timeline.schemas.operations import (
    MAX_PLACES,
    InvalidOperationError,
    Operation,
    OperationPlace,
    chunks,
    decode_operation,
)

PLACE = OperationPlace(topic="touchpoints", partition=2, offset=18211)
OPERATION = Operation(
    operation_id=uuid.UUID(int=1),
    kind="discarded",
    operator="ann",
    reason="a test of the survey system",
    decided_at=datetime(2026, 3, 1, tzinfo=UTC),
    places=(PLACE,),
)


def test_an_operation_comes_back_as_it_went_out() -> None:
    assert decode_operation(OPERATION.encode()) == OPERATION


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"kind": "burnt"},
        {"places": []},
        {"reason": ""},
        {"reason": "a\x00b"},
        {"decided_at": "2026-03-01T00:00:00"},
        {"places": [{"topic": "t", "partition": -1, "offset": 0}]},
        {"places": [PLACE.model_dump()] * (MAX_PLACES + 1)},
        {"secret": "ann@example.com"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_no_operation_is_refused_and_not_quoted(changes: dict[str, object]) -> None:
    record = OPERATION.model_dump(mode="json") | changes
    with pytest.raises(InvalidOperationError) as refused:
        decode_operation(json.dumps(record).encode())
    assert "ann@" not in str(refused.value)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff"])
def test_bytes_that_are_no_object_are_refused(value: bytes | None) -> None:
    with pytest.raises(InvalidOperationError):
        decode_operation(value)


def test_many_places_are_as_many_operations_as_they_need() -> None:
    places = [PLACE.model_copy(update={"offset": number}) for number in range(2 * MAX_PLACES + 1)]
    parts = list(chunks(places))
    assert [len(part) for part in parts] == [MAX_PLACES, MAX_PLACES, 1]
    assert [place for part in parts for place in part] == places
