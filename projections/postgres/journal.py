"""The journal on Postgres: a batch of the log becomes timeline, identity, customers and the new offset in one
transaction.

Postgres owns the offsets, so a crash at any point loses nothing and doubles nothing; the epoch of each partition
fences off a worker that was replaced. See ADR 0003.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

import orjson
import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.journal import (
    Applied,
    Assignment,
    Batch,
    FencedError,
    Observer,
    Record,
    Rejected,
)
from customer_timeline.projections.postgres.batch_outcome import Outcome
from customer_timeline.projections.postgres.customer_store import CustomerStore
from customer_timeline.projections.postgres.deferral import Deferral, UnfinishedCustomers
from customer_timeline.projections.postgres.errors import refusal_of, translated, translating
from customer_timeline.projections.postgres.identity_decision import Settlement
from customer_timeline.projections.postgres.identity_store import IdentityStore
from customer_timeline.projections.postgres.identity_work import IdentityMemory, holder_of
from customer_timeline.projections.postgres.partial_store import PartialStore
from customer_timeline.projections.postgres.refusals import other_version, topic_recreated
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.postgres.thing_store import ThingStore
from customer_timeline.projections.postgres.timeline_store import HALF, Arrival, Stored, TimelineStore, arrivals_of
from customer_timeline.projections.postgres.turns import Turns
from customer_timeline.projections.postgres.worker_name import WorkerName
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, to_micros
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason
from customer_timeline.schemas.identity_policy import IdentityPolicy

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

DEFAULT_RULES: Final = StageRules()

Connect = Callable[[], "Connection"]


def _unobserved(step: str) -> None:
    """No observer: steps pass unnoticed."""


class PostgresJournal:
    """Implements `projections.journal.Journal`. One instance a worker, used by one thread at a time.

    `version` is the projection version of this worker's code and settings; tables of another are refused. `observer` is
    told the name of each step as it ends (see `streams.steps`). `name`: the worker's, where it has one of its own.
    `belongs` is asked first in every transaction: it raises where the connection does not lead to the worker's tables
    (see `ViewSetPin`). `deferral`: holds facts back while the set is one that is filled.
    """

    def __init__(
        self,
        connect: Connect,
        codec: Codec,
        projection: CustomerProjection,
        policy: IdentityPolicy,
        rules: StageRules = DEFAULT_RULES,
        *,
        version: str,
        details: Mapping[str, object],
        observer: Observer = _unobserved,
        name: str | None = None,
        belongs: Callable[[Cursor], None] = lambda cursor: None,
        deferral: Deferral | None = None,
    ) -> None:
        self._connect = connect
        self._codec = codec
        self._projection = projection
        self._policy = policy
        self._rules = rules
        self._rules_said = False
        self._version = version
        self._details = details
        self._observer = observer
        self._belongs = belongs
        self._deferral = deferral
        self._sql = named_queries("projector.sql")
        self._name = WorkerName(name, self._sql)
        self._memory = IdentityMemory()
        self._epochs: dict[tuple[str, int], int] = {}
        self._session: Session | None = None
        self._seconds: dict[str, float] = {}
        self._last_step = 0.0
        self.turns = Turns()
        """`apply` goes first; `prepare` of the next batch lets it."""

    def assign(self, topic: str, topic_id: str | None, partitions: Sequence[int]) -> Mapping[int, Assignment]:
        """Take partitions over; see `Journal.assign`.

        Raises RefusedError where the tables are another version's, the topic is not the one the offsets belong to, or
        another process took this worker's name over.
        """
        self._memory.clear()
        parameters: dict[str, object] = {"topic": topic, "topic_id": topic_id, "parts": list(partitions)}
        with self._transaction() as session:
            cursor = session.cursor
            self._check_version(session)
            self._name.check(cursor)
            cursor.execute(self._sql["create_offsets"], parameters)
            cursor.execute(self._sql["previous_holders"], parameters)
            holders = cursor.fetchall()
        self._rules_said = True
        # A stopped process holds its row locks for ever, so end it before asking for the rows.
        with self._transaction() as session:
            for pid, started in {(pid, started) for _, pid, started in holders}:
                session.cursor.execute(self._sql["end_holder"], {"pid": pid, "backend_start": started})
        assignments = {}
        with self._transaction() as session:
            self._name.take(session.cursor)
            for part in sorted(partitions):
                session.cursor.execute(self._sql["take_over"], {"topic": topic, "part": part})
                next_offset, epoch, known_id = session.cursor.fetchone() or (0, 0, None)
                if topic_id is not None and known_id is not None and known_id != topic_id:
                    raise topic_recreated(topic, topic_id, known_id)
                assignments[part] = Assignment(part, next_offset, epoch)
        self._epochs = {key: epoch for key, epoch in self._epochs.items() if key[0] != topic}
        self._epochs.update({(topic, part): one.epoch for part, one in assignments.items()})
        if self._deferral is not None:
            self._deferral.assigned(topic, assignments.values())
        return assignments

    def release(self, topic: str) -> None:
        """Say that the partitions are given up in peace: whoever takes over need not end this worker's connection."""
        held = {part: epoch for (name, part), epoch in self._epochs.items() if name == topic}
        self._epochs = {key: epoch for key, epoch in self._epochs.items() if key[0] != topic}
        if not held:
            return
        self._flush()
        with self._transaction() as session:
            session.cursor.execute(
                self._sql["release"], {"topic": topic, "parts": list(held), "epochs": list(held.values())}
            )

    def group_suffix(self) -> str:
        """What the consumer group of these tables' workers ends with: another set's workers are another group."""
        with self._transaction() as session:
            session.cursor.execute(self._sql["consumer_suffix"])
            (suffix,) = session.cursor.fetchone() or ("",)
        return str(suffix)

    def pass_time(self, topic: str, passed: Mapping[int, datetime]) -> None:
        """Note for partitions that all they had recorded until an instant is applied: they were empty then."""
        with self._transaction() as session:
            self._pass_time(session, topic, passed)

    def prepare(self, batch: Batch) -> tuple[dict[str, Arrival], int]:
        """The part of `apply` that needs no database; may run in another thread while the batch before is applied."""
        return arrivals_of(batch.placed, self._codec.canonical_hash, self.turns.let_first)

    def apply(self, batch: Batch, prepared: tuple[dict[str, Arrival], int] | None = None) -> Applied:
        """Write the batch and its offsets, all or nothing; see `Journal.apply`.

        Raises TransientStorageError, FencedError or RefusedError; a record that Postgres refuses becomes a dead letter.
        """
        arrivals, duplicates = prepared if prepared is not None else self.prepare(batch)
        with self.turns.computing():
            return self._apply(batch, arrivals, duplicates)

    def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            self._session.close()
            self._session = None

    # -- one batch ----------------------------------------------------------------------------------------------------

    def _apply(self, batch: Batch, arrivals: dict[str, Arrival], duplicates: int) -> Applied:
        self._seconds = {}
        self._last_step = time.perf_counter()
        dead = Counter(str(rejected.error.reason) for rejected in batch.rejected)
        if self._deferral is not None:
            self._deferral.begin()
        with self._transaction() as session:
            self._step("begun")
            outcome = Outcome(duplicates=duplicates)
            if arrivals:
                self._store(session, arrivals, batch, outcome)
            for rejected in batch.rejected:
                self._bury(session, batch.topic, rejected)
            for event_id, error in outcome.unstorable:
                dead[str(RejectionReason.UNSTORABLE)] += self._bury_event(session, batch, event_id, error)
            self._announce(session, outcome, batch)
            self._step("written")
            self._advance(session, batch)
            self._step("fenced")
        self._step("committed")
        if self._deferral is not None:
            self._deferral.passed(batch.topic, batch.spans)
            if self._deferral.full:
                self._flush()
        self._memory.trim()
        return Applied(
            outcome.new, outcome.duplicates, outcome.replaced, dict(dead), outcome.customers, dict(self._seconds)
        )

    def _store(self, session: Session, arrivals: dict[str, Arrival], batch: Batch, outcome: Outcome) -> None:
        """Store events; where Postgres refuses some record's content, halve until it is found."""
        session.cursor.execute(f"SAVEPOINT {HALF}")
        try:
            stored, settlement, customers = self._write(session, arrivals, batch.appended_at)
        except (psycopg2.Error, ValueError) as error:
            refusal = refusal_of(error)
            session.cursor.execute(f"ROLLBACK TO SAVEPOINT {HALF}")
            self._memory.clear()
            if len(arrivals) == 1:
                outcome.unstorable.append((next(iter(arrivals)), str(refusal)))
                return
            keys = list(arrivals)
            for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
                session.timeline.clear()
                session.customers.clear()
                self._store(session, {key: arrivals[key] for key in half}, batch, outcome)
            return
        session.cursor.execute(f"RELEASE SAVEPOINT {HALF}")
        outcome.add(stored, settlement, customers)
        if self._deferral is not None:
            self._deferral.stored(stored)

    def _flush(self) -> None:
        """Write what is held back."""
        if self._deferral is not None:
            with self._transaction() as session:
                self._deferral.flush(session.cursor)

    def _write(
        self, session: Session, arrivals: Mapping[str, Arrival], appended_at: datetime
    ) -> tuple[Stored, Settlement, int]:
        stored = session.timeline.store(arrivals)
        self._step("inserted")
        ownership = session.things.settle(stored)
        settlement = session.identity.settle(stored, ownership)
        self._step("identified")
        now_us = to_micros(appended_at)
        if self._deferral is not None:
            return stored, settlement, session.customers.write(settlement, {}, now_us)
        by_customer: dict[str, list[DecodedEvent]] = {}
        nobodys: list[DecodedEvent] = []
        for event in stored.new:
            holder = holder_of(event, ownership.owners)
            if holder is not None:
                by_customer.setdefault(settlement.home[holder], []).append(event)
            else:
                nobodys.append(event)
        session.partials.open(stored.replaced, settlement, by_customer, nobodys, now_us)
        return stored, settlement, session.customers.write(settlement, by_customer, now_us)

    def _bury(self, session: Session, topic: str, rejected: Rejected) -> None:
        record, error = rejected
        value = record.value or b""
        session.cursor.execute(
            self._sql["insert_dead_letter"],
            {
                "topic": topic,
                "part": record.partition,
                "position": record.position,
                "recorded_at": record.appended_at,
                "reason": str(error.reason),
                "error": str(error).replace("\x00", "\\u0000"),
                "type": error.type.replace("\x00", "") if error.type else None,
                "sha256": hashlib.sha256(value).digest(),
                "key": record.key,
                "value": record.value,
                "headers": orjson.dumps([[name, content.hex()] for name, content in record.headers]).decode(),
            },
        )

    def _bury_event(self, session: Session, batch: Batch, event_id: str, error: str) -> int:
        """Every record of an event that Postgres refuses; returns how many."""
        refused = [placed for placed in batch.placed if placed.event.event_id == event_id]
        for placed in refused:
            refusal = InvalidEvent(RejectionReason.UNSTORABLE, error, type=placed.event.type)
            self._bury(session, batch.topic, Rejected(Record.of(placed.raw), refusal))
        return len(refused)

    def _announce(self, session: Session, outcome: Outcome, batch: Batch) -> None:
        """Outbox rows: customers that are now under another id. New touchpoints are not announced: the topic of changes
        is for what is rare and worth acting on, and the timeline tells the rest.
        """
        if not outcome.changes:
            return
        for change in outcome.changes:
            payload = orjson.dumps({"customer_id": change.customer_id, "former_ids": change.former}).decode()
            session.cursor.execute(
                self._sql["insert_outbox"],
                {"kind": "customer.identity_changed", "payload": payload, "created_at": batch.appended_at},
            )

    def _pass_time(self, session: Session, topic: str, passed: Mapping[int, datetime]) -> None:
        epochs = [self._epochs.get((topic, part), -1) for part in passed]
        session.cursor.execute(
            self._sql["pass_time"],
            {"topic": topic, "parts": list(passed), "epochs": epochs, "passed": list(passed.values())},
        )

    def _advance(self, session: Session, batch: Batch) -> None:
        """The fence: the offsets move only while this worker holds the epoch and nobody else has moved them."""
        parts = sorted(batch.spans)
        session.cursor.execute(
            self._sql["advance"],
            {
                "topic": batch.topic,
                "parts": parts,
                "expected": [batch.spans[part].expected for part in parts],
                "until": [batch.spans[part].until for part in parts],
                "epochs": [self._epochs.get((batch.topic, part), -1) for part in parts],
                "passed": [batch.spans[part].appended_at for part in parts],
                "version": self._version,
            },
        )
        moved = {row[0] for row in session.cursor.fetchall()}
        if batch.idle:
            self._pass_time(session, batch.topic, batch.idle)
        if len(moved) < len(parts):
            self._name.check(session.cursor)
            missing = ", ".join(str(part) for part in parts if part not in moved)
            raise FencedError(
                f"Another worker has taken over partition {missing} of {batch.topic}; nothing was written."
            )

    # -- session ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """A transaction on the worker's connection. Any failure rolls back, forgets what was learnt, and is
        translated.
        """
        session: Session | None = None
        try:
            if self._session is None:
                self._session = Session(self._connect(), self)
                self._reattach(self._session)
            session = self._session
            self._belongs(session.cursor)
            yield session
            with self.turns.waiting():
                session.connection.commit()
        except psycopg2.Error as error:
            self._abandon()
            raise translated(error) from error
        except BaseException:
            self._abandon()
            raise

    def _reattach(self, session: Session) -> None:
        self._belongs(session.cursor)
        for topic in {topic for topic, _ in self._epochs}:
            held = {part: epoch for (name, part), epoch in self._epochs.items() if name == topic}
            session.cursor.execute(
                self._sql["reattach"], {"topic": topic, "parts": list(held), "epochs": list(held.values())}
            )
        session.connection.commit()

    def _abandon(self) -> None:
        # A broken or half-done connection is never used again: a new one costs milliseconds, a doubt costs data.
        self._memory.clear()
        self.close()

    def _check_version(self, session: Session) -> None:
        cursor = session.cursor
        cursor.execute("SELECT transaction_timestamp()")
        (now,) = cursor.fetchone() or (None,)
        cursor.execute(
            self._sql["write_version"],
            {
                "version": self._version,
                "details": orjson.dumps(dict(self._details)).decode(),
                "created_at": now,
                "rules": self._rules.version,
            },
        )
        cursor.execute(self._sql["read_version"])
        version, details = cursor.fetchone() or ("", "{}")
        if version != self._version:
            raise other_version(version, details, self._version, orjson.dumps(dict(self._details)).decode())
        if not self._rules_said:
            # Once a process: while a change rolls over the workers, the old ones must not take it back.
            cursor.execute(self._sql["write_rules"], {"rules": self._rules.version})

    def _step(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._last_step
        self._last_step = now
        self._observer(name)


class Session:
    """One connection and the stores that live on it."""

    def __init__(self, connection: Connection, journal: PostgresJournal) -> None:
        self.connection = connection
        connection.autocommit = False
        # Each statement sees what was committed before it, whatever the server's default: identity and the insert of
        # events rest on that.
        connection.isolation_level = ISOLATION_LEVEL_READ_COMMITTED
        self.cursor = connection.cursor(cursor_factory=journal.turns.cursor_class())
        # A worker that hangs inside a transaction must not hold its locks for ever.
        self.cursor.execute("SET idle_in_transaction_session_timeout = '10s'")
        self.cursor.execute("SET jit = off")
        # A batch of 5,000 events is sorted once and stands in a temporary table; neither should go to disk.
        self.cursor.execute("SET work_mem = '64MB'")
        self.cursor.execute("SET temp_buffers = '64MB'")
        sql, observe = journal._sql, journal._step
        self.timeline = TimelineStore(self.cursor, sql, journal._codec)
        self.things = ThingStore(self.cursor, sql, self.timeline)
        self.identity = IdentityStore(self.cursor, sql, journal._policy, self.timeline, journal._memory, observe)
        self.partials = PartialStore(self.cursor, sql, journal._projection, self.timeline)
        self.customers: CustomerStore | UnfinishedCustomers
        if journal._deferral is not None and not journal._deferral.concerns(self.cursor):
            journal._deferral = None
        if journal._deferral is not None:
            self.customers = UnfinishedCustomers(self.cursor, sql, journal._deferral)
        else:
            self.customers = CustomerStore(
                self.cursor, sql, journal._projection, journal._rules, self.partials, observe
            )
        connection.commit()

    def close(self) -> None:
        with translating():
            self.connection.close()
