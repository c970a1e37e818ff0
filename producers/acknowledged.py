"""Where the acknowledged events of one publisher stand, as one position token, however many they are.

Kept while publishing, because receipts of a million events are too many to ask one by one. Not thread-safe: the buffer
calls it under its lock.
"""

from __future__ import annotations

from customer_timeline.schemas.position_token import MAX_EVENTS, EventPosition, PositionToken


class AcknowledgedPositions:
    """The greatest offset of each partition, and every position while they are few."""

    __slots__ = ("_events", "_forgotten", "_next_offsets")

    def __init__(self) -> None:
        self._next_offsets: dict[int, int] = {}
        self._events: list[EventPosition] | None = []
        # Kafka says "I have that already" for a batch older than those whose offsets it remembers. Acknowledgements of
        # a partition come in the order of its records, so the next one with an offset stands behind it.
        self._forgotten: set[int] = set()

    def add(self, partition: int, offset: int) -> None:
        """Note one acknowledged event; `offset` is below 0 where Kafka forgot it."""
        if offset < 0:
            self._forgotten.add(partition)
            self._events = None
            return
        # Runs for every event published.
        if offset >= self._next_offsets.get(partition, 0):
            self._next_offsets[partition] = offset + 1
        if self._forgotten:
            self._forgotten.discard(partition)
        if self._events is not None:
            self._events.append(EventPosition(partition, offset))
            if len(self._events) > MAX_EVENTS:
                self._events = None

    def token(self, topic_id: str) -> PositionToken | None:
        """The token of all of them; None while there is none, or where it cannot be told what they stand before."""
        if self._forgotten or not self._next_offsets:
            return None
        if self._events is not None:
            return PositionToken.of_events(topic_id, self._events)
        return PositionToken.of_next_offsets(topic_id, self._next_offsets)
