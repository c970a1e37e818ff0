"""Lists of customers by where they stand. Called by the route and by the command line.

All pages of a list are about one instant, that of its first page: the cursor carries it.
"""

from __future__ import annotations

from typing import Any, Final, get_args

import orjson

from customer_timeline.api.answers import Answer, content_hash, of_the_past
from customer_timeline.api.cursors import ListPlace, decode_list_cursor, encode_list_cursor
from customer_timeline.api.parameters import ListParameters
from customer_timeline.projections.cut_reading import CutReader
from customer_timeline.projections.cuts import Past
from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.projections.lifecycle import Stage
from customer_timeline.projections.reading import CustomerFilter, CustomerPage, CustomerRow, TimelineReader

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)


async def list_answer(reader: TimelineReader, given: ListParameters, *, rules: str, now_us: int) -> Answer:
    """One page of a list, assessed by the version `rules`. Raises InvalidCursorError, StagesBeingAssessedError."""
    wanted = given.wanted()
    place = None if given.cursor is None else decode_list_cursor(given.cursor, wanted)
    at_us = place.at_us if place else now_us
    page = await reader.customers(
        wanted, rules=rules, at_us=at_us, limit=given.limit, after=place.key if place else None
    )
    return _answer(page, wanted, at_us)


async def past_list_answer(reader: CutReader, given: ListParameters, past: Past, *, rules: str, now_us: int) -> Answer:
    """One page of a list at a cut. Raises InvalidCursorError, StagesBeingAssessedError, TooManyToRestoreError."""
    wanted = given.wanted()
    place = None if given.cursor is None else decode_list_cursor(given.cursor, wanted, past)
    at_us = place.at_us if place else past.cut.instant_us(now_us)
    page = await reader.customers(
        wanted, past, rules=rules, at_us=at_us, limit=given.limit, after=place.key if place else None
    )
    horizon = await reader.horizon()
    return of_the_past(_answer(page, wanted, at_us, past), past, horizon.complete(past.cut))


def _answer(page: CustomerPage, wanted: CustomerFilter, at_us: int, past: Past | None = None) -> Answer:
    counts = {stage: page.counts.get(stage, 0) for stage in STAGES}
    content = orjson.dumps(
        {
            "items": [_item(row) for row in page.rows],
            "count": counts[wanted.stage] if wanted.stage else sum(counts.values()),
            "counts": counts,
        }
    )
    place = ListPlace(at_us, page.rows[-1].key(wanted.order)) if page.more else None
    cursor = place and encode_list_cursor(place, wanted, past)
    asked = orjson.dumps({"at": rfc3339(at_us), "next_cursor": cursor, "cut": None})
    return Answer(content[:-1] + b"," + asked[1:], content_hash(content), weak=True)


def _item(row: CustomerRow) -> dict[str, Any]:
    return {
        "customer_id": row.customer_id,
        "stage": row.stage,
        "flags": row.flags,
        "since": rfc3339(row.since_us),
        "until": rfc3339_or_none(row.until_us),
        "events": row.events,
        "purchases": row.purchases,
        "first_event_at": rfc3339(row.first_event_us),
        "last_event_at": rfc3339(row.last_event_us),
        "last_sign_of_life_at": rfc3339_or_none(row.last_sign_of_life_us),
    }
