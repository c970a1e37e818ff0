"""Two journals on one database, each on a thread of its own, stopped at named steps: interleavings without chance.

A hand applies events as one transaction. Held at a step, it keeps its locks until it is let go; the test waits until
the other hand is seen waiting for a lock in Postgres, never for seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg2
from digest import difference, digest_of
from reference.log_model import Record as LoggedRecord
from reference.log_model import reference

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.journal import Applied
from customer_timeline.projections.postgres.journal import PostgresJournal
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.streams.decoding import decode_batch

POLICY = IdentityPolicy()
SECRET = b"a secret of the tests"
TOPIC = "touchpoints"
SCHEMA = "customer_timeline"
DEADLINE_S = 8
_STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def event(name: str, day: float, who: str = "", *, kind: str = "page.viewed", revision: int = 0, **data: Any) -> bytes:
    """An event `name` on day `day` of 2025 that names `who`: `email:ann phone:+15550100`."""
    content: dict[str, Any] = {"channel": "web", **data}
    content["identifiers"] = [dict(zip(("kind", "value"), one.split(":", 1), strict=True)) for one in who.split()]
    if kind == "page.viewed":
        content["url"] = "https://shop.example/"
    if kind == "event.retracted":
        content = {"reason": "a mistake", "operator": "op"}
    if kind in ("identity.linked", "identity.unlinked"):
        content = data
    moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day)
    envelope = {"specversion": "1.0", "id": name, "source": "test", "type": f"{kind}.v1", "time": moment.isoformat()}
    return orjson.dumps({**envelope, "data": content, **({"revision": revision} if revision else {})})


class FetchedByHand:
    """A record as a consumer would hand it over."""

    def __init__(self, partition: int, offset: int, timestamp: int, value: bytes) -> None:
        self.partition, self.offset, self.timestamp, self.value = partition, offset, timestamp, value
        self.key: bytes | None = None
        self.headers: Sequence[tuple[str, bytes]] = ()


class Log:
    """What was appended so far, whichever hand applies it; the log takes in one record a second."""

    def __init__(self) -> None:
        self.records: list[LoggedRecord] = []
        self._ends: dict[int, int] = {}

    def append(self, partition: int, values: Sequence[bytes]) -> tuple[list[FetchedByHand], int]:
        """Append to one partition; returns the records and the offset of the first."""
        start = self._ends.get(partition, 0)
        fetched = []
        for value in values:
            moment = _STARTED + timedelta(seconds=len(self.records))
            offset = self._ends.get(partition, 0)
            self._ends[partition] = offset + 1
            self.records.append(LoggedRecord(value, moment, partition, offset))
            fetched.append(FetchedByHand(partition, offset, int(moment.timestamp() * 1000), value))
        return fetched, start


class Hand:
    """A worker's journal for one partition."""

    def __init__(
        self,
        url: str,
        log: Log,
        partition: int,
        policy: IdentityPolicy = POLICY,
        time_zone: str = "UTC",
        *,
        name: str | None = None,
    ) -> None:
        self._url = url
        self._log = log
        self.partition = partition
        self._codec = Codec(policy, SECRET)
        self._thread = ThreadPoolExecutor(1)
        self._stop_at: str | None = None
        self._arrived = threading.Event()
        self._go = threading.Event()
        self.steps: list[str] = []  # all that ended, in order
        self.pid = 0
        self.journal = PostgresJournal(
            self._connect,
            self._codec,
            CustomerProjection(BusinessCalendar(time_zone)),
            policy,
            version="test-1",
            details={},
            observer=self._observe,
            name=name,
        )
        self.take_over()

    def take_over(self) -> None:
        """Become the writer of the partition."""
        self._thread.submit(self.journal.assign, TOPIC, None, [self.partition]).result()

    def apply(self, *values: bytes) -> Applied:
        """Append and apply in one transaction."""
        return self.start(*values).result(DEADLINE_S)

    def start(self, *values: bytes) -> Future[Applied]:
        """Append now, apply on the hand's own thread."""
        fetched, start = self._log.append(self.partition, values)
        return self.submit(fetched, {self.partition: start})

    def submit(self, fetched: Sequence[Any], starts: Mapping[int, int]) -> Future[Applied]:
        """Apply records that go on at `starts`."""
        batch = decode_batch(TOPIC, {self.partition: fetched}, starts, self._codec)
        return self._thread.submit(self.journal.apply, batch)

    @contextmanager
    def held(self, step: str, *values: bytes) -> Iterator[Future[Applied]]:
        """Apply up to the end of `step`, stay there for the body, then go on to the end."""
        self._arrived.clear()
        self._go.clear()
        self._stop_at = step
        doing = self.start(*values)
        assert self._arrived.wait(DEADLINE_S), f"never came to {step}"
        try:
            yield doing
        finally:
            self._stop_at = None
            self._go.set()
        doing.result(DEADLINE_S)

    def wait_until_blocked(self) -> None:
        """Return once Postgres shows this hand waiting for a lock."""
        self._until("wait_event_type = 'Lock'")

    def _until(self, condition: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        connection = psycopg2.connect(self._url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                while time.monotonic() < deadline:
                    cursor.execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = %s AND {condition}", (self.pid,))
                    if cursor.fetchone():
                        return
        finally:
            connection.close()
        raise AssertionError(f"hand {self.partition} never came to: {condition}")

    def close(self) -> None:
        """Let go of everything."""
        self._go.set()
        self._thread.submit(self.journal.close).result(DEADLINE_S)
        self._thread.shutdown()

    def _connect(self) -> Any:
        connection = psycopg2.connect(self._url, options=f"-c search_path={SCHEMA} -c timezone=UTC")
        self.pid = connection.info.backend_pid
        return connection

    def _observe(self, step: str) -> None:
        self.steps.append(step)
        if step == self._stop_at:
            self._arrived.set()
            assert self._go.wait(2 * DEADLINE_S)


class Table:
    """A database, a log, and the hands at it."""

    def __init__(self, url: str, policy: IdentityPolicy = POLICY, time_zone: str = "UTC") -> None:
        self.url = url
        self.log = Log()
        self.policy = policy
        self.codec = Codec(policy, SECRET)
        self.projection = CustomerProjection(BusinessCalendar(time_zone))
        self.left = Hand(url, self.log, 0, policy, time_zone)
        self.right = Hand(url, self.log, 1, policy, time_zone)

    def check(self) -> None:
        """The tables say what the log says, read one record after the other."""
        expected = reference(self.log.records, self.codec, self.policy, self.projection)
        found = difference(expected, digest_of(self.url), recorded=True)
        assert not found, found

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read the database."""
        connection = psycopg2.connect(self.url, options=f"-c search_path={SCHEMA} -c timezone=UTC")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def execute(self, statement: str, *parameters: Any) -> None:
        """Change the database behind everybody's back."""
        self.query(statement, *parameters)

    def customers(self) -> int:
        """How many customers there are."""
        return int(self.query("SELECT count(*) FROM customer")[0][0])

    def close(self) -> None:
        """Send the hands away."""
        self.left.close()
        self.right.close()
