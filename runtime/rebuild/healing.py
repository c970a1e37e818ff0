"""Records that are dead letters of the live set and events of the rebuild, and the rows in which they show.

Such a record reaches as far as the customers that have its identifiers and things in either set: with it, they may have
another history, other members, another id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from customer_timeline.projections.postgres.digests import DigestSnapshot
from customer_timeline.projections.view_comparison import Row
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.record_times import RECORDED_HEADER

_PLACES: Final = "SELECT part, position FROM dead_letter WHERE topic = %(topic)s AND healed_at IS NULL"
_RECORDS: Final = """SELECT part, position, reason, encode(sha256, 'hex'), value, recorded_at, headers
FROM dead_letter WHERE topic = %(topic)s AND (part, position) IN (
    SELECT * FROM unnest(%(parts)s::integer[], %(at)s::bigint[]))"""
_CUSTOMERS: Final = """SELECT DISTINCT customer_id::text FROM identifier WHERE identifier_id = ANY (%(ids)s::uuid[])
UNION SELECT i.customer_id::text FROM thing t JOIN identifier i ON i.identifier_id = t.owner_id
WHERE t.thing_id = ANY (%(ids)s::uuid[])"""
_MEMBERS: Final = """WITH members AS MATERIALIZED (
    SELECT identifier_id FROM identifier WHERE customer_id = ANY (%(ids)s::uuid[])
)
SELECT identifier_id::text FROM members
UNION SELECT t.thing_id::text FROM members JOIN thing t ON t.owner_id = members.identifier_id"""
_CHUNK: Final = 1_000


class Healed(NamedTuple):
    """How many records healed, for which reasons they had been refused, some of them, and how far they reach: ids of
    events, identifiers, things and customers, and hashes of the records.
    """

    records: int
    reasons: Mapping[str, int]
    samples: Sequence[Mapping[str, Any]]
    reach: frozenset[str]

    def explains(self, table: str, row: Row) -> bool:
        """Whether a row that differs may do so because of these records."""
        if not self.reach:
            return False
        return any(row[name] in self.reach for name in _LEADS[table])


# The columns of each table that say whose a row is.
_LEADS: Final[Mapping[str, tuple[str, ...]]] = {
    "timeline": ("event_id",),
    "superseded": ("event_id",),
    "identifier": ("identifier_id", "customer_id"),
    "link": ("anchor_id", "other_id"),
    "decision": ("event_id", "anchor_id", "other_id"),
    "thing": ("thing_id", "owner_id"),
    "customer": ("customer_id",),
    "dead_letter": ("sha256",),
}


def healed_of(live: DigestSnapshot, rebuild: DigestSnapshot, codec: Codec, topic: str, samples: int) -> Healed:
    """What healed between two snapshots of the same positions."""
    still = set(rebuild.rows(_PLACES, topic=topic))
    places = sorted(place for place in live.rows(_PLACES, topic=topic) if place not in still)
    reasons: Counter[str] = Counter()
    shown: list[Mapping[str, Any]] = []
    hashes: set[str] = set()
    named: set[str] = set()
    for chunk in _chunks(places):
        parts, at = [part for part, _ in chunk], [position for _, position in chunk]
        for part, position, reason, sha256, value, recorded, headers in live.rows(
            _RECORDS, topic=topic, parts=parts, at=at
        ):
            reasons[reason] += 1
            hashes.add(sha256)
            event = _decoded(codec, value, recorded, headers)
            if event is not None:
                named |= _named(event)
            if len(shown) < samples:
                place = f"{topic}/{part}/{position}"
                shown.append({"record": place, "reason": reason, "event_id": event.event_id if event else None})
    return Healed(sum(reasons.values()), dict(reasons), shown, frozenset(hashes | _reach(live, rebuild, named)))


def _reach(live: DigestSnapshot, rebuild: DigestSnapshot, named: set[str]) -> set[str]:
    if not named:
        return set()
    # In the rebuild they may have joined customers that are apart in the live set, so those are looked up as well.
    after = _of(rebuild, _CUSTOMERS, named)
    members = _of(rebuild, _MEMBERS, after)
    before = _of(live, _CUSTOMERS, named | members)
    return named | after | members | before | _of(live, _MEMBERS, before)


def _of(snapshot: DigestSnapshot, query: str, ids: set[str]) -> set[str]:
    return {found for chunk in _chunks(sorted(ids)) for (found,) in snapshot.rows(query, ids=list(chunk))}


def _named(event: DecodedEvent) -> set[str]:
    identifiers = event.decides or event.identifiers
    return {event.event_id, *(one.identifier_id for one in identifiers), *(one.thing_id for one in event.things)}


def _decoded(codec: Codec, value: memoryview | None, recorded: datetime, headers: Any) -> DecodedEvent | None:
    stamps = [content for name, content in headers if name == RECORDED_HEADER]
    header = bytes.fromhex(stamps[0]).decode("utf-8", "replace") if stamps else None
    try:
        return codec.decode(None if value is None else bytes(value), appended_at=recorded, recorded_header=header)
    except InvalidEvent:
        # Another version's rebuild accepted it; this one's would not.
        return None


def _chunks(found: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (found[start : start + _CHUNK] for start in range(0, len(found), _CHUNK))
