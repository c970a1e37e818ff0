"""Lists for the review of identity, as `identity_review.sql` reads them. Called by the reader; never writes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from customer_timeline.projections.identity_review import (
    COUNTED,
    SCANNED,
    IdentityChange,
    LargeCustomer,
    ReviewFilter,
    ReviewKey,
    ReviewPage,
    ReviewRow,
    SharedValue,
    SkippedLink,
)
from customer_timeline.projections.postgres.pool import ReadPool

_FIRST: Final = ReviewKey("00000000-0000-0000-0000-000000000000")
_LAST_CHANGE: Final = (1 << 63) - 1


class ReadReview(NamedTuple):
    """A page, and the projection version of the tables; None also where there is nothing to list."""

    page: ReviewPage
    version: str | None


async def read_review(pool: ReadPool, wanted: ReviewFilter, limit: int, after: ReviewKey | None) -> ReadReview:
    """One page of a list."""
    key = after or _FIRST
    match wanted.of:
        case "shared_values":
            rows = await pool.fetch("EXECUTE review_shared (%s, %s, %s)", (key.first, limit + 1, COUNTED + 1))
            shared = [SharedValue(*row[1:]) for row in rows]
            return _read(rows, shared, [ReviewKey(one.identifier_id) for one in shared], limit)
        case "refused_links":
            rows = await pool.fetch("EXECUTE review_refused (%s, %s, %s)", (*key, limit + 1))
            links = [SkippedLink(row[1:4], row[4:7], *row[7:]) for row in rows]
            return _read(rows, links, [ReviewKey(one.a[0], one.b[0]) for one in links], limit)
        case "large_customers":
            return await _read_large(pool, wanted.size, limit, key)
        case "recent_changes":
            before = uuid.UUID(after.first).int if after else _LAST_CHANGE
            rows = await pool.fetch("EXECUTE review_changes (%s, %s)", (before, limit + 1))
            changes = [IdentityChange(customer_id, tuple(former), at) for _, _, customer_id, former, at in rows]
            return _read(rows, changes, [ReviewKey(str(uuid.UUID(int=row[1]))) for row in rows], limit)


async def _read_large(pool: ReadPool, size: int, limit: int, key: ReviewKey) -> ReadReview:
    rows = await pool.fetch("EXECUTE review_large (%s, %s, %s, %s)", (key.first, size, limit + 1, SCANNED))
    seen_until = rows[0][1]
    found = [LargeCustomer(customer_id, count) for _, _, customer_id, count in rows if customer_id is not None]
    read = _read(rows, found, [ReviewKey(one.customer_id) for one in found], limit)
    if read.page.after is None and seen_until is not None:
        return read._replace(page=read.page._replace(after=ReviewKey(seen_until)))
    return read


def _read(rows: Sequence[Any], found: Sequence[ReviewRow], keys: Sequence[ReviewKey], limit: int) -> ReadReview:
    after = keys[limit - 1] if len(found) > limit else None
    return ReadReview(ReviewPage(tuple(found[:limit]), after), rows[0][0] if rows else None)
