"""The customer table, as the projector writes it: facts read under the lock, combined, added to, written back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.lifecycle import Schedule, entry_at, next_change_us, stage_schedule
from customer_timeline.projections.postgres.copy_text import NULL, copy_rows, escaped, uuid_array
from customer_timeline.projections.postgres.identity_decision import CustomerPlan, Settlement
from customer_timeline.projections.postgres.partial_store import PartialStore
from customer_timeline.projections.reassessment import schedule_after, stands_after
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.projections.sweeping import after_fold, assessed_at, decoded, encoded
from customer_timeline.schemas.decoded import DecodedEvent

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


class CustomerStore:
    """Writes what a batch made of its customers. Lives as long as one connection."""

    def __init__(
        self,
        cursor: Cursor,
        sql: Mapping[str, str],
        projection: CustomerProjection,
        rules: StageRules,
        partials: PartialStore,
        observe: Callable[[str], None],
    ) -> None:
        self._cursor = cursor
        self._sql = sql
        self._projection = projection
        self._rules = rules
        self._partials = partials
        self._observe = observe
        cursor.execute(sql["create_incoming_customer"])

    def write(self, settlement: Settlement, events: Mapping[str, Sequence[DecodedEvent]], now_us: int) -> int:
        """Write the customers of `settlement`; `events` are the batch's new ones by customer_id, `now_us` is when the
        log took the last of them in. Returns how many rows.
        """
        rows = []
        for plan in settlement.plans.values():
            if plan.customer_id in events or not unchanged(plan):
                added = events.get(plan.customer_id, ())
                rows.append(self._row(plan, self._facts(plan, added, now_us), added, now_us))
        self._observe("folded")
        if settlement.deleted:
            self._cursor.execute(self._sql["delete_customers"], {"ids": uuid_array(settlement.deleted)})
        self._put(rows)
        return len(rows)

    def write_whole(self, customers: Iterable[tuple[CustomerPlan, CustomerFacts]], now_us: int) -> int:
        """Write customers of whom all is known: their rows hold no facts yet. Returns how many."""
        rows = [self._row(plan, facts, (), now_us) for plan, facts in customers]
        self._put(rows)
        return len(rows)

    def _put(self, rows: Sequence[str]) -> None:
        if rows:
            copy_rows(self._cursor, self._sql["copy_incoming_customer"], rows)
            self._cursor.execute(self._sql["write_customers"])
        self._partials.note()

    def clear(self) -> None:
        """Forget the customer rows of an earlier part of this transaction's batch."""
        self._cursor.execute(self._sql["clear_incoming_customer"])

    def _facts(self, plan: CustomerPlan, events: Iterable[DecodedEvent], now_us: int) -> CustomerFacts:
        projection = self._projection
        if plan.refold is not None:
            # The batch's events are in the timeline by now.
            return self._partials.facts_of(plan.customer_id, plan.refold, now_us)
        facts: CustomerFacts | None = None
        for row in plan.combine:
            more = projection.decode(row.facts)
            if facts is None:
                facts = more
            else:
                projection.combine(facts, more)
        if facts is None:
            facts = projection.initial()
        for event in events:
            projection.apply(facts, event)
        return facts

    def _row(self, plan: CustomerPlan, facts: CustomerFacts, events: Sequence[DecodedEvent], now_us: int) -> str:
        columns = self._projection.columns(facts)
        self._partials.written(plan, columns.events, len(events), now_us)
        return (
            f"{plan.customer_id}\t{plan.gen}\t{'t' if plan.contested else 'f'}\t{columns.events}\t"
            f"{columns.signs_of_life}\t{_number(columns.first_event_us)}\t{_number(columns.last_event_us)}\t"
            f"{_number(columns.last_sign_of_life_us)}\t{columns.purchases}\t"
            f"{escaped(self._projection.encode(facts).decode())}\t"
            f"{self._stage(plan, facts, events, now_us)}"
        )

    def _stage(self, plan: CustomerPlan, facts: CustomerFacts, events: Sequence[DecodedEvent], now_us: int) -> str:
        """The fields from `schedule` on: what the stages are, and where the sweeper stands."""
        earliest_us = min([event.occurred_us for event in events]) if events and plan.refold is None else None
        schedule, text = self._schedule(plan, facts, events, earliest_us)
        standing = after_fold(schedule, [row.standing for row in plan.combine], earliest_us, now_us)
        at_us = assessed_at(standing, now_us)
        entry, until_us = entry_at(schedule, at_us), next_change_us(schedule, at_us)
        stage, flags, from_us = (entry.stage, entry.flags, entry.from_us) if entry else (NULL, (), NULL)
        return (
            f"{text}\t{self._rules.version}\t{stage}\t{{{','.join(flags)}}}\t{from_us}\t"
            f"{_number(until_us)}\t{_number(standing.swept_us)}\t{_number(standing.sweep_us)}\t"
            f"{standing.announce_from_us}"
        )

    def _schedule(
        self, plan: CustomerPlan, facts: CustomerFacts, events: Sequence[DecodedEvent], earliest_us: int | None
    ) -> tuple[Schedule, str]:
        """The schedule of `facts`, and as JSON: from the one that stands in the row, where events were added to just
        that.
        """
        rules, calendar = self._rules, self._projection.calendar
        if earliest_us is not None and len(plan.combine) == 1 and plan.combine[0].rules == rules.version:
            stored = plan.combine[0].schedule
            before = decoded(orjson.loads(stored))
            if stands_after(before, events, earliest_us):
                return before, stored
            schedule = schedule_after(before, facts, rules, calendar, earliest_us)
        else:
            schedule = stage_schedule(facts, rules, calendar)
        return schedule, orjson.dumps(encoded(schedule)).decode()


def unchanged(plan: CustomerPlan) -> bool:
    """True where the locked row already says all that the plan says."""
    if plan.refold is not None or len(plan.combine) != 1:
        return False
    row = plan.combine[0]
    return (row.customer_id, row.gen, row.contested) == (plan.customer_id, plan.gen, plan.contested)


def _number(value: int | None) -> int | str:
    return NULL if value is None else value
