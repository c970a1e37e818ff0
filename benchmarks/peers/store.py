"""What a careful engineer writes with psycopg2 and `execute_values`: timeline rows, and one folded state per customer.

The same tables, fold and codec as the product; identity is a plain lookup: an event belongs to the customer of its
strongest identifier, nothing is ever linked. Used by the batching peers; it does not commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg2.extras import execute_values

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.schemas.decoded import DIRECTION, DecodedEvent, Identifier, from_micros

INSERT_TIMELINE = """
INSERT INTO timeline (event_id, anchor_id, strongest_id, identifier_ids, thing_ids, type, channel, direction,
                      sign_of_life, listed, occurred_at, recorded_at, revision, part, position, record_hash, event)
VALUES %s ON CONFLICT (event_id) DO NOTHING RETURNING event_id
"""
TIMELINE_TEMPLATE = "(%s, %s, %s, %s::uuid[], %s::uuid[], %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
UPSERT_CUSTOMERS = """
INSERT INTO customer (customer_id, gen, contested, events, signs_of_life, first_event_at, last_event_at,
                      last_sign_of_life_at, purchases, facts)
VALUES %s
ON CONFLICT (customer_id) DO UPDATE SET
    events = excluded.events, signs_of_life = excluded.signs_of_life, first_event_at = excluded.first_event_at,
    last_event_at = excluded.last_event_at, last_sign_of_life_at = excluded.last_sign_of_life_at,
    purchases = excluded.purchases, facts = excluded.facts
"""
INSERT_IDENTIFIERS = """
INSERT INTO identifier (identifier_id, kind, value, customer_id) VALUES %s ON CONFLICT (identifier_id) DO NOTHING
"""
_FIND_CUSTOMERS = "SELECT identifier_id::text, customer_id::text FROM identifier WHERE identifier_id = ANY(%s::uuid[])"
_READ_STATES = """
SELECT customer_id::text, facts::text FROM customer WHERE customer_id = ANY(%s::uuid[]) ORDER BY customer_id FOR UPDATE
"""


def projection() -> CustomerProjection:
    """The product's fold, with the default business time zone."""
    return CustomerProjection(BusinessCalendar("UTC"))


def timeline_row(event: DecodedEvent, partition: int, offset: int) -> tuple[Any, ...]:
    """The event as the parameters of TIMELINE_TEMPLATE."""
    return (
        event.event_id,
        event.anchor_id,
        event.strongest_id,
        [identifier.identifier_id for identifier in event.identifiers],
        [thing.thing_id for thing in event.things] or None,
        event.type,
        event.channel,
        DIRECTION[event.actor],
        event.sign_of_life,
        event.listed,
        event.occurred_at,
        event.recorded_at,
        event.revision,
        partition,
        offset,
        event.event_id,  # these peers compare no records: the column only has to be filled
        event.value.decode(),
    )


def customer_row(fold: CustomerProjection, customer_id: str, facts: CustomerFacts) -> tuple[Any, ...]:
    """One customer as the parameters of UPSERT_CUSTOMERS."""
    columns = fold.columns(facts)
    instants = (columns.first_event_us, columns.last_event_us, columns.last_sign_of_life_us)
    times = [None if instant is None else from_micros(instant) for instant in instants]
    encoded = fold.encode(facts).decode()
    return (customer_id, 0, False, columns.events, columns.signs_of_life, *times, columns.purchases, encoded)


class BatchStore:
    """Applies batches on one connection; the caller commits."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._fold = projection()

    def apply(self, records: Iterable[tuple[DecodedEvent, int, int]]) -> None:
        """Write (event, partition, offset) records: timeline first, then the states of the customers they concern."""
        events: dict[str, DecodedEvent] = {}
        rows: dict[str, tuple[Any, ...]] = {}
        for event, partition, offset in records:
            if event.event_id not in events:
                events[event.event_id] = event
                rows[event.event_id] = timeline_row(event, partition, offset)
        with self._connection.cursor() as cursor:
            inserted = execute_values(
                cursor, INSERT_TIMELINE, list(rows.values()), TIMELINE_TEMPLATE, page_size=len(rows), fetch=True
            )
            new = [events[event_id] for (event_id,) in inserted]
            self._fold_into_customers(cursor, new)

    def _fold_into_customers(self, cursor: Any, events: list[DecodedEvent]) -> None:
        anchors = {event.identifiers[0].identifier_id: event.identifiers[0] for event in events}
        if not anchors:
            return
        owner = self._owners(cursor, anchors)
        cursor.execute(_READ_STATES, (sorted(set(owner.values())),))
        states = {customer_id: self._fold.decode(facts.encode()) for customer_id, facts in cursor.fetchall()}
        for event in events:
            customer_id = owner[event.identifiers[0].identifier_id]
            facts = states.get(customer_id)
            if facts is None:
                facts = states[customer_id] = self._fold.initial()
            self._fold.apply(facts, event)
        changed = [customer_row(self._fold, customer_id, facts) for customer_id, facts in sorted(states.items())]
        execute_values(cursor, UPSERT_CUSTOMERS, changed, page_size=len(changed))

    def _owners(self, cursor: Any, anchors: dict[str, Identifier]) -> dict[str, str]:
        cursor.execute(_FIND_CUSTOMERS, (list(anchors),))
        owner = dict(cursor.fetchall())
        unseen = [anchor for anchor_id, anchor in anchors.items() if anchor_id not in owner]
        if unseen:
            new = [(anchor.identifier_id, anchor.kind, anchor.value, anchor.identifier_id) for anchor in unseen]
            execute_values(cursor, INSERT_IDENTIFIERS, new, page_size=len(new))
            owner.update((anchor.identifier_id, anchor.identifier_id) for anchor in unseen)
        return owner
