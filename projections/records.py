"""Which record is the event, when several carry one event_id. Pure; called by the Postgres journal.

The answer depends on the set of records, not on who came first: greatest revision, then earliest time, then least
hash of the canonical content. So a correction wins whenever it arrives, and two sources that disagree settle the same
way on every worker and in every replay. Of one content in several spellings the one with the least hash of its bytes
is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from customer_timeline.schemas.decoded import DecodedEvent

ContentHash = Callable[[DecodedEvent], bytes]


class Standing(NamedTuple):
    """What ranks a record among those of its event; two with equal standing are one record delivered twice."""

    revision: int
    occurred_us: int
    content_hash: bytes

    def beats(self, other: Standing) -> bool:
        """True where this record is the event and `other` is superseded."""
        return (-self.revision, self.occurred_us, self.content_hash) < (
            -other.revision,
            other.occurred_us,
            other.content_hash,
        )


class Superseded(NamedTuple):
    """A record that lost, with what it takes to choose again at an earlier `known_at`."""

    event: DecodedEvent
    standing: Standing


class Settled(NamedTuple):
    """The record that counts (with the least recorded_at of its copies) and those that lost to it."""

    event: DecodedEvent
    superseded: tuple[Superseded, ...]


def bytes_hash(value: bytes) -> bytes:
    """BLAKE2b-128 of a record's bytes; sorts as `record_hash` does."""
    return hashlib.blake2b(value, digest_size=16).digest()


def record_hash(value: bytes) -> str:
    """BLAKE2b-128 of a record's bytes as UUID text: equal means the same record again."""
    digest = bytes_hash(value).hex()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def standing(event: DecodedEvent, content_hash: ContentHash) -> Standing:
    """The standing of one record; hashes its canonical content, so ask only where records compete."""
    return Standing(event.revision, event.occurred_us, content_hash(event))


def settle(records: Iterable[DecodedEvent], content_hash: ContentHash) -> Settled:
    """Choose among records of one event_id. Independent of their order; at least one is required."""
    by_standing: dict[Standing, DecodedEvent] = {}
    for record in records:
        rank = standing(record, content_hash)
        known = by_standing.get(rank)
        by_standing[rank] = record if known is None else _one_of(known, record)
    ranked = sorted(by_standing, key=lambda rank: (-rank.revision, rank.occurred_us, rank.content_hash))
    return Settled(by_standing[ranked[0]], tuple(Superseded(by_standing[rank], rank) for rank in ranked[1:]))


def _one_of(left: DecodedEvent, right: DecodedEvent) -> DecodedEvent:
    """One content told twice: the spelling that is kept, recorded when the log first took it in."""
    kept = left if left.value == right.value else min(left, right, key=lambda record: record_hash(record.value))
    return kept._replace(recorded_at=min(left.recorded_at, right.recorded_at))
