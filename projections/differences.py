"""What lies between two cuts of one customer: the events that only one of them leaves, and what they changed. Pure.

Facts merge, so each of the two states is what both have in common plus its own events; and what one event did shows
when it alone is added to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.reading import Member
from customer_timeline.schemas.decoded import DecodedEvent

MAX_ATTRIBUTED: Final = 500
"""Events whose part in a difference is worked out one by one."""

Fields = Mapping[str, Any]
"""Values by dotted path: `purchases.by_currency.USD.gross`."""


class Side(NamedTuple):
    """A customer at one of the cuts, without its facts."""

    customer_id: str
    members: tuple[Member, ...]


class Difference(NamedTuple):
    """A customer between two cuts; None where nobody had named it by then.

    `common`: the encoded fold of the events that both leave. An event of which another record counts at each is among
    `removed` and among `added`.
    """

    before: Side | None
    after: Side | None
    common: str
    removed: tuple[DecodedEvent, ...]
    added: tuple[DecodedEvent, ...]

    def facts_before(self, projection: CustomerProjection) -> CustomerFacts:
        """The facts at the first cut."""
        return folded_on(self.common, self.removed, projection)

    def facts_after(self, projection: CustomerProjection) -> CustomerFacts:
        """The facts at the second cut."""
        return folded_on(self.common, self.added, projection)


class Change(NamedTuple):
    """A field that differs, with the events that alone would change it; all of the difference where none alone does."""

    field: str
    before: Any
    after: Any
    event_ids: tuple[str, ...]


def folded_on(common: str, events: Iterable[DecodedEvent], projection: CustomerProjection) -> CustomerFacts:
    """Facts with some events added."""
    facts = projection.decode(common)
    for event in events:
        projection.apply(facts, event)
    return facts


def fields_of(content: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested content by dotted path; lists are values."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            found.update(fields_of(value, here))
        else:
            found[here] = value
    return found


def changed_paths(before: Fields, after: Fields) -> set[str]:
    """Paths with different values; a path that only one has counts."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def changes_of(
    difference: Difference,
    before: Fields,
    after: Fields,
    projection: CustomerProjection,
    show: Callable[[CustomerFacts], Fields],
) -> list[Change]:
    """Every field that differs between `before` and `after`, by path, with the events behind it.

    `show` gives the fields of facts alone, so that the part of each event can be seen.
    """
    events = {event.event_id: event for event in (*difference.removed, *difference.added)}
    behind: dict[str, set[str]] = {}
    if len(difference.removed) + len(difference.added) <= MAX_ATTRIBUTED:
        base = show(projection.decode(difference.common))
        for event in (*difference.removed, *difference.added):
            alone = show(folded_on(difference.common, (event,), projection))
            for path in changed_paths(base, alone):
                behind.setdefault(path, set()).add(event.event_id)
    return [
        Change(path, before.get(path), after.get(path), tuple(sorted(behind.get(path) or events)))
        for path in sorted(changed_paths(before, after))
    ]
