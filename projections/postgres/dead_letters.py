"""Dead letters as `dead_letters.sql` reads them. Called by the reader; never writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterDecision,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetterGroupKey,
    DeadLetterGroups,
    DeadLetterPage,
    DeadLetterPlace,
    DeadLetterSummary,
    StoredDeadLetters,
)
from customer_timeline.projections.postgres.pool import ReadPool
from customer_timeline.schemas.decoded import from_micros


async def read_dead_letter_groups(
    pool: ReadPool, wanted: DeadLetterFilter, limit: int, after: DeadLetterGroupKey | None
) -> DeadLetterGroups:
    """One page of groups."""
    key = (None, None) if after is None else (from_micros(after.last_us), after.fingerprint)
    rows = await pool.fetch(
        "EXECUTE dead_letter_groups (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (*_cuts(wanted), *key, limit + 1, wanted.state),
    )
    found = [DeadLetterGroup._make((*row[:8], DeadLetterPlace(*row[8:]))) for row in rows]
    return DeadLetterGroups(tuple(found[:limit]), more=len(found) > limit)


async def read_dead_letters(
    pool: ReadPool, wanted: DeadLetterFilter, limit: int, after: DeadLetterPlace | None
) -> DeadLetterPage:
    """One page of single records."""
    rows = await pool.fetch(
        "EXECUTE dead_letters (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (*_cuts(wanted), *(after or (None, None, None)), limit + 1, wanted.state),
    )
    found = [DeadLetterSummary(*row) for row in rows]
    return DeadLetterPage(tuple(found[:limit]), more=len(found) > limit)


async def read_dead_letter(pool: ReadPool, place: DeadLetterPlace) -> DeadLetter | None:
    """One record, whole."""
    rows = await pool.fetch(AT_PLACES, tuple([one] for one in place))
    return letter_of(rows[0]) if rows else None


AT_PLACES: Final = "EXECUTE dead_letters_at (%s::text[], %s::integer[], %s::bigint[])"
"""Of topics, partitions and offsets."""


def letter_of(row: Sequence[Any]) -> DeadLetter:
    """From the columns of `dead_letters.sql`, `dead_letters_at`."""
    sha256, key, value, headers, *decided = row[8:]
    summary = DeadLetterSummary(*row[:8])
    decision = None if decided[-1] is None else DeadLetterDecision(*decided)
    return DeadLetter(summary, bytes(sha256), _bytes(key), _bytes(value), headers=headers, decision=decision)


async def read_stored_dead_letters(pool: ReadPool) -> StoredDeadLetters:
    """How many there are."""
    rows = await pool.fetch("EXECUTE stored_dead_letters")
    return StoredDeadLetters({row[0]: row[1] for row in rows if row[0] is not None}, *rows[0][2:])


def _cuts(wanted: DeadLetterFilter) -> tuple[object, ...]:
    since = _instant(wanted.since_us, "-infinity")
    return wanted.reason, wanted.type, since, _instant(wanted.until_us, "infinity"), wanted.fingerprint


def _instant(micros: int | None, otherwise: str) -> datetime | str:
    return otherwise if micros is None else from_micros(micros).astimezone(UTC)


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
