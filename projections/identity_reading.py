"""What a reader of the views offers about identity: raw components, and the events behind them. Pure: types only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple, Protocol

from customer_timeline.projections.component import Component
from customer_timeline.projections.identity_review import ReviewFilter, ReviewKey, ReviewPage
from customer_timeline.schemas.errors import CustomerTimelineError

MOST_MEMBERS: Final = 5_000
"""Identifiers of a raw component that is still read: deciding it takes some tenths of a second."""
MOST_OUTER_LINKS: Final = 1_000
"""Links read that lead out of a component: a shared value may have one to everybody."""


class ComponentTooLargeError(CustomerTimelineError):
    """More identifiers are connected than can be decided for one answer."""

    def __init__(self) -> None:
        super().__init__(
            f"More than {MOST_MEMBERS:,} identifiers are connected here: too many for one answer. Something joins "
            "strangers: part the pairs that do, or block the value, or lower the share_limit of its kind."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (ComponentTooLargeError, ())


class StoredEvent(NamedTuple):
    """An event as it stands in the timeline: JSON, and when the log took it in."""

    event: str
    recorded_us: int


class PlacedEvent(NamedTuple):
    """The same, and where the record stands in the log."""

    event: str
    recorded_us: int
    partition: int
    offset: int


class IdentityReader(Protocol):
    """The part of `TimelineReader` that is about identity; the same promises."""

    async def identity(self, identifier_id: str) -> Component | None:
        """The raw component that holds the identifier; None where nobody ever named it.

        At most MOST_OUTER_LINKS links that leave it. Raises ComponentTooLargeError beyond MOST_MEMBERS identifiers.
        """
        ...

    async def identity_review(self, wanted: ReviewFilter, *, limit: int, after: ReviewKey | None = None) -> ReviewPage:
        """At most `limit` (>= 1) rows of a list for operators, from `after` (exclusive) on.

        By id, the changes newest first. A page of large customers looks through SCANNED identifiers at most.
        """
        ...

    async def events_of(self, identifier_ids: Collection[str], *, limit: int) -> tuple[StoredEvent, ...] | None:
        """The listed events that stand at these identifiers, and at things that are theirs, in any order.

        None where there are more than `limit` (>= 1).
        """
        ...
