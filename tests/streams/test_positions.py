"""A worker that cannot go on says why, where it stands, and the way on."""

from __future__ import annotations

import zlib

import pytest

from customer_timeline.projections.journal import RefusedError
from customer_timeline.streams.positions import DAMAGED, check_position, damaged, lost_position, unforeseen


@pytest.mark.parametrize("at", [10, 15, 20])
def test_a_position_that_the_log_holds_or_that_comes_next_is_right(at: int) -> None:
    check_position("touchpoints", 3, at, 10, 20)


@pytest.mark.parametrize(("at", "told"), [(9, "were deleted from the log"), (21, "are no longer in the log")])
def test_a_position_outside_the_log_is_refused(at: int, told: str) -> None:
    with pytest.raises(RefusedError, match=told) as refused:
        check_position("touchpoints", 3, at, 10, 20)
    assert "Partition 3 of touchpoints holds positions 10 to 20" in str(refused.value)
    assert "customer-timeline projection reset" in str(refused.value)


def test_a_consumer_that_lost_its_position_is_told_the_way_on() -> None:
    told = str(lost_position("touchpoints", ValueError()))
    assert "truncated or created again (ValueError)" in told
    assert "customer-timeline projection reset" in told


def test_records_that_cannot_be_unpacked_are_refused_with_where_and_the_way_on() -> None:
    cause = zlib.error("Error -3 while decompressing data: ann@example.com")
    assert isinstance(cause, DAMAGED)
    told = str(damaged(cause, "touchpoints", {3: 17, 0: 4}))
    assert "Compressed records of touchpoints cannot be unpacked (zlib.error)" in told
    assert "soon after {0: 4, 3: 17} (partition: position)" in told
    assert "restore its segment" in told
    assert "ann@example.com" not in told


def test_an_unforeseen_error_says_where_the_worker_stands_and_how_to_go_on_but_quotes_nothing() -> None:
    cause = KeyError("ann@example.com")
    stopped = unforeseen(cause, "touchpoints", {3: 17, 0: 4})
    assert stopped.__cause__ is cause
    assert "(KeyError)" in str(stopped)
    assert "Postgres goes on in touchpoints at {0: 4, 3: 17}" in str(stopped)
    assert "Start the worker again" in str(stopped)
    assert "ann@example.com" not in str(stopped)
