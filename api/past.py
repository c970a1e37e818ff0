"""The past of one customer, read as the present is. Called by the routes and by the command line."""

from __future__ import annotations

from collections.abc import Collection

from customer_timeline.api.parameters import CutParameters
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.component import Component
from customer_timeline.projections.cut_reading import CutReader
from customer_timeline.projections.cuts import IdentityAt, Past
from customer_timeline.projections.reading import CustomerRecord, EventAt, TimelineFilter, TimelineKey, TimelinePage


def past_of(given: CutParameters, calendar: BusinessCalendar, default: IdentityAt) -> Past:
    """The past that parameters ask for; `default`: who is who where they do not say."""
    return Past(given.cut(calendar), given.identity or default)


class PastCustomer:
    """A reader of single customers, bound to one cut."""

    def __init__(self, reader: CutReader, past: Past) -> None:
        self._reader = reader
        self.past = past

    async def customer(self, identifier_id: str) -> CustomerRecord | None:
        """The customer that held the identifier."""
        return await self._reader.customer(identifier_id, self.past)

    async def timeline(
        self, identifier_id: str, wanted: TimelineFilter, *, limit: int, before: TimelineKey | None = None
    ) -> TimelinePage | None:
        """A page of that customer's events."""
        return await self._reader.timeline(identifier_id, self.past, wanted, limit=limit, before=before)

    async def identity(self, identifier_id: str) -> Component | None:
        """The raw component that held the identifier."""
        return await self._reader.identity(identifier_id, self.past)

    async def events_at(self, identifier_id: str, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        """That customer's events at instants."""
        return await self._reader.events_at(identifier_id, self.past, instants_us)

    async def complete(self) -> bool | None:
        """Whether all that was recorded by the cut is applied; None: the cut asks no such thing."""
        return (await self._reader.horizon()).complete(self.past.cut)
