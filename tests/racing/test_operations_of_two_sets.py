"""A served set and a rebuild that apply one operation at the same instant: neither waits for the other, both end alike.

Without Kafka: a journal for each set on one database, stopped at named steps.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg2
import pytest
from digest import difference, digest_of
from direct_journal import TOPIC, DirectRun
from generators import Sent, Shape, seeded_log
from pipeline import POLICY, SECRET, ZONE
from rebuilt_sets import made
from reference.log_model import Record, reference
from worker_farm import DEADLINE_S, until

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.journal import Observer, TransientStorageError
from customer_timeline.projections.operations import OperationApplied, OperationRecord
from customer_timeline.projections.postgres.operations import OperationsJournal
from customer_timeline.runtime import wiring
from customer_timeline.runtime.rebuild.sets import Role, schema_of, settings_of
from customer_timeline.runtime.rebuild.switching import switch
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.operations import Operation, OperationKind, OperationPlace
from customer_timeline.streams.decoding import decode_batch

TODAY = Codec(POLICY, SECRET.encode())
BEFORE = Codec(
    POLICY, SECRET.encode(), catalogue={name: data for name, data in CATALOGUE.items() if "purchase" not in name}
)
OPERATIONS = "direct.operations"
DECIDED_AT = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = ("begun", "inserted", "identified", "written")
KINDS: tuple[OperationKind, ...] = ("retried", "discarded", "removed")
# The steps of a decision are those of its transaction alone.
MOMENTS = [(kind, step) for kind in KINDS for step in (STEPS if kind == "retried" else ("begun", "written"))]


class Pause:
    """An observer that stays at a step until it is let go."""

    def __init__(self, step: str) -> None:
        self._step = step
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self, step: str) -> None:
        if step == self._step and not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(2 * DEADLINE_S)


class TwoSets:
    """A live set and a rebuild in which the same log failed in part; its purchases only today's code knows."""

    def __init__(self, url: str) -> None:
        self.settings = Settings(
            database_url=url, touchpoints_topic=TOPIC, identity_secret=SECRET, business_time_zone=ZONE
        )
        self.url = url
        log: list[tuple[int, Sent]] = [(0, sent) for sent in seeded_log(21, Shape(events=80, people=6))]
        self._run = DirectRun(url, log, ())
        self._run._empty()
        made(self.settings, force=True)
        self._queue = self._run._queues()[0]
        for role in ("live", "rebuild"):
            self._fail(role)
        self.journals: dict[str, OperationsJournal] = {}
        self.places = self._places()

    def journal(self, role: Role, observer: Observer = lambda step: None) -> OperationsJournal:
        """Of a worker that keeps to the set that has the role now."""
        journal = wiring.operations_journal(settings_of(self.settings, role), TODAY, observer=observer)
        journal.next_offset(OPERATIONS)
        return journal

    def operation(self, kind: OperationKind, position: int = 0) -> OperationRecord:
        """What an operator decided of every dead letter."""
        value = Operation(
            operation_id=uuid.UUID(int=position + 1),
            kind=kind,
            operator="ops",
            reason="the type is known by now",
            decided_at=DECIDED_AT,
            places=tuple(OperationPlace(topic=TOPIC, partition=0, offset=at) for at in self.places),
        )
        return OperationRecord(OPERATIONS, position, DECIDED_AT, value.encode())

    def check(self, kind: OperationKind, *roles: Role) -> None:
        """Each set says what a run says in which every record came once and was read as it is read by now."""
        schemas = [schema_of(self.settings, role) for role in roles]
        for schema in schemas:
            if kind == "retried":
                assert difference(self._expected(), digest_of(self.url, schema), recorded=True) == ""
        said = [self._said(schema) for schema in schemas]
        assert said[0] == said[1]
        assert said[0]["operation"]

    def _said(self, schema: str) -> Mapping[str, object]:
        """What a set says, and all that it keeps of operations, but for when it was written."""
        connection = psycopg2.connect(self.url, options=f"-c search_path={schema}")
        with contextlib.closing(connection), connection.cursor() as cursor:
            kept = {}
            for table in ("operation", "operation_offset", "dead_letter", "dead_letter_decision"):
                cursor.execute(f"SELECT to_jsonb(t) FROM {table} AS t")
                kept[table] = sorted(str(row) for (row,) in cursor.fetchall())
        return {**kept, "digest": digest_of(self.url, schema)}

    def _expected(self) -> dict[str, dict[object, object]]:
        records = [Record(r.value, _instant(r.timestamp), r.partition, r.offset) for r in self._queue]
        return reference(records, TODAY, POLICY, CustomerProjection(BusinessCalendar(ZONE)))

    def _fail(self, role: Role) -> None:
        journal = wiring.journal(settings_of(self.settings, role), BEFORE, lambda step: None)
        journal.assign(TOPIC, None, [0])
        journal.apply(decode_batch(TOPIC, {0: self._queue}, {0: 0}, BEFORE))
        journal.close()

    def _places(self) -> list[int]:
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT position FROM customer_timeline.dead_letter ORDER BY 1")
            found = [position for (position,) in cursor.fetchall()]
        assert len(found) > 10
        return found


def _instant(timestamp: int) -> datetime:
    return datetime.fromtimestamp(timestamp / 1000, UTC)


def applied(journal: OperationsJournal, record: OperationRecord) -> OperationApplied | None:
    """As the service does it: what passes is tried again, on a new connection."""
    found: list[OperationApplied | None] = []

    def tried() -> bool:
        try:
            found.append(journal.operate(record))
        except TransientStorageError:
            journal.close()
            return False
        return True

    until(tried, "the operation is applied")
    return found[0]


@pytest.fixture
def sets(database: str) -> TwoSets:
    return TwoSets(database)


@contextlib.contextmanager
def of_two_workers(
    sets: TwoSets, first: Role, step: str
) -> Iterator[tuple[Pause, OperationsJournal, OperationsJournal]]:
    """The journal of the `first` set, which pauses at the step, and that of the other set, which does not."""
    pause = Pause(step)
    second: Role = "rebuild" if first == "live" else "live"
    slow, quick = sets.journal(first, pause), sets.journal(second)
    with contextlib.closing(slow), contextlib.closing(quick):
        yield pause, slow, quick


@contextlib.contextmanager
def held(journal: OperationsJournal, pause: Pause, record: OperationRecord) -> Iterator[Callable[[], object]]:
    """The journal stays at the step of its pause for the body; what it gives afterwards."""
    with ThreadPoolExecutor(1) as thread:
        doing = thread.submit(journal.operate, record)
        until(lambda: pause.reached.is_set() or doing.done(), "it is at the step")
        assert not doing.done(), "it never came to the step"
        try:
            yield lambda: doing.result(DEADLINE_S)
        finally:
            pause.go.set()


@pytest.mark.parametrize(("kind", "step"), MOMENTS)
@pytest.mark.parametrize("first", ["live", "rebuild"])
def test_a_set_does_not_wait_for_the_other_in_the_middle_of_the_same_operation(
    sets: TwoSets, first: Role, kind: OperationKind, step: str
) -> None:
    record = sets.operation(kind)
    with of_two_workers(sets, first, step) as (pause, slow, quick):
        with held(slow, pause, record) as ended:
            told = quick.operate(record)  # not tried again: it must not even be refused
            assert quick.operate(record) is None
        assert ended() == told is not None
        sets.check(kind, "live", "rebuild")


@pytest.mark.parametrize(("kind", "step"), MOMENTS)
def test_both_sets_at_the_same_step_at_once_end_alike(sets: TwoSets, kind: OperationKind, step: str) -> None:
    meeting, record = threading.Barrier(2, timeout=DEADLINE_S), sets.operation(kind)

    def meet(now: str) -> None:
        if now == step:
            meeting.wait()

    journals = [sets.journal("live", meet), sets.journal("rebuild", meet)]
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda journal: journal.operate(record), journals)
    assert first == second is not None
    sets.check(kind, "live", "rebuild")
    for journal in journals:
        journal.close()


@pytest.mark.parametrize(("kind", "step"), MOMENTS)
@pytest.mark.parametrize("first", ["live", "rebuild"])
def test_a_switch_in_the_middle_of_an_operation_leaves_each_worker_with_its_set(
    sets: TwoSets, first: Role, kind: OperationKind, step: str
) -> None:
    record = sets.operation(kind)
    with of_two_workers(sets, first, step) as (pause, slow, quick):
        with ThreadPoolExecutor(1) as thread, held(slow, pause, record) as ended:
            switching = thread.submit(switch, sets.settings, max_lag=0, force=True, timeout_s=DEADLINE_S)
            until(lambda: _waits(sets.url), "the switch waits for the operation")
            pause.go.set()
            told = ended()
            switching.result(2 * DEADLINE_S)
        # What was the rebuild is live by now, and the worker of each set finds it under its new name.
        assert applied(quick, record) == told is not None
        assert applied(slow, record) is None
        sets.check(kind, "live", "old")


def _waits(url: str) -> bool:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND cardinality(pg_blocking_pids(pid)) > 0)"
        )
        (waits,) = cursor.fetchone() or (False,)
    return bool(waits)
