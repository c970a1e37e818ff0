"""Instants leave the core as RFC 3339 text in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.schemas.decoded import EPOCH, to_micros


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (951_782_400_500_000, "2000-02-29T00:00:00.500000Z"),  # 11,016 days and half a second
    ],
)
def test_microseconds_are_written_only_where_there_are_some(us: int, text: str) -> None:
    assert rfc3339(us) == text


@given(st.datetimes(EPOCH.replace(tzinfo=None), timezones=st.just(UTC)))
def test_text_read_back_is_the_instant(instant: datetime) -> None:
    assert datetime.fromisoformat(rfc3339(to_micros(instant))) == instant


def test_no_instant_has_no_text() -> None:
    assert rfc3339_or_none(None) is None
    assert rfc3339_or_none(0) == "1970-01-01T00:00:00Z"
