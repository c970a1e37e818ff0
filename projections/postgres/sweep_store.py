"""The sweeper's side of the tables: what became due is announced, list columns are refreshed, other rules are applied.

Any number of sweepers may work beside the projectors: customers are locked first, those that somebody else holds are
skipped, and what is due is asked again under the lock, in a new statement. A sweeper never waits for a customer, so it
can be part of no deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.instants import rfc3339
from customer_timeline.projections.lifecycle import Schedule, StageEntry, entry_at, next_change_us, stage_schedule
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.postgres.sweeper_session import SweeperSession
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.projections.sweeping import (
    Announced,
    Due,
    Standing,
    Transition,
    after_fold,
    after_sweep,
    assessed_at,
    decoded,
    due,
    encoded,
    withdrawal_id_of,
)

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

CHANGED = "customer.stage_changed"
WITHDRAWN = "customer.stage_withdrawn"


class Swept(NamedTuple):
    """What one round did: customers looked at, stages entered and announced (changes of flags alone are announced too,
    but enter no stage), announcements withdrawn.
    """

    customers: int
    transitions: Mapping[str, int]
    withdrawn: int


class SweepStore:
    """One sweeper's connection; used by one thread at a time. `version`: tables of another are left alone.
    `belongs`: see `SweeperSession`.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        projection: CustomerProjection,
        rules: StageRules,
        *,
        version: str,
        belongs: Callable[[Cursor], None] = lambda cursor: None,
    ) -> None:
        self._session = SweeperSession(connect, {"jit": "off"}, belongs)
        self._projection = projection
        self._rules = rules
        self._version = version
        self._sql = named_queries("sweeper.sql")

    def horizon_us(self, topic: str, partitions: int) -> int | None:
        """Until when everything that the log recorded is applied; None while some partition has not been read at all,
        or the tables are of another version.
        """
        with self._session.transaction() as cursor:
            if self._in_force(cursor) is None:
                return None
            cursor.execute(self._sql["horizon"], {"topic": topic})
            known, passed_us = cursor.fetchone() or (0, None)
        return passed_us if known >= partitions else None

    def sweep(self, horizon_us: int, limit: int) -> Swept:
        """Tell what became due until `horizon_us`, of at most `limit` customers, in one transaction."""
        with self._session.transaction() as cursor:
            if self._in_force(cursor) is None:
                return Swept(0, {}, 0)
            cursor.execute(self._sql["lock_due"], {"horizon": horizon_us, "limit": limit})
            ids = uuid_array(row[0] for row in cursor.fetchall())
            cursor.execute(self._sql["read_schedules"], {"ids": ids, "horizon": horizon_us})
            customers = {
                customer_id: (decoded(orjson.loads(schedule)), Standing(*standing))
                for customer_id, schedule, *standing in cursor.fetchall()
            }
            if not customers:
                return Swept(0, {}, 0)
            announced = self._announced(cursor, ids)
            found = {
                customer_id: due(customer_id, schedule, announced.get(customer_id, ()), standing, horizon_us)
                for customer_id, (schedule, standing) in customers.items()
            }
            self._tell(cursor, found, horizon_us)
            rows = [
                _columns(customer_id, schedule, after_sweep(schedule, standing, horizon_us), horizon_us)
                for customer_id, (schedule, standing) in customers.items()
            ]
            cursor.execute(self._sql["write_swept"], {"rows": _json(rows)})
        stages = Counter[str](
            one.entry.stage
            for told in found.values()
            for one in told.announce
            if one.previous is None or one.previous.stage != one.entry.stage
        )
        return Swept(len(customers), dict(stages), sum(len(told.withdraw) for told in found.values()))

    def assess(self, now_us: int, limit: int) -> int:
        """Assess customers that other rules assessed, `limit` or a few more; returns how many. What that changes of the
        past is told by `sweep`. None are, while other rules than these are in force.
        """
        with self._session.transaction() as cursor:
            if self._in_force(cursor) != self._rules.version:
                return 0
            cursor.execute(self._sql["lock_other_rules"], {"rules": self._rules.version, "limit": limit})
            ids = uuid_array(row[0] for row in cursor.fetchall())
            cursor.execute(self._sql["read_facts"], {"ids": ids, "rules": self._rules.version})
            rows = [
                self._assessed(customer_id, facts, Standing(*standing), now_us)
                for customer_id, facts, *standing in cursor.fetchall()
            ]
            if rows:
                cursor.execute(self._sql["write_assessed"], {"rows": _json(rows), "rules": self._rules.version})
        return len(rows)

    def close(self) -> None:
        """Give the connection back; safe to call twice."""
        self._session.close()

    def _in_force(self, cursor: Cursor) -> str | None:
        """The version of the rules in force; None where the tables are of another projection version."""
        cursor.execute(self._sql["read_version"])
        version, rules = cursor.fetchone() or (None, None)
        return rules if version == self._version else None

    def _assessed(self, customer_id: str, facts: str, standing: Standing, now_us: int) -> dict[str, Any]:
        projection = self._projection
        schedule = stage_schedule(projection.decode(facts), self._rules, projection.calendar)
        after = after_fold(schedule, [standing], None, now_us)
        columns = _columns(customer_id, schedule, after, assessed_at(after, now_us))
        return {**columns, "schedule": encoded(schedule), "announce_from_us": after.announce_from_us}

    def _announced(self, cursor: Cursor, ids: str) -> dict[str, list[Announced]]:
        cursor.execute(self._sql["announced"], {"ids": ids})
        found: dict[str, list[Announced]] = {}
        for holder, announcement_id, customer_id, from_us, stage, flags, n, withdrawn in cursor.fetchall():
            entry = StageEntry(from_us, stage, tuple(flags))
            found.setdefault(holder, []).append(Announced(announcement_id, customer_id, entry, n, withdrawn))
        return found

    def _tell(self, cursor: Cursor, found: Mapping[str, Due], horizon_us: int) -> None:
        announce = [(customer_id, one) for customer_id, told in found.items() for one in told.announce]
        withdraw = [(customer_id, one) for customer_id, told in found.items() for one in told.withdraw]
        at = rfc3339(horizon_us)
        changes = [_withdrawal(customer_id, one, at) for customer_id, one in withdraw]
        changes += [_change(customer_id, one, at) for customer_id, one in announce]
        if withdraw:
            ids = uuid_array(one.announcement_id for _, one in withdraw)
            cursor.execute(self._sql["withdraw_announcements"], {"ids": ids})
        if announce:
            rows = [
                {
                    "announcement_id": one.announcement_id,
                    "customer_id": customer_id,
                    "from_us": one.entry.from_us,
                    "stage": one.entry.stage,
                    "flags": one.entry.flags,
                    "n": one.n,
                }
                for customer_id, one in announce
            ]
            cursor.execute(self._sql["insert_announcements"], {"rows": _json(rows)})
        if changes:
            cursor.execute(self._sql["insert_changes"], {"rows": _json(changes)})


def _columns(customer_id: str, schedule: Schedule, standing: Standing, at_us: int) -> dict[str, Any]:
    entry = entry_at(schedule, at_us)
    return {
        "customer_id": customer_id,
        "stage": entry.stage if entry else None,
        "flags": entry.flags if entry else (),
        "stage_from_us": entry.from_us if entry else None,
        "stage_until_us": next_change_us(schedule, at_us),
        "swept_us": standing.swept_us,
        "sweep_us": standing.sweep_us,
    }


def _change(customer_id: str, transition: Transition, at: str) -> dict[str, Any]:
    previous = transition.previous
    payload = {
        "customer_id": customer_id,
        "stage": transition.entry.stage,
        "flags": transition.entry.flags,
        "since": rfc3339(transition.entry.from_us),
        "previous": {"stage": previous.stage, "flags": previous.flags} if previous else None,
    }
    return {"kind": CHANGED, "payload": payload, "created_at": at, "change_id": transition.announcement_id}


def _withdrawal(customer_id: str, announced: Announced, at: str) -> dict[str, Any]:
    payload = {
        "customer_id": customer_id,
        "announced_as": announced.customer_id,
        "withdraws": announced.announcement_id,
        "stage": announced.entry.stage,
        "flags": announced.entry.flags,
        "since": rfc3339(announced.entry.from_us),
    }
    return {
        "kind": WITHDRAWN,
        "payload": payload,
        "created_at": at,
        "change_id": withdrawal_id_of(announced.announcement_id),
    }


def _json(rows: Sequence[object]) -> str:
    return orjson.dumps(rows).decode()
