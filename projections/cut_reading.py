"""What a reader of the past offers: the rows of `reading`, as they would have been at a cut in two times.

The API and the command line depend on this and not on Postgres. Pure: types only.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from customer_timeline.projections.component import Component
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.projections.differences import Difference
from customer_timeline.projections.reading import (
    CustomerFilter,
    CustomerKey,
    CustomerPage,
    CustomerRecord,
    EventAt,
    TimelineFilter,
    TimelineKey,
    TimelinePage,
)
from customer_timeline.schemas.errors import CustomerTimelineError


class TooManyToRestoreError(CustomerTimelineError):
    """A list of the past for which too many customers would have to be folded again."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"More than {limit} customers would have to be put together again for this list. Ask with "
            "identity=current, without known_at, and in the order customer_id or since: that needs none of it."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (TooManyToRestoreError, (self.limit,))


class Horizon(NamedTuple):
    """Until when everything that was recorded is applied; None: nobody knows yet."""

    passed_us: int | None

    def complete(self, cut: Cut) -> bool | None:
        """Whether all that a cut asks to have been known is applied; None: the cut does not ask."""
        if cut.known_at_us is None:
            return None
        return self.passed_us is not None and cut.known_at_us <= self.passed_us


class Window(NamedTuple):
    """From one instant (included) until another (excluded), in microseconds since 1970."""

    from_us: int
    until_us: int


class CutReader(Protocol):
    """Reads the past. Each call sees one snapshot of the views, and none writes.

    Of every method the answer is the one that the pure functions give for the events at the cut (see `cuts`), customers
    being put together as `past.who` says. Every method raises `ViewsUnavailableError` and `ViewsOutOfDateError` as
    `TimelineReader` does. Safe for concurrent calls within one event loop.
    """

    async def horizon(self) -> Horizon:
        """How far the projector is. Asked after another call, it is no less than what that call saw."""
        ...

    async def customer(self, identifier_id: str, past: Past) -> CustomerRecord | None:
        """The customer that holds the identifier; first sightings are those at the cut.

        None where nobody ever named it, or (by the cut's identity) nobody had by then.
        """
        ...

    async def identity(self, identifier_id: str, past: Past) -> Component | None:
        """The raw component that held the identifier at the cut; None where nobody had named it by then."""
        ...

    async def timeline(
        self,
        identifier_id: str,
        past: Past,
        wanted: TimelineFilter,
        *,
        limit: int,
        before: TimelineKey | None = None,
    ) -> TimelinePage | None:
        """At most `limit` (>= 1) listed events of that customer, newest first, from `before` (exclusive) on."""
        ...

    async def events_at(self, identifier_id: str, past: Past, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        """All listed events of that customer at these instants, by (occurred_us, event_id)."""
        ...

    async def customers(
        self,
        wanted: CustomerFilter,
        past: Past,
        *,
        rules: str,
        at_us: int,
        limit: int,
        after: CustomerKey | None = None,
    ) -> CustomerPage:
        """At most `limit` (>= 1) of the customers that had a stage at an instant, each as `customer` would show it.

        Raises StagesBeingAssessedError where customers were assessed by another version than `rules`, and
        TooManyToRestoreError where more customers than it can would have to be put together again.
        """
        ...

    async def difference(self, identifier_id: str, before: Past, after: Past) -> Difference | None:
        """What lies between two cuts of the customer that holds the identifier; None where neither knows it."""
        ...

    async def changed_customers(self, recorded: Window, occurred_before_us: int) -> tuple[str, ...]:
        """Customers of today of whom something that happened before an instant was recorded within a window.

        Corrections and retractions of such events among it. Raises TooManyToRestoreError.
        """
        ...

    async def aclose(self) -> None:
        """Give back what the reader holds. Calls after it open it again."""
        ...
