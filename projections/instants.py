"""Instants as text for those who read: RFC 3339 in UTC. Facts hold microseconds; this is how they leave the core."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from customer_timeline.schemas.decoded import EPOCH

# Every row of every timeline page passes here: without its zone, an instant is added to and written in half the time.
_EPOCH_OF_UTC: Final = EPOCH.replace(tzinfo=None)


def rfc3339(us: int) -> str:
    """`2026-03-01T09:30:00Z`; six decimals only where they are not all zero. `us`: microseconds since 1970, UTC."""
    seconds, micros = divmod(us, 1_000_000)
    return (_EPOCH_OF_UTC + timedelta(0, seconds, micros)).isoformat() + "Z"


def rfc3339_or_none(us: int | None) -> str | None:
    """The same; None stays None."""
    return None if us is None else rfc3339(us)
