"""Which record is the event, when several carry one event_id. Pure; called by the Postgres journal.

The answer depends on the set of records, not on who came first: greatest revision, then earliest time, then least
hash of the canonical content. So a correction wins whenever it arrives, and two sources that disagree settle the same
way on every worker and in every replay.
"""

from __future__ import annotations

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


def standing(event: DecodedEvent, content_hash: ContentHash) -> Standing:
    """The standing of one record; hashes its canonical content, so ask only where records compete."""
    return Standing(event.revision, event.occurred_us, content_hash(event))


def settle(records: Iterable[DecodedEvent], content_hash: ContentHash) -> Settled:
    """Choose among records of one event_id. Independent of their order; at least one is required."""
    by_standing: dict[Standing, DecodedEvent] = {}
    for record in records:
        rank = standing(record, content_hash)
        known = by_standing.get(rank)
        if known is None or record.recorded_at < known.recorded_at:
            by_standing[rank] = record
    ranked = sorted(by_standing, key=lambda rank: (-rank.revision, rank.occurred_us, rank.content_hash))
    return Settled(by_standing[ranked[0]], tuple(Superseded(by_standing[rank], rank) for rank in ranked[1:]))
