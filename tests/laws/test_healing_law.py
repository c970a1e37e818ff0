"""The law of healing: events that fail and are retried at any later time leave what a run leaves in which they never
failed, whatever came meanwhile.

Without Kafka: journals of an older and of today's code take turns with retries on one database.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg2
import pytest
from digest import difference, digest_of
from direct_journal import TOPIC, DirectRun
from generators import Shape, seeded_log, shuffled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_shapes import CROWDED, SPELLED, TINY, WIDE
from pipeline import POLICY, SCHEMA, SECRET, ZONE
from reference.log_model import reference

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.operations import OperationApplied, OperationRecord
from customer_timeline.projections.postgres.operations import OperationsJournal
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.operations import Operation, OperationKind, OperationPlace
from customer_timeline.streams.decoding import decode_batch

OPERATIONS = "direct.operations"
DECIDED_AT = datetime(2026, 1, 1, tzinfo=UTC)
TODAY = Codec(POLICY, SECRET.encode())


def older(seed: int) -> Codec:
    """A codec that does not know some types yet."""
    random = Random(seed)
    known = {name: data for name, data in CATALOGUE.items() if random.random() < 0.6}
    return Codec(POLICY, SECRET.encode(), catalogue=known)


@dataclass
class Operator:
    """Appends operations and applies them at once."""

    url: str
    position: int = 0

    def __post_init__(self) -> None:
        settings = Settings(
            database_url=self.url, touchpoints_topic=TOPIC, identity_secret=SECRET, business_time_zone=ZONE
        )
        self.journal: OperationsJournal = wiring.operations_journal(settings, TODAY)

    def decide(self, kind: OperationKind, places: list[OperationPlace]) -> OperationApplied | None:
        operation = Operation(
            operation_id=uuid.UUID(int=self.position),
            kind=kind,
            operator="ops",
            reason="the type is known by now",
            decided_at=DECIDED_AT,
            places=tuple(places),
        )
        return self.apply(operation.encode())

    def apply(self, value: bytes | None) -> OperationApplied | None:
        at = DECIDED_AT + timedelta(seconds=self.position)
        applied = self.journal.operate(OperationRecord(OPERATIONS, self.position, at, value))
        self.position += 1
        return applied

    def places(self, state: str = "healed_at IS NULL") -> list[OperationPlace]:
        connection = psycopg2.connect(self.url, options=f"-c search_path={SCHEMA}")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(f"SELECT topic, part, position FROM dead_letter WHERE {state} ORDER BY 1, 2, 3")
                return [OperationPlace(topic=t, partition=p, offset=o) for t, p, o in cursor.fetchall()]
        finally:
            connection.close()


@dataclass
class HealingRun(DirectRun):
    """Some batches are read by older code; retries of some dead letters come between, and at last one of all."""

    seed: int = 0

    def apply(self) -> None:
        self._empty()
        random = Random(self.seed)
        queues = self._queues()
        journals = [self._journal(part) for part in range(len(queues))]
        operator = Operator(self.url)
        old = older(self.seed)
        at = [0] * len(queues)
        try:
            while any(at[part] < len(queues[part]) for part in range(len(queues))):
                part = random.randrange(len(queues))
                found = queues[part][at[part] : at[part] + random.choice((1, 3, 20, 100))]
                if found:
                    codec = old if random.random() < 0.7 else self.codec
                    journals[part].apply(decode_batch(TOPIC, {part: found}, {part: at[part]}, codec))
                    at[part] += len(found)
                if random.random() < 0.3 and (dead := operator.places()):
                    operator.decide("retried", random.sample(dead, random.randint(1, len(dead))))
            for start in range(0, len(dead := operator.places()), 1000):
                operator.decide("retried", dead[start : start + 1000])
        finally:
            operator.journal.close()
            for journal in journals:
                journal.close()


def healing(url: str, seed: int, shape: Shape) -> HealingRun:
    """A way of the log through workers of two versions."""
    random = Random(seed)
    workers = random.randint(1, 3)
    placed = [(random.randrange(workers), sent) for sent in shuffled(seeded_log(seed, shape), seed, twice_percent=10)]
    return HealingRun(url, placed, (), seed=seed)


@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE, SPELLED], ids=["tiny", "crowded", "wide", "spelled"])
@pytest.mark.parametrize("seed", range(6))
def test_events_that_fail_and_heal_end_as_if_they_had_never_failed(database: str, shape: Shape, seed: int) -> None:
    run = healing(database, seed, shape)
    run.apply()
    expected = reference(run.records(), TODAY, POLICY, CustomerProjection(BusinessCalendar(ZONE)))
    assert difference(expected, digest_of(database), recorded=True) == ""
    healed = Operator(database).places("healed_at IS NOT NULL")
    assert shape is TINY or healed, "no record failed at first: the run shows nothing"


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), shape=st.sampled_from([TINY, CROWDED, SPELLED]))
def test_healing_is_independent_of_when_and_in_which_order_records_are_retried(
    database: str, seed: int, shape: Shape
) -> None:
    run = healing(database, seed, shape)  # which empties the tables first
    run.apply()
    expected = reference(run.records(), TODAY, POLICY, CustomerProjection(BusinessCalendar(ZONE)))
    assert difference(expected, digest_of(database), recorded=True) == ""


def test_the_digests_of_the_product_do_not_tell_either(database: str) -> None:
    healed = healing(database, 3, CROWDED)
    healed.apply()
    after_healing = healed.digests()
    parts = 1 + max(part for part, _ in healed.log)
    plain = DirectRun(database, healed.log, ((n % parts, 50) for n in range(10_000)))
    plain.apply()
    assert plain.digests() == after_healing


def test_an_operation_is_applied_once_whoever_comes_first(database: str) -> None:
    healing(database, 3, CROWDED).apply()
    first, second = Operator(database, position=10_000), Operator(database, position=10_000)
    (place, *_) = first.places("true")
    assert first.decide("discarded", [place]) == OperationApplied("discarded", 1)
    assert second.decide("discarded", [place]) is None
    for operator in (first, second):
        operator.journal.close()


def test_a_record_that_is_no_operation_leaves_a_row_that_says_so(database: str) -> None:
    healing(database, 3, TINY).apply()
    operator = Operator(database, position=10_000)
    applied = operator.apply(b'{"kind": "burnt"}')
    operator.journal.close()
    assert applied is not None
    assert applied.refused is not None
    connection = psycopg2.connect(database, options=f"-c search_path={SCHEMA}")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT kind, refused FROM operation WHERE position = 10000")
        assert cursor.fetchall() == [("unknown", applied.refused)]
    connection.close()
