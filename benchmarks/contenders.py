"""Who takes part: how each contender is started, and how the harness sees how far it is."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import orjson

from benchmarks.database import SCHEMA, connect, offsets, one
from benchmarks.processes import MeasuredProcess

SECRET = "benchmark-secret-of-no-value-0123456789"  # noqa: S105 - keys the ids of generated data only
_POLL_S = 0.01

# How many living workers share the partitions; 0 while a partition has none (rows may still name the owners of before).
_OWNERS = """
SELECT CASE WHEN bool_and(activity.pid IS NOT NULL) THEN count(DISTINCT activity.pid) ELSE 0 END
FROM projector_offset AS owned
LEFT JOIN pg_stat_activity AS activity ON (activity.pid, activity.backend_start) = (owned.pid, owned.backend_start)
WHERE owned.topic = %(topic)s
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to keep the tables up to date. `peer` names its module; None is the product's own worker."""

    key: str
    title: str
    peer: str | None = None
    workers: int = 1
    keeps_customers: bool = True
    limited: bool = False  # too slow for the whole topic: measured on its first part


CONTENDERS = (
    Contender("a1", "this worker"),
    Contender("a2", "this worker, two processes", workers=2),
    Contender("b", "Faust agent, a commit per event", peer="faust_each", limited=True),
    Contender("c", "Faust take + execute_values", peer="faust_take"),
    Contender("d", "confluent-kafka + execute_values", peer="confluent_batch"),
    Contender("e", "bare limit: consume, decode, COPY", peer="bare", keeps_customers=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """Where one run reads and writes."""

    bootstrap: str
    topic: str
    database: str
    start: dict[int, int]
    name: str
    batch: int
    limit: int = 0


def worker_environment(run: Run) -> dict[str, str]:
    """The settings of the product's worker and API for this run."""
    prefix = "CUSTOMER_TIMELINE_"
    return {
        f"{prefix}KAFKA_BOOTSTRAP": run.bootstrap,
        f"{prefix}DATABASE_URL": run.database,
        f"{prefix}DATABASE_SCHEMA": SCHEMA,
        f"{prefix}TOUCHPOINTS_TOPIC": run.topic,
        f"{prefix}TOPIC_PARTITIONS": str(len(run.start)),
        f"{prefix}WORKER_GROUP": run.name,
        f"{prefix}BATCH_EVENTS": str(run.batch),
        f"{prefix}IDENTITY_SECRET": SECRET,
        f"{prefix}LOG_LEVEL": "warning",
    }


def product_command(*words: str) -> list[str]:
    """The command line of the product, as installed beside this Python."""
    return [str(Path(sys.executable).with_name("customer-timeline")), *words]


def start(contender: Contender, run: Run) -> list[MeasuredProcess]:
    """Start the contender's processes."""
    if contender.peer is None:
        return [MeasuredProcess(product_command("worker"), worker_environment(run)) for _ in range(contender.workers)]
    words = {
        "bootstrap": run.bootstrap,
        "topic": run.topic,
        "database": run.database,
        "start": orjson.dumps({str(part): offset for part, offset in run.start.items()}).decode(),
        "group": run.name,
        "secret": SECRET,
        "batch": str(run.batch),
        "limit": str(run.limit),
    }
    arguments = [part for name, value in words.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", f"benchmarks.peers.{contender.peer}", *arguments]
    return [MeasuredProcess(command, {"PYTHONUNBUFFERED": "1"}, reports=True)]


class Sample(NamedTuple):
    """How far a contender was at an instant of the monotonic clock, which all processes of the machine share."""

    at: float
    offsets: dict[int, int]
    workers: int

    def applied(self, start: dict[int, int]) -> int:
        """Records applied since `start`."""
        return sum(offset - start.get(part, 0) for part, offset in self.offsets.items())


class Tracker(Protocol):
    """Follows a running contender."""

    def latest(self) -> Sample | None:
        """The newest sample; None before the first commit."""
        ...

    def close(self) -> None:
        """Stop following."""
        ...


@dataclass(slots=True)
class ReportTracker:
    """Follows a peer by what it says after its commits."""

    process: MeasuredProcess
    _latest: Sample | None = None
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        lines: Iterable[bytes] = self.process.process.stdout or ()
        for line in lines:
            if not line.startswith(b"{"):
                continue  # a banner of the framework
            report = orjson.loads(line)
            reached = {int(part): offset for part, offset in report["offsets"].items()}
            self._latest = Sample(report["at"], reached, 1)

    def latest(self) -> Sample | None:
        """The newest report."""
        return self._latest

    def close(self) -> None:
        """Wait for the end of the peer's output; call after the peer was stopped."""
        self._thread.join(5)


@dataclass(slots=True)
class OffsetTracker:
    """Follows the product's worker by its offsets in Postgres, read a hundred times a second."""

    database: str
    topic: str
    workers: int
    _latest: Sample | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        with closing(connect(self.database)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            workers = 0
            while not self._stop.wait(_POLL_S):
                if workers < self.workers:  # asked only until all have joined: it is the dearer question
                    cursor.execute(_OWNERS, {"topic": self.topic})
                    workers = one(cursor)
                reached = offsets(cursor, self.topic)
                self._latest = Sample(time.monotonic(), reached, workers)

    def latest(self) -> Sample | None:
        """The newest reading."""
        return self._latest

    def close(self) -> None:
        """Stop reading and close the connection."""
        self._stop.set()
        self._thread.join(5)


def follow(contender: Contender, run: Run, processes: list[MeasuredProcess]) -> Tracker:
    """The tracker that fits the contender."""
    if contender.peer is None:
        return OffsetTracker(run.database, run.topic, contender.workers)
    return ReportTracker(processes[0])
