"""What a batch did, added up over the parts in which it was written."""

from __future__ import annotations

from customer_timeline.projections.postgres.identity_decision import IdentityChange, Settlement
from customer_timeline.projections.postgres.timeline_store import Stored


class Outcome:
    """What the halves of a batch did, added up."""

    def __init__(self, duplicates: int) -> None:
        self.new = 0
        self.duplicates = duplicates
        self.replaced = 0
        self.customers = 0
        self.changes: list[IdentityChange] = []
        self.unstorable: list[tuple[str, str]] = []

    def add(self, stored: Stored, settlement: Settlement, customers: int) -> None:
        """One more part is written."""
        self.new += len(stored.new)
        self.duplicates += stored.duplicates
        self.replaced += len(stored.replaced)
        self.customers += customers
        self.changes.extend(settlement.changes)
