"""What operators look through: where identity may be wrong. Rows as they stand in the tables. Pure: types only."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

ReviewList = Literal["shared_values", "refused_links", "large_customers", "recent_changes"]

COUNTED: Final = 1_000
"""Links of a shared value are counted no further."""
SCANNED: Final = 200_000
"""Identifiers that one page of large customers looks through."""


class ReviewFilter(NamedTuple):
    """Of what; `size`: identifiers of a customer that is called large."""

    of: ReviewList
    size: int


class ReviewKey(NamedTuple):
    """Where a page ends: two ids by which the list is ordered. Of the changes it is their number, as a UUID."""

    first: str
    second: str = "00000000-0000-0000-0000-000000000000"


class SharedValue(NamedTuple):
    """A value that glues nobody. `named_with`: stronger identifiers that events name with it, at most COUNTED + 1."""

    identifier_id: str
    kind: str
    value: str
    customer_id: str
    named_with: int


class SkippedLink(NamedTuple):
    """A link that joins nobody because of a limit, or of a distant decision; its least event."""

    a: tuple[str, str, str]  # identifier_id, kind, value
    b: tuple[str, str, str]
    reason: str
    occurred_us: int
    event_id: str


class LargeCustomer(NamedTuple):
    """A customer of many identifiers."""

    customer_id: str
    identifiers: int


class IdentityChange(NamedTuple):
    """A customer that is now what `former_ids` were: by a merge, a parting, or an older sighting. `at_us`: when the log
    took in what made it so.
    """

    customer_id: str
    former_ids: tuple[str, ...]
    at_us: int


ReviewRow = SharedValue | SkippedLink | LargeCustomer | IdentityChange


class ReviewPage(NamedTuple):
    """Rows in the order of the list; `after`: where the next page begins, None on the last."""

    rows: tuple[ReviewRow, ...]
    after: ReviewKey | None
