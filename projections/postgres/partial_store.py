"""Partial states, as the projector sees them: opened where events change under them, read where a history is folded
from the start, and noted in the customers' rows.

Part of one batch's transaction, once its customers are locked (ADR 0013). The projector never builds one: that is left
to `partial_builder`. In the steady state nothing here reaches Postgres: a customer's locked row tells until when there
may be partial states, and new events come after that.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.partials import LENGTHS, facts_of
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.postgres.identity_decision import CustomerPlan, Settlement
from customer_timeline.projections.postgres.timeline_store import Replacement, TimelineStore
from customer_timeline.schemas.decoded import DecodedEvent, from_micros

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

MEND_AFTER_US = 10 * 60 * 1_000_000
"""Holes are mended this long after the first of them: an import of old events would open them again and again."""


class PartialStore:
    """Lives as long as one connection. A batch calls `open`, then `facts_of` and `written` for its customers, then
    `note`.
    """

    def __init__(
        self, cursor: Cursor, sql: Mapping[str, str], projection: CustomerProjection, timeline: TimelineStore
    ) -> None:
        self._cursor = cursor
        self._sql = sql
        self._projection = projection
        self._timeline = timeline
        self._until: dict[str, int] = {}
        self._due: dict[str, int] = {}

    def open(
        self,
        replaced: Iterable[Replacement],
        settlement: Settlement,
        events: Mapping[str, Sequence[DecodedEvent]],
        nobodys: Iterable[DecodedEvent],
        now_us: int,
    ) -> None:
        """Turn every partial state that the batch makes wrong into a hole. `events`: the new ones by customer_id;
        `nobodys`: those of no customer; `now_us`: when the log took in the last record.

        Before any of the batch's customers is folded, and under their locks.
        """
        self._until.clear()
        self._due.clear()
        # What stands at a thing without an owner may have been somebody's, and so have been folded.
        changed = [*nobodys, *(one for replacement in replaced for one in replacement)]
        for customer_id, added in events.items():
            plan = settlement.plans[customer_id]
            if plan.refold is not None:
                # Things may have come from elsewhere, with partial states that this customer's row knows nothing of.
                changed += added
            elif (until_us := _until_us(plan)) is not None:
                late = [event for event in added if event.occurred_us < until_us]
                if late:
                    changed += late
                    self._due[customer_id] = now_us + MEND_AFTER_US
        at = {(event.anchor_id, event.occurred_us) for event in changed if event.listed and event.anchor_id}
        if at:
            self._cursor.execute(
                self._sql["open_partials"],
                {
                    "anchors": uuid_array(anchor_id for anchor_id, _ in at if anchor_id),
                    "instants": [from_micros(us) for _, us in at],
                    "gen": new_gen(),
                },
            )

    def facts_of(self, customer_id: str, members: Sequence[str], now_us: int) -> CustomerFacts:
        """The fold of all events of a customer with these identifiers, and of the things that are theirs."""
        cursor = self._cursor
        cursor.execute(self._sql["anchors_of_members"], {"ids": uuid_array(members)})
        anchors = uuid_array(row[0] for row in cursor.fetchall())
        cursor.execute(self._sql["partials_until"], {"anchors": anchors})
        (until_us,) = cursor.fetchone() or (None,)
        if until_us is not None:
            self._until[customer_id] = until_us
            self._due[customer_id] = now_us + MEND_AFTER_US
        cursor.execute(self._sql["history"], {"anchors": anchors})
        rows = cursor.fetchall()
        return facts_of(
            self._projection,
            [facts for facts, _, _ in rows if facts is not None],
            (self._timeline.decode_stored(event, recorded_at) for _, event, recorded_at in rows if event is not None),
        )

    def written(self, plan: CustomerPlan, events: int, added: int, now_us: int) -> None:
        """A customer's row now counts `events`, of which the batch added `added`."""
        until_us = _until_us(plan)
        stands = len(plan.combine) == 1 and plan.combine[0].customer_id == plan.customer_id
        if until_us is not None and not stands:
            self._until[plan.customer_id] = max(until_us, self._until.get(plan.customer_id, 0))
        grown = not stands or plan.refold is not None or events // LENGTHS.history > (events - added) // LENGTHS.history
        if events >= LENGTHS.history and grown:
            self._due[plan.customer_id] = now_us

    def note(self) -> None:
        """Write down what the customers' rows must say, once they are written."""
        customers = self._until.keys() | self._due.keys()
        if customers:
            self._cursor.execute(
                self._sql["note_partials"],
                {
                    "customers": uuid_array(customers),
                    "until": [self._until.get(customer_id) for customer_id in customers],
                    "due": [self._due.get(customer_id) for customer_id in customers],
                },
            )
        self._until.clear()
        self._due.clear()


def new_gen() -> int:
    """A number that no earlier one equals."""
    return random.getrandbits(62)


def _until_us(plan: CustomerPlan) -> int | None:
    """No partial state of the customers that become this one ends later; None: they have none."""
    return max((row.partial_until_us for row in plan.combine if row.partial_until_us is not None), default=None)
