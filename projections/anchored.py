"""Facts by anchor: what a customer's facts are made of before anybody knows whose customer the anchor is.

Facts merge, so those of a customer are the combined facts of its anchors, however identity turns out in the end. That
lets a set be filled without reading and writing a customer for every batch that touches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.schemas.decoded import DecodedEvent


class AnchoredFacts:
    """Folds events under their anchors. An anchor of which a record was replaced is *spoilt*: facts cannot be taken
    back, so its history is folded from the timeline.
    """

    def __init__(self, projection: CustomerProjection) -> None:
        self._projection = projection
        self._facts: dict[str, CustomerFacts] = {}
        self._spoilt: set[str] = set()

    def __len__(self) -> int:
        """How many anchors are held."""
        return len(self._facts) + len(self._spoilt)

    def add(self, events: Iterable[DecodedEvent]) -> None:
        """Fold new events; those without an anchor, or unlisted, belong to nobody."""
        facts, projection = self._facts, self._projection
        for event in events:
            anchor_id = event.anchor_id
            if anchor_id is None or not event.listed or anchor_id in self._spoilt:
                continue
            held = facts.get(anchor_id)
            if held is None:
                held = facts[anchor_id] = projection.initial()
            projection.apply(held, event)

    def spoil(self, anchor_ids: Iterable[str]) -> None:
        """Records of these anchors were replaced."""
        for anchor_id in anchor_ids:
            self._spoilt.add(anchor_id)
            self._facts.pop(anchor_id, None)

    def take(self) -> Iterator[tuple[str, bytes | None]]:
        """All anchors with their encoded facts, None for spoilt ones; nothing is held afterwards."""
        held, spoilt = self._facts, self._spoilt
        self._facts, self._spoilt = {}, set()
        for anchor_id in spoilt:
            yield anchor_id, None
        for anchor_id, facts in held.items():
            yield anchor_id, self._projection.encode(facts)
