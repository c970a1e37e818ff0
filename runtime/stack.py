"""The development stack: Kafka, Postgres, tables, topics, workers and the API, as children of this process.

Used by `customer-timeline dev` and `demo`. Whatever ends is started again with a growing pause; however this process
ends, nothing is left running (see `embedded.guard`). Not for production: no accounts, no copies of the data.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg2
from psycopg2.sql import SQL, Identifier

from customer_timeline.runtime.embedded import EmbeddedKafka, EmbeddedPostgres
from customer_timeline.runtime.embedded.jars import must_be_fetched
from customer_timeline.runtime.embedded.ports import LOOPBACK, choose_ports
from customer_timeline.runtime.embedded.process import GuardedProcess, ServerError, log_tail
from customer_timeline.runtime.migrate import migrate
from customer_timeline.runtime.settings import PREFIX, Settings, load_settings
from customer_timeline.runtime.wiring import connect, topics
from customer_timeline.streams.topic_setup import ensure_topics

DATABASE = "customer_timeline"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_S = 30.0  # a child that ran this long starts again without a pause
_ENTRY = (sys.executable, "-m", "customer_timeline.runtime.cli.main")

Say = Callable[[str], None]


class Addresses(NamedTuple):
    """Where a running stack is; also the content of the ready file."""

    api_url: str
    kafka_bootstrap: str
    database_url: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What `dev` was asked for. Port 0: that of the last start if free, else any. No folder: a temporary one."""

    data_dir: Path | None = None
    workers: int = 1
    api_workers: int = 1
    api_port: int = 0
    kafka_port: int = 0
    postgres_port: int = 0


@dataclass
class _Child:
    """A supervised process, and when it may be started again."""

    name: str
    start: Callable[[], GuardedProcess]
    process: GuardedProcess
    started_at: float = field(default_factory=time.monotonic)
    pause_s: float = _FIRST_PAUSE_S
    again_at: float | None = None


class DevStack:
    """Start it in a `with`; call `supervise` until it is time to leave."""

    def __init__(self, options: StackOptions, say: Say = lambda _: None) -> None:
        self._options = options
        self._say = say
        self._temporary = options.data_dir is None
        self.data_dir = options.data_dir or Path(tempfile.mkdtemp(prefix="customer-timeline-"))
        self._kafka = EmbeddedKafka(self.data_dir / "kafka", options.kafka_port, ephemeral=self._temporary)
        self._postgres = EmbeddedPostgres(self.data_dir / "postgres", options.postgres_port, ephemeral=self._temporary)
        self._children: list[_Child] = []
        self._api_port = 0
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """Settings that point at this stack. Raises ServerError before it is started."""
        if self._settings is None:
            raise ServerError("The development stack was not started.")
        return self._settings

    @property
    def addresses(self) -> Addresses:
        """Where it is. Raises ServerError before it is started."""
        return Addresses(self.settings.api_url, self._kafka.bootstrap, self._postgres.url_of(DATABASE), os.getpid())

    def start(self, *, timeout_s: float = 180.0) -> None:
        """Start everything and return when the API says that it is ready and every partition has a worker.

        Raises ServerError, or what a part raises, with the end of the log of what did not start.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self._temporary:
            self.data_dir.chmod(0o755)
        if must_be_fetched():
            self._say("fetching Apache Kafka (43 MB, only this once)")
        with ThreadPoolExecutor(1, thread_name_prefix="kafka") as side:
            # Kafka takes longest and mostly waits; Postgres, the tables and the API come up beside it.
            kafka = side.submit(self._kafka.start)
            self._postgres.start()
            _create_database(self._postgres.url, DATABASE)
            self._api_port = self._choose_api_port()
            kafka_launched = self._kafka_launched(kafka.done)
            self._settings = self._point_at(kafka_launched)
            migrate(self._postgres.url_of(DATABASE), self._settings.database_schema)
            self._spawn("api", self._start_api)
            kafka.result()
        ensure_topics(self._kafka.bootstrap, topics(self._settings))
        for number in range(1, self._options.workers + 1):
            self._spawn(f"worker-{number}", lambda number=number: self._start_worker(number))  # type: ignore[misc]
        self._wait_ready(timeout_s)

    def supervise(self) -> None:
        """One look at every child: start again what ended. Call it a few times a second."""
        now = time.monotonic()
        for server, name in ((self._postgres, "Postgres"), (self._kafka, "Kafka")):
            if not server.running:
                self._say(f"{name} ended; starting it again")
                server.restart("kill")
        for child in self._children:
            if child.again_at is not None:
                if now >= child.again_at:
                    child.process, child.started_at, child.again_at = child.start(), now, None
                    self._say(f"{child.name} runs again (process {child.process.pid})")
            elif not child.process.running:
                self._plan_restart(child, now)

    def last_words(self) -> str:
        """The end of every child's log, for an error message."""
        return " ".join(f"{child.name}: {log_tail(child.process.log, 3)}" for child in self._children)

    def stop(self) -> None:
        """Stop everything in order: readers and writers first, then the servers."""
        with ThreadPoolExecutor(max(1, len(self._children))) as pool:
            list(pool.map(lambda child: child.process.stop(), self._children))
        self._children.clear()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda server: server.stop(), (self._kafka, self._postgres)))
        if self._temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def __enter__(self) -> DevStack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _kafka_launched(self, done: Callable[[], bool]) -> str:
        """Its address, known once it was launched; an error of the launch is raised by whoever asks for the result."""
        while True:
            try:
                return self._kafka.bootstrap
            except ServerError:
                if done():
                    return f"{LOOPBACK}:1"
            time.sleep(0.02)

    def _choose_api_port(self) -> int:
        return choose_ports(self.data_dir / "api-port.json", {"api": self._options.api_port})["api"]

    def _point_at(self, bootstrap: str) -> Settings:
        return load_settings(
            kafka_bootstrap=bootstrap,
            database_url=self._postgres.url_of(DATABASE),
            api_host=LOOPBACK,
            api_port=self._api_port,
            api_url=f"http://{LOOPBACK}:{self._api_port}",
            api_workers=self._options.api_workers,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """The environment in which every command finds this stack."""
        settings = self.settings
        ours = {
            "kafka_bootstrap": settings.kafka_bootstrap,
            "database_url": settings.database_url.get_secret_value(),
            "api_host": settings.api_host,
            "api_port": str(settings.api_port),
            "api_url": settings.api_url,
            "api_workers": str(settings.api_workers),
            **more,
        }
        return {**os.environ, **{f"{PREFIX}{name.upper()}": value for name, value in ours.items()}}

    def _spawn(self, name: str, start: Callable[[], GuardedProcess]) -> None:
        self._children.append(_Child(name, start, start()))

    def _start_api(self) -> GuardedProcess:
        return GuardedProcess([*_ENTRY, "api"], log=self._log("api"), env=self.environment(), grace_s=15)

    def _start_worker(self, number: int) -> GuardedProcess:
        # A name of its own: killed and started again, it has its partitions back at once.
        name = f"worker-{number}"
        environment = self.environment(worker_instance_id=name)
        return GuardedProcess([*_ENTRY, "worker"], log=self._log(name), env=environment, grace_s=20)

    def _log(self, name: str) -> Path:
        folder = self.data_dir / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def _plan_restart(self, child: _Child, now: float) -> None:
        if now - child.started_at >= _STEADY_S:
            child.pause_s = _FIRST_PAUSE_S
        child.again_at = now + child.pause_s
        self._say(
            f"{child.name} ended with code {child.process.returncode}; starting it again in {child.pause_s:g} s "
            f"(its log: {child.process.log})"
        )
        child.pause_s = min(child.pause_s * 2, _LONGEST_PAUSE_S)

    def _wait_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not (self._partitions_taken() and _answers_ready(f"{self.settings.api_url}/readyz")):
            for child in self._children:
                if not child.process.running:
                    tail = log_tail(child.process.log)
                    raise ServerError(f"{child.name} ended while it started, see {child.process.log}: {tail}")
            if time.monotonic() > deadline:
                logs = ", ".join(str(child.process.log) for child in self._children)
                raise ServerError(f"The stack was not ready within {timeout_s:.0f} s; see {logs}.")
            time.sleep(0.05)

    def _partitions_taken(self) -> bool:
        """Whether workers that live now hold all partitions of the log; without workers nothing is waited for."""
        if self._options.workers == 0:
            return True
        with closing(connect(self.settings)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM projector_offset AS held JOIN pg_stat_activity AS backend "
                "ON backend.pid = held.pid AND backend.backend_start = held.backend_start WHERE held.topic = %s",
                [self.settings.touchpoints_topic],
            )
            row = cursor.fetchone()
        return row is not None and row[0] >= self.settings.topic_partitions


def write_ready_file(path: Path, addresses: Addresses) -> None:
    """Write the addresses as JSON, all of it or nothing: whoever waits for the file never reads half of it."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    staging.write_text(json.dumps(addresses._asdict(), indent=2) + "\n")
    staging.replace(path)


def _create_database(url: str, name: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))


def _answers_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (our own http address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
