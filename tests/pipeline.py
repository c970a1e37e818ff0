"""A deployment of one test: its topic, its database, its workers, and whether the tables say what they must."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import live_log
import psycopg2
import pytest
from digest import difference, digest_of
from generators import Sent
from reference.log_model import Digest, reference
from worker_farm import Farm, Trap, Worker

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.digest import CustomerDigest, TableDigest
from customer_timeline.projections.postgres.digests import digest_snapshot
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy

SECRET = "a secret of the tests"  # noqa: S105 - keys nothing but test data
POLICY = IdentityPolicy()
ZONE = "Europe/Berlin"
SCHEMA = "customer_timeline"
_COMPLAINTS = ("warning", "error", "critical")


@dataclass
class Pipeline:
    """One topic and one database, and workers between them."""

    farm: Farm
    bootstrap: str
    url: str
    topic: str
    workers: list[Worker] = field(default_factory=list)
    group: str = "workers"

    def settings(self, batch_events: int, name: str) -> dict[str, str]:
        """Settings of one worker, by their names."""
        return {
            "kafka_bootstrap": self.bootstrap,
            "database_url": self.url,
            "touchpoints_topic": self.topic,
            "changes_topic": f"{self.topic}.changes",
            "operations_topic": f"{self.topic}.operations",
            "worker_group": f"{self.group}-{self.topic}",
            "worker_instance_id": name,
            "identity_secret": SECRET,
            "business_time_zone": ZONE,
            "batch_events": str(batch_events),
            "log_level": "info",
        }

    def append(self, log: list[Sent], partition_of: Callable[[Sent], int]) -> int:
        """Append in order; returns how many."""
        return live_log.append(self.bootstrap, self.topic, log, partition_of)

    def start(self, batch_events: int = 500, name: str = "w0", trap: Trap | None = None) -> Worker:
        """Start a worker under the name; one that is killed and started again under it carries on at once."""
        worker = self.farm.start(self.settings(batch_events, name), trap)
        self.workers.append(worker)
        return worker

    def expected(self) -> Digest:
        """What the tables must say about the log as it is now."""
        records = live_log.read_back(self.bootstrap, self.topic)
        projection = CustomerProjection(BusinessCalendar(ZONE))
        return reference(records, Codec(POLICY, SECRET.encode()), POLICY, projection)

    def make_topic(self) -> None:
        """The topic, on a Kafka of the test's own."""
        live_log.create_topic(self.bootstrap, self.topic)

    def execute(self, statement: str, *parameters: Any) -> None:
        """Change the database as an operator might."""
        with contextlib.closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read the database."""
        return live_log.ask(self.url, SCHEMA, statement, *parameters)

    def _connect(self) -> Any:
        return psycopg2.connect(self.url, options=f"-c search_path={SCHEMA}")

    def forget_everything(self) -> None:
        """Set Postgres back to before the first event, as a restored backup would; epochs stay, sessions end."""
        tables = [row[0] for row in self.query("SELECT tablename FROM pg_tables WHERE schemaname = %s", SCHEMA)]
        kept = {"projector_offset", "projection_meta", "view_set"} | {table for table in tables if "migration" in table}
        self.execute(f"TRUNCATE {', '.join(sorted(set(tables) - kept))}")
        self.execute("UPDATE projector_offset SET next_offset = 0")
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def settle(self, deadline_s: float = live_log.SETTLED_S) -> None:
        """Wait until the whole log is applied; failing that, tell what the workers said last."""
        try:
            live_log.settle(self.bootstrap, self.url, self.topic, deadline_s)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self._situation()}\n{self.last_words()}") from None

    def _situation(self) -> str:
        """How far each partition is, what Postgres is doing, and where the workers are."""
        for worker in self.workers:
            worker.send(signal.SIGUSR1)
        offsets = self.query("SELECT part, next_offset, epoch, pid FROM projector_offset ORDER BY part")
        backends = self.query(
            "SELECT pid, state, wait_event, now() - state_change, pg_blocking_pids(pid), left(query, 100)"
            " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return "\n".join(str(row) for row in [*offsets, *backends])

    def check(self, expected: Digest | None = None, *, recorded: bool = True) -> None:
        """The tables say what they must, down to when the log took each event in.

        `recorded` is false where `expected` is of another log with the same events.
        """
        found = difference(expected or self.expected(), digest_of(self.url), recorded=recorded)
        assert not found, f"{found}\n{self.last_words()}"

    def digests(self) -> tuple[Mapping[str, TableDigest], tuple[CustomerDigest, ...]]:
        """What the product itself says that the tables say: by table, and by customer."""
        with digest_snapshot(self._connect) as snapshot:
            return snapshot.view().tables, tuple(snapshot.customers())

    def last_words(self, lines: int = 4) -> str:
        """The end of every worker's output, and before it whatever it complained of."""
        told = []
        for worker in self.workers:
            output = worker.log().splitlines()
            complaints = [line for line in output[:-lines] if any(f'"level": "{how}"' in line for how in _COMPLAINTS)]
            end = [*(line[:2000] for line in complaints[-lines:]), *(line[:600] for line in output[-lines:])]
            told.append(f"worker {worker.pid}, exit {worker.poll()}:\n  " + "\n  ".join(end))
        return "\n".join(told)

    def close(self) -> None:
        """Kill the workers of this test."""
        for worker in self.workers:
            worker.send(signal.SIGKILL)
        for worker in self.workers:
            worker.wait()


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Where workers come from, one for the session."""
    with Farm(Path(tmp_path_factory.mktemp("farm"))) as opened:
        yield opened


@pytest.fixture
def pipeline(farm: Farm, kafka: str, database: str, topic: str) -> Iterator[Pipeline]:
    """A deployment on the session's servers."""
    with contextlib.closing(Pipeline(farm, kafka, database, topic)) as opened:
        yield opened


def random_batch(random: Random) -> int:
    """From one event a transaction to many."""
    return random.choice((1, 2, 5, 17, 60, 250, 1000, 5000))
