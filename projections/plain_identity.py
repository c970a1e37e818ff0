"""Who is who, the plain way: for whoever has a whole history in hand and no table of customers.

Identifiers that one event names are one person's; a thing, such as an order, belongs to whoever the earliest event that
names it with an identifier was about. That is the rule of the live view (ADR 0005) without what needs decisions: values
that many share, limits a kind, and what operators linked or parted. Pure; states merge in any order.
"""

from __future__ import annotations

from collections.abc import Mapping

from customer_timeline.schemas.decoded import DecodedEvent

Sighting = tuple[int, str, str]
"""When, the event's id (so that equal times are decided alike everywhere), and the identifier."""


class PlainIdentity:
    """What has been seen of identifiers and things. The accumulator of a fold: mutable, and private to it."""

    __slots__ = ("_alone", "_owners", "_pairs")

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()
        self._alone: set[str] = set()
        self._owners: dict[str, Sighting] = {}

    def add(self, event: DecodedEvent) -> None:
        """Take note of whom and what a listed event names."""
        named = event.identifiers
        if not named:
            self._alone.update(thing.thing_id for thing in event.things)
            return
        strongest = named[0].identifier_id
        if len(named) == 1:
            self._alone.add(strongest)
        else:
            self._pairs.update((strongest, other.identifier_id) for other in named[1:])
        for thing in event.things:
            sighting = (event.occurred_us, event.event_id, strongest)
            self._owners[thing.thing_id] = min(sighting, self._owners.get(thing.thing_id, sighting))

    def combine(self, other: PlainIdentity) -> None:
        """Add what `other` has seen."""
        self._pairs |= other._pairs
        self._alone |= other._alone
        for thing_id, sighting in other._owners.items():
            self._owners[thing_id] = min(sighting, self._owners.get(thing_id, sighting))

    def people(self) -> Mapping[str, str]:
        """The person of every id that an event can stand at: the least identifier id of hers, or the thing's own id
        where nobody is known."""
        leader = {one: one for one in self._alone}

        def find(one: str) -> str:
            while leader.setdefault(one, one) != one:
                leader[one] = leader[leader[one]]
                one = leader[one]
            return one

        for left, right in self._pairs:
            a, b = find(left), find(right)
            leader[max(a, b)] = min(a, b)
        found = {one: find(one) for one in list(leader)}
        found.update((thing_id, found[owner]) for thing_id, (_, _, owner) in self._owners.items())
        return found
