"""Evidence of a link: the events that named two identifiers together, as few as every cut in two times needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Evidence(NamedTuple):
    """One event that named a pair. Compares by (occurred_us, event_id): the least counts."""

    occurred_us: int
    event_id: str
    recorded_us: int


def front(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Those that no other beats on both times, least first.

    For any `as_of` and `known_at`, the least evidence that both cuts leave is among them: what is left out happened
    later and was recorded later (or at the same time) than something kept.
    """
    kept: list[Evidence] = []
    for one in sorted(set(evidence)):
        if not kept or one.recorded_us < kept[-1].recorded_us:
            kept.append(one)
    return tuple(kept)
