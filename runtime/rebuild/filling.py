"""Fill a rebuild from the beginning of the log and let it follow: workers like those of the live set, on its tables.

They are children of this process, with the same code and settings but for the schema, and in a consumer group of their
own. The offsets are in the set, so a rebuild that was killed goes on where it was; this process only starts the
workers, looks how far they are, and makes the indexes in between.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg2
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from customer_timeline.projections.journal import TransientStorageError
from customer_timeline.projections.postgres.finishing import Finishing, Gate
from customer_timeline.projections.postgres.view_set import ViewSetPin
from customer_timeline.runtime import wiring
from customer_timeline.runtime.embedded.process import GuardedProcess, log_tail
from customer_timeline.runtime.interrupts import aside
from customer_timeline.runtime.rebuild import making
from customer_timeline.runtime.rebuild.indexing import Indexing, indexing, mark_filled
from customer_timeline.runtime.rebuild.sets import RebuildError, schema_of, settings_of
from customer_timeline.runtime.settings import PREFIX, Settings

_ENTRY: Final = (sys.executable, "-m", "customer_timeline.runtime.cli.main")
_WORKERS_A_CORE: Final = 2
_LOOK_EVERY_S: Final = 0.25
_LOOK_AT_END_EVERY_S: Final = 0.05
_RATE_OVER_S: Final = 30.0
_STEADY_S, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 1.0, 30.0


class Progress(NamedTuple):
    """How far it is. `phase`: filling, customers, an index or following. Positions added up over the partitions; `rate`
    a second, None while it is not known.
    """

    phase: str
    applied: int
    end: int
    rate: float | None

    @property
    def left_s(self) -> float | None:
        """Seconds until the end of the log at this rate."""
        return None if not self.rate else max(0, self.end - self.applied) / self.rate


Told = Callable[[Progress], None]


class _Finishers(NamedTuple):
    finishing: Finishing
    gate: Gate
    children: list[GuardedProcess]


class Filling:
    """One rebuild that this process fills; use it within `making.only_one`, after `making.make`. `workers`: processes
    that fill it; None: two for each core.
    """

    def __init__(self, settings: Settings, *, workers: int | None, batch_events: int, told: Told) -> None:
        self._settings = settings_of(settings, "rebuild")
        self._consumer: Any = None
        self._workers = workers or self._usual_workers()
        self._batch_events = batch_events
        self._told = told
        # By its name once, now: when the set is switched it is still this one that is followed. It only looks, so it
        # need not wait while the set is held still.
        self._pin: ViewSetPin = wiring.view_set_pin(self._settings, "customer-timeline rebuild", holding=True)
        self._seen: list[tuple[float, int]] = []

    def fill(self) -> None:
        """Bring the set to the end of the log as it is when it gets there, with all indexes."""
        if self._is_filled():
            return
        with ExitStack() as stack:
            with self._running(self._workers, filling=True) as children:
                while not self._caught_up("filling"):
                    _refuse_ended(children)
                    time.sleep(_LOOK_EVERY_S)
                # They load their code while those put away what they hold.
                finishers = self._finishers(stack)
            indexes = stack.enter_context(indexing(self._settings_now()))
            if finishers is not None:
                self._finish(finishers, indexes)
            self._index(indexes)
        mark_filled(self._settings_now())

    def follow(self) -> None:
        """Apply what comes, until interrupted. A worker that ends is started again, unless it refuses to go on."""
        pause_s = _FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            with self._running(1, filling=False) as (child,):
                while child.running:
                    self._caught_up("following")
                    time.sleep(_LOOK_EVERY_S)
                if child.returncode == 1:
                    raise RebuildError(f"The worker of the rebuild refuses to go on: {_complaint(child.log)}")
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else min(pause_s * 2, _LONGEST_PAUSE_S)
            time.sleep(pause_s)

    def catch_up(self) -> None:
        """Follow until the end of the log as it is just now, once."""
        with self._running(1, filling=False) as children:
            while not self._caught_up("following"):
                _refuse_ended(children)
                time.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Give the connection to Kafka back."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _finishers(self, stack: ExitStack) -> _Finishers | None:
        """Processes that are to put together the facts that wait by anchor, once they are let; None where none wait."""
        finishing = wiring.finishing(self._settings.model_copy(update={"database_schema": self._schema_now()}))
        if not finishing.waits():
            return None
        gate = stack.enter_context(finishing.shut())
        count = min(self._workers, _cores())
        shares = [["--finishing", f"{number}/{count}"] for number in range(count)]
        return _Finishers(finishing, gate, stack.enter_context(self._children(shares, filling=False)))

    def _finish(self, finishers: _Finishers, indexes: Indexing) -> None:
        """Have the facts put together; tables that this does not write get their indexes meanwhile."""
        finishing, gate, children = finishers
        count = aside(finishing.prepare)
        gate.open()
        indexes.begin(but={"customer"})
        while any(child.running for child in children):
            self._told(Progress("customers", sum(_said(child.log) for child in children), count, None))
            time.sleep(_LOOK_AT_END_EVERY_S)
        for child in children:
            if child.returncode != 0:
                raise RebuildError(_ended(child))
        aside(finishing.end)

    def _index(self, indexes: Indexing) -> None:
        """Make all indexes that are not begun."""
        indexes.begin()
        while indexes.running():
            name, made = indexes.at()
            self._told(Progress(f"index {name}", made, indexes.count, None))
            time.sleep(_LOOK_AT_END_EVERY_S)

    def _usual_workers(self) -> int:
        """Partitions are of unequal length, and whoever has the shorter ones is done before the end: with more workers
        than cores that leaves no core idle until the very last are left. A worker without a partition is of no use.
        """
        ends = self._ends(self._settings.touchpoints_topic)
        return min(_WORKERS_A_CORE * _cores(), len(ends) if ends else 64)

    def _settings_now(self) -> Settings:
        """The configured settings; the set has the name of a rebuild until it is filled."""
        schema = self._settings.database_schema.removesuffix("_rebuild")
        return self._settings.model_copy(update={"database_schema": schema})

    def _is_filled(self) -> bool:
        (found,) = self._ask("SELECT filled_at IS NOT NULL AND absent_indexes = '{}' FROM view_set")
        return bool(found[0])

    def _ask(self, query: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
        while True:
            with closing(self._pin.connect()) as connection, connection, connection.cursor() as cursor:
                try:
                    self._pin.check(cursor)
                except TransientStorageError:
                    # Switched since its name was looked up a moment ago: it is looked up again.
                    connection.rollback()
                    continue
                cursor.execute(query, parameters)
                return cursor.fetchall()

    def _caught_up(self, phase: str) -> bool:
        """Whether the end of the log is reached; while it is filled, nearly: a log that grows has no end."""
        topic = self._settings.touchpoints_topic
        ends = self._ends(topic)
        if ends is None:
            return False
        try:
            found = self._ask("SELECT part, next_offset FROM projector_offset WHERE topic = %s", topic)
        except psycopg2.OperationalError:
            # Postgres is away; the workers wait for it as well.
            return False
        applied = {part: at for part, at in found if part in ends}
        done, end = sum(applied.values()), sum(ends.values())
        self._told(Progress(phase, done, end, self._rate(done)))
        margin = min(self._batch_events, end // 100) if phase == "filling" else 0
        return len(applied) == len(ends) and end - done <= margin

    def _rate(self, done: int) -> float | None:
        now = time.monotonic()
        self._seen = [one for one in self._seen if now - one[0] < _RATE_OVER_S] + [(now, done)]
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at - first_at > 1 else None

    def _ends(self, topic: str) -> Mapping[int, int] | None:
        """Where each partition ends; None while Kafka does not answer: the workers wait for it too."""
        try:
            if self._consumer is None:
                self._consumer = KafkaConsumer(
                    bootstrap_servers=self._settings.kafka_bootstrap, group_id=None, enable_auto_commit=False
                )
            places = [TopicPartition(topic, part) for part in self._consumer.partitions_for_topic(topic) or ()]
            return {at.partition: int(end) for at, end in self._consumer.end_offsets(places).items()} or None
        except KafkaError:
            self.close()
            return None

    @contextmanager
    def _running(self, count: int, *, filling: bool) -> Iterator[list[GuardedProcess]]:
        """Workers on the set, stopped at the end."""
        words = [["--namespace", str(self._pin.namespace), *(["--filling"] if filling else [])]] * count
        with self._children(words, filling=filling) as children:
            yield children

    @contextmanager
    def _children(self, words: Sequence[Sequence[str]], *, filling: bool) -> Iterator[list[GuardedProcess]]:
        """A worker for each of `words`, stopped at the end; killed with this process, however it ends."""
        folder = Path(tempfile.mkdtemp(prefix="customer-timeline-rebuild-"))
        schema = self._schema_now()
        children: list[GuardedProcess] = []
        try:
            for number, own in enumerate(words):
                name = f"rebuild-{number}"
                command = [*_ENTRY, "worker", "--instance", name, *own]
                environment = self._environment(schema, filling=filling)
                children.append(GuardedProcess(command, log=folder / f"{name}.log", env=environment, grace_s=60))
            yield children
        finally:
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def _schema_now(self) -> str:
        ((schema,),) = self._ask("SELECT current_schema()")
        return str(schema)

    def _environment(self, schema: str, *, filling: bool) -> dict[str, str]:
        # Its metrics would meet those of the worker that this environment is for.
        own = {"METRICS_PORT", "WORKER_INSTANCE_ID"}
        kept = {name: value for name, value in os.environ.items() if name.upper().removeprefix(PREFIX) not in own}
        ours = {"DATABASE_SCHEMA": schema}
        if filling:
            ours["BATCH_EVENTS"] = str(self._batch_events)
        return {**kept, **{f"{PREFIX}{name}": value for name, value in ours.items()}}


def _cores() -> int:
    return os.cpu_count() or 1


def _complaint(log: Path) -> str:
    """What a worker said was wrong, in its own lines; else the end of its log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    wrong = [line for line in lines if '"level": "error"' in line or '"level": "critical"' in line]
    return " | ".join(wrong[:2]) or log_tail(log, 3)


def _refuse_ended(children: list[GuardedProcess]) -> None:
    for child in children:
        if not child.running:
            raise RebuildError(_ended(child))


def _ended(child: GuardedProcess) -> str:
    return (
        f"A worker of the rebuild ended (code {child.returncode}): {_complaint(child.log)} Nothing is lost: "
        f"`customer-timeline rebuild start` goes on where it was."
    )


def _said(log: Path) -> int:
    """The last number that a child printed."""
    numbers = [line for line in log.read_text(errors="replace").split() if line.isdigit()] if log.exists() else []
    return int(numbers[-1]) if numbers else 0


def start(
    settings: Settings,
    *,
    workers: int | None,
    batch_events: int,
    force: bool,
    stay: bool,
    told: Told,
    say: Callable[[str], None],
) -> None:
    """Make the rebuild or go on with it, fill it, and follow until interrupted, or not to `stay` at the log's end.

    Raises RebuildError where another process does it already, an old set is still there, the disk is too small, or a
    worker refuses to go on.
    """
    with making.only_one(settings):
        if making.make(settings, force=force, told=say):
            say(f"Going on with the rebuild in schema {schema_of(settings, 'rebuild')}.")
        filling = Filling(settings, workers=workers, batch_events=batch_events, told=told)
        with closing(filling):
            filling.fill()
            if stay:
                say("The rebuild is filled and follows the log; verify it next (`customer-timeline rebuild verify`).")
                filling.follow()
            else:
                filling.catch_up()
