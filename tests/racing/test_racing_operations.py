"""Operations that race with each other and with the events that they are about: the tables end as in a run without.

Without Kafka: two journals on one database, of which the first is held inside its transaction until the other waits.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
from digest import difference, digest_of
from direct_journal import TOPIC, DirectRun
from generators import Sent
from pipeline import POLICY, SECRET, ZONE
from reference.log_model import reference
from worker_farm import DEADLINE_S, until

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.operations import OperationApplied, OperationRecord
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.operations import Operation, OperationPlace
from customer_timeline.streams.decoding import decode_batch

TODAY = Codec(POLICY, SECRET.encode())
BEFORE = Codec(
    POLICY, SECRET.encode(), catalogue={name: data for name, data in CATALOGUE.items() if "survey" not in name}
)
DECIDED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def answer(csat: int, revision: int, email: str = "ann@example.com") -> Sent:
    """The same answer, as often as it is told."""
    data = {
        "survey_id": "s",
        "csat": csat,
        "via": "online",
        "channel": "web",
        "identifiers": [{"kind": "email", "value": email}],
    }
    record = {"specversion": "1.0", "id": "a-1", "source": "/surveys", "type": "survey.answered.v1"}
    return Sent(json.dumps({**record, "time": "2024-03-01T10:00:00Z", "revision": revision, "data": data}).encode())


class Gate:
    """An observer that holds whoever comes to a step until the other transaction waits for it."""

    def __init__(self, url: str, step: str) -> None:
        self._url = url
        self._step = step
        self.reached = threading.Event()

    def __call__(self, step: str) -> None:
        if step == self._step and not self.reached.is_set():
            self.reached.set()
            with contextlib.closing(psycopg2.connect(self._url)) as connection, connection.cursor() as cursor:
                connection.autocommit = True
                until(lambda: self._somebody_waits(cursor), "the other transaction waits for this one")

    def _somebody_waits(self, cursor: Any) -> bool:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND cardinality(pg_blocking_pids(pid)) > 0)"
        )
        return bool(cursor.fetchone()[0])


class Deployment:
    """One partition whose first record only today's code accepts; the second one corrects it."""

    def __init__(self, url: str) -> None:
        self.run = DirectRun(url, [(0, answer(4, 0)), (0, answer(5, 1, "ann.lee@example.com"))], ())
        self.run._empty()
        self.url = url
        self._queue = self.run._queues()[0]
        self.settings = Settings(
            database_url=url, touchpoints_topic=TOPIC, identity_secret=SECRET, business_time_zone=ZONE
        )
        journal = self.run._journal(0)
        journal.apply(decode_batch(TOPIC, {0: self._queue[:1]}, {0: 0}, BEFORE))
        journal.close()

    def project(self, observe: Callable[[str], None]) -> None:
        """A worker of today takes in the correction."""
        journal = wiring.journal(self.settings, TODAY, observe)
        journal.assign(TOPIC, None, [0])
        journal.apply(decode_batch(TOPIC, {0: self._queue[1:]}, {0: 1}, TODAY))
        journal.close()

    def retry(self, observe: Callable[[str], None]) -> OperationApplied | None:
        """A worker of today applies that the first record be read again."""
        journal = wiring.operations_journal(self.settings, TODAY, observer=observe)
        place = OperationPlace(topic=TOPIC, partition=0, offset=0)
        operation = Operation(
            operation_id=uuid.UUID(int=1),
            kind="retried",
            operator="ops",
            reason="the type is known by now",
            decided_at=DECIDED_AT,
            places=(place,),
        )
        try:
            return journal.operate(OperationRecord("direct.operations", 0, DECIDED_AT, operation.encode()))
        finally:
            journal.close()

    def check(self) -> None:
        """The tables say what a run says in which nothing ever failed."""
        expected = reference(self.run.records(), TODAY, POLICY, CustomerProjection(BusinessCalendar(ZONE)))
        assert difference(expected, digest_of(self.url), recorded=True) == ""


def race(
    gate: Gate, first: Callable[[Gate], object], second: Callable[[Callable[[str], None]], object]
) -> tuple[Any, Any]:
    """What both give, the first of which is inside its transaction when the second begins."""
    with ThreadPoolExecutor(2) as threads:
        held: Future[object] = threads.submit(first, gate)
        until(lambda: gate.reached.is_set() or held.done(), "the first is inside its transaction")
        other = threads.submit(second, lambda step: None)
        return held.result(DEADLINE_S), other.result(DEADLINE_S)


@pytest.mark.parametrize("step", ["inserted", "written"])
def test_a_retry_while_the_record_is_repaired_by_an_edit_changes_nothing(database: str, step: str) -> None:
    deployment = Deployment(database)
    _, applied = race(Gate(database, step), deployment.project, deployment.retry)
    assert applied == OperationApplied("retried", 1, healed=1)
    deployment.check()


@pytest.mark.parametrize("step", ["inserted", "written"])
def test_an_edit_while_the_record_is_read_again_changes_nothing(database: str, step: str) -> None:
    deployment = Deployment(database)
    applied, _ = race(Gate(database, step), deployment.retry, deployment.project)
    assert applied == OperationApplied("retried", 1, healed=1)
    deployment.check()


@pytest.mark.parametrize("step", ["begun", "written"])
def test_of_two_workers_that_come_to_an_operation_at_once_one_applies_it(database: str, step: str) -> None:
    deployment = Deployment(database)
    applied, second = race(Gate(database, step), deployment.retry, deployment.retry)
    assert (applied, second) == (OperationApplied("retried", 1, healed=1), None)
    deployment.project(lambda step: None)
    deployment.check()
