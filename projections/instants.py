"""Instants as text for those who read: RFC 3339 in UTC. Facts hold microseconds; this is how they leave the core."""

from __future__ import annotations

from customer_timeline.schemas.decoded import from_micros


def rfc3339(us: int) -> str:
    """`2026-03-01T09:30:00Z`; six decimals only where they are not all zero. `us`: microseconds since 1970, UTC."""
    return from_micros(us).isoformat().replace("+00:00", "Z")


def rfc3339_or_none(us: int | None) -> str | None:
    """The same; None stays None."""
    return None if us is None else rfc3339(us)
