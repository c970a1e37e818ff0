"""Complaints: per case everything that opened or ended it, so that "open at t" is exact for every t.

Only complaints are kept, no requests: a question that takes long is no reason to expect that a customer leaves. A case
is open from `opened` or `reopened` until the next `resolved` or `closed`, in the order (occurred_at, event_id); opening
a case that is open changes nothing.
"""

from __future__ import annotations

from bisect import insort
from typing import Any, Final, Literal, NamedTuple

from customer_timeline.projections.instants import rfc3339
from customer_timeline.schemas.decoded import DecodedEvent

Verb = Literal["opened", "reopened", "resolved", "closed"]

_OPENING: Final = frozenset({"opened", "reopened"})

# case_id -> [occurred_us, event_id, verb] of each transition, ascending
ComplaintFacts = dict[str, list[list[Any]]]


class OpenSpan(NamedTuple):
    """A case was open from `from_us`, when `event_id` opened it, until `until_us` (exclusive; None: it still is)."""

    from_us: int
    until_us: int | None
    event_id: str


def fold(complaints: ComplaintFacts, event: DecodedEvent, case_id: str, verb: Verb) -> None:
    """Keep one transition of a case."""
    insort(complaints.setdefault(case_id, []), [event.occurred_us, event.event_id, verb])


def combine(into: ComplaintFacts, other: ComplaintFacts) -> None:
    """Add the transitions of other events."""
    for case_id, theirs in other.items():
        into[case_id] = sorted(into.get(case_id, []) + theirs)


def ended_before(transitions: list[list[Any]], us: int) -> bool:
    """Whether nothing of a case happened from an instant on, and it is not open. Told by its last transition."""
    at_us, _, verb = transitions[-1]
    return at_us < us and verb not in _OPENING


def open_spans(transitions: list[list[Any]]) -> list[OpenSpan]:
    """When one case was open, oldest first; spans without length are left out."""
    spans: list[OpenSpan] = []
    opened: tuple[int, str] | None = None
    for at_us, event_id, verb in transitions:
        if verb in _OPENING:
            if opened is None:
                opened = (at_us, event_id)
        elif opened is not None:
            if opened[0] < at_us:
                spans.append(OpenSpan(opened[0], at_us, opened[1]))
            opened = None
    if opened is not None:
        spans.append(OpenSpan(opened[0], None, opened[1]))
    return spans


def describe(complaints: ComplaintFacts) -> dict[str, Any]:
    """How many cases are open and how many there ever were, and the open ones by (since, case_id)."""
    still = sorted(
        (span.from_us, case_id)
        for case_id, transitions in complaints.items()
        for span in open_spans(transitions)
        if span.until_us is None
    )
    return {
        "open": len(still),
        "opened_total": sum(any(verb in _OPENING for _, _, verb in case) for case in complaints.values()),
        "open_cases": [{"case_id": case_id, "since": rfc3339(from_us)} for from_us, case_id in still],
    }
