"""Reads at a steady rate while a view is built again, verified, switched and switched back: none may fail or mix sets.

Both sets must say something different, or a mixed answer could not be told. So after the verification the live set's
worker is stopped and one more event of each customer that is read is published: only the rebuild has it, and knows one
identifier and one event more of her. Each set is asked by itself what it says to every question, and every answer under
load must be one of the two, whole.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.request import urlopen

import orjson

from benchmarks.api_load import free_port, wait_ready
from benchmarks.contenders import CONTENDERS, Run, product_command, worker_environment
from benchmarks.database import SCHEMA, connect, one
from benchmarks.event_data import identifier
from benchmarks.open_loop import Read, Reads, digest, reading
from benchmarks.processes import ContenderError, MeasuredProcess
from benchmarks.throughput import Bench, running, wait_for
from benchmarks.topic import HEADERS, BenchmarkTopic, producer_for
from benchmarks.workload import FIRST_DAY, Shape, Workload

_TRICKLE: Final = 50  # events a second of other customers, all the time
_WATCHED: Final = 100
_STALL_S: Final = 600
_PREFIX: Final = "CUSTOMER_TIMELINE_"
_REBUILD: Final = f"{SCHEMA}_rebuild"
_EXTRA_AT: Final = FIRST_DAY + timedelta(days=600)
_AS_OF: Final = "2025-12-31T00:00:00Z"  # later than every event
_LIST: Final = f"/v1/customers?limit={_WATCHED}"
# Of a hundred reads.
_KINDS: Final = {"": 70, "/timeline": 20, f"?as_of={_AS_OF}": 9, _LIST: 1}


def essence(path: str, body: bytes) -> bytes:
    """What of an answer must be that of one set: all of it; of a list, its customers."""
    if path != _LIST:
        return body
    return orjson.dumps([(item["customer_id"], item["events"]) for item in orjson.loads(body)["items"]])


class Stretch(NamedTuple):
    """A part of the run, by the instants at which its reads were due."""

    name: str
    begin: float
    end: float
    live: str = ""  # which set every answer must be of; "": either


@dataclass(slots=True)
class Told:
    """What each set says to each path, by its digest."""

    live: Sequence[bytes] = ()
    rebuilt: Sequence[bytes] = ()

    def of(self, read: Read) -> str:
        """Which set an answer is of; "" where it is of neither, or of both in parts."""
        if read.said == self.live[read.path]:
            return "live"
        return "rebuilt" if read.said == self.rebuilt[read.path] else ""


def judged(reads: Sequence[Read], told: Told, stretches: Sequence[Stretch]) -> list[dict[str, Any]]:
    """One row for each stretch, and one of all reads in the end. Delays count from when a read was due."""
    read_in = [(part, [read for read in reads if part.begin <= read.due_at < part.end]) for part in stretches]
    named = {part.name: [found for found in read_in if found[0].name == part.name] for part in stretches}
    return [_row(name, found, told) for name, found in (named | {"all": read_in}).items()]


def _row(name: str, parts: Sequence[tuple[Stretch, Sequence[Read]]], told: Told) -> dict[str, Any]:
    reads = [read for _, found in parts for read in found]
    seconds = sum(part.end - part.begin for part, _ in parts)
    delays = sorted((read.done_at - read.due_at) * 1_000 for read in reads) or [0.0]
    answered = [(part, read, told.of(read)) for part, found in parts for read in found if read.status == 200]
    return {
        "stretch": name,
        "seconds": round(seconds, 1),
        "reads": len(reads),
        "per_s": round(len(reads) / seconds) if seconds else 0,
        "failed": len(reads) - len(answered),
        "mixed": sum(1 for _, _, of in answered if not of),
        "of_the_other_set": sum(1 for part, read, of in answered if of and _is_certain(part, read) and of != part.live),
        "sent_late": sum(1 for read in reads if read.sent_at - read.due_at > 0.01),
        "p50_ms": round(delays[len(delays) // 2], 1),
        "p99_ms": round(delays[len(delays) * 99 // 100], 1),
        "worst_ms": round(delays[-1], 1),
    }


def _is_certain(part: Stretch, read: Read) -> bool:
    """Whether the read lies within a stretch in which only one set was live."""
    return bool(part.live) and part.begin <= read.sent_at and read.done_at <= part.end


@dataclass(slots=True)
class _Deployment:
    """One topic and one database, with an API that is read."""

    topic: BenchmarkTopic
    run: Run
    port: int
    rate: int
    reads: Reads | None = None
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Settings of commands, with the batches that the product chooses."""
        given = worker_environment(self.run)
        del given[f"{_PREFIX}BATCH_EVENTS"]
        return given

    @contextmanager
    def stretch(self, name: str, live: str = "") -> Iterator[None]:
        """What happens in the block is a stretch."""
        begin = time.monotonic()
        yield
        self.stretches.append(Stretch(name, begin, time.monotonic(), live))
        if self.reads is not None:
            self.reads.check()

    def command(self, *words: str) -> dict[str, Any]:
        """Run a command of the product to its end; what it says with --json. Raises ContenderError."""
        process = MeasuredProcess(product_command(*words, "--json"), self.environment, reports=True)
        try:
            out, _ = process.process.communicate(timeout=_STALL_S)
            if process.process.returncode:
                raise ContenderError(process.failure())
            return dict(json.loads(out))
        finally:
            process.stop()

    def until(self, query: str, what: str, *processes: MeasuredProcess) -> None:
        """Wait until the query says true."""
        deadline = time.monotonic() + _STALL_S
        with closing(connect(self.run.database)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while True:
                cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{_REBUILD}.view_set",))
                if one(cursor):
                    cursor.execute(query)
                    if one(cursor):
                        return
                if time.monotonic() > deadline:
                    raise ContenderError(f"It did not come to pass within {_STALL_S} s that {what}.")
                for process in processes:
                    process.check()
                time.sleep(0.05)

    @contextmanager
    def trickle(self, workload: Workload, watched: set[str]) -> Iterator[None]:
        """Events of customers that nobody watches, published all the time."""
        stop = threading.Event()

        def publish() -> None:
            producer = producer_for(self.run.bootstrap, linger_ms=5)
            for record in workload.measured():
                if stop.wait(1 / _TRICKLE):
                    break
                if record.customer not in watched:
                    producer.produce(self.topic.name, record.value, record.key, record.partition, headers=HEADERS)
                    producer.poll(0)
            producer.flush(60)

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def switching(bench: Bench, shape: Shape, rate: int, repetitions: int, seconds: int, say: Any) -> list[dict[str, Any]]:
    """All that an operator does with a rebuild, under `rate` reads a second; switched and back `repetitions` times."""
    workload = Workload(shape)
    topic = bench.create_topic("switch", shape.partitions)
    topic.publish(workload.first_pass())
    end = topic.publish(workload.measured())
    run = bench.run(topic, bench.databases.create("switch"), dict.fromkeys(end, 0))
    rows = _measured(_Deployment(topic, run, free_port(), rate), shape, repetitions, seconds, say)
    bench.delete_topic(topic)
    bench.databases.drop("switch")
    return rows


def _measured(place: _Deployment, shape: Shape, repetitions: int, seconds: int, say: Any) -> list[dict[str, Any]]:
    total = sum(place.topic.published.ends().values())
    told = Told()
    with ExitStack() as stack:
        live, tracker = stack.enter_context(running(CONTENDERS[0], place.run))
        wait_for(tracker, live, place.run.start, total)
        stack.enter_context(_serving(place, place.port, SCHEMA))
        names, paths = _watched(place.port)
        order = _order(paths)
        told.live = _answers(place.port, paths)
        other = Workload(Shape(10**9, shape.customers, shape.partitions, first_number=10**8, seed=2))
        stack.enter_context(place.trickle(other, set(names)))
        place.reads = reads = stack.enter_context(reading(place.port, paths, order, place.rate, essence))
        time.sleep(min(5, seconds))  # connections are opened
        with place.stretch("before", "live"):
            time.sleep(seconds)
        rebuild = stack.enter_context(MeasuredProcess(product_command("rebuild", "start"), place.environment))
        with place.stretch("the rebuild is filled", "live"):
            place.until(f"SELECT filled_at IS NOT NULL FROM {_REBUILD}.view_set", "the rebuild is filled", rebuild)
        with place.stretch("it is verified", "live"):
            if not place.command("rebuild", "verify")["equal"]:
                raise ContenderError("The rebuild was found different from what the worker wrote.")
        for process in live:
            process.stop()
        with place.stretch("it follows", "live"):
            place.until(_applied(_one_more(place, names)), "the rebuild has the last event", rebuild)
            told.rebuilt = _rebuilt(place, paths)
        _back_and_forth(place, repetitions, seconds, say)
        rows = judged(reads.end(), told, place.stretches)
    for row in rows:
        say(", ".join(f"{name} {value}" for name, value in row.items()))
    return rows


def _back_and_forth(place: _Deployment, repetitions: int, seconds: int, say: Any) -> None:
    for _ in range(repetitions):
        for command, becomes in (("switch", "rebuilt"), ("rollback", "live")):
            with place.stretch("switch and rollback"):
                done = place.command("rebuild", command, "--max-lag", str(10**9))
            say(f"{command}: {done['attempts']} attempts, readers locked out for {done['locked_s'] * 1_000:.0f} ms")
            with place.stretch("between them", becomes):
                time.sleep(seconds / 2)


@contextmanager
def _serving(place: _Deployment, port: int, schema: str, workers: int = 2) -> Iterator[None]:
    settings = place.environment | {
        f"{_PREFIX}DATABASE_SCHEMA": schema,
        f"{_PREFIX}API_HOST": "127.0.0.1",
        f"{_PREFIX}API_PORT": str(port),
        f"{_PREFIX}API_WORKERS": str(workers),
    }
    with MeasuredProcess(product_command("api"), settings) as server:
        wait_ready(port, server)
        yield


def _get(port: int, path: str) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return bytes(answer.read())


def _watched(port: int) -> tuple[list[str], list[str]]:
    """The customers of the first page of the list, by the identifier that the topic's keys are, and what is asked."""
    names = []
    for item in orjson.loads(_get(port, _LIST))["items"]:
        view = orjson.loads(_get(port, f"/v1/customers/{item['customer_id']}"))
        names += [known["value"] for known in view["identifiers"] if known["kind"] == "user_id"]
    return names, [f"/v1/customers/user_id:{name}{kind}" for kind in _KINDS if kind != _LIST for name in names] + [
        _LIST
    ]


def _order(paths: Sequence[str]) -> list[int]:
    """Paths at random, each kind as often as it is to be."""
    chosen = random.Random(1)
    kinds = {kind: [n for n, path in enumerate(paths) if _kind(path) == kind] for kind in _KINDS}
    drawn = chosen.choices(list(_KINDS), weights=list(_KINDS.values()), k=10_000)
    return [chosen.choice(kinds[kind]) for kind in drawn]


def _kind(path: str) -> str:
    return path if path == _LIST else next(kind for kind in reversed(_KINDS) if path.endswith(kind))


def _answers(port: int, paths: Sequence[str]) -> list[bytes]:
    return [digest(essence(path, _get(port, path))) for path in paths]


def _applied(ends: Mapping[int, int]) -> str:
    """A query: the rebuild has applied these partitions so far."""
    far = " OR ".join(f"(part = {part} AND next_offset >= {end})" for part, end in ends.items())
    return f"SELECT count(*) = {len(ends)} FROM {_REBUILD}.projector_offset WHERE {far}"


def _one_more(place: _Deployment, names: Sequence[str]) -> dict[int, int]:
    """Publish one event of each with a device that nobody knew; the positions after them."""
    producer = producer_for(place.run.bootstrap, linger_ms=5)
    offsets: dict[int, int] = {}

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            raise ContenderError(f"An event was not stored: {error}")
        offsets[message.partition()] = max(offsets.get(message.partition(), 0), message.offset() + 1)

    for number, name in enumerate(names):
        data: Mapping[str, Any] = {
            "identifiers": [identifier("user_id", name), identifier("device_id", f"device-of-{name}")],
            "channel": "web",
            "url": "https://shop.example/",
        }
        event = {
            "specversion": "1.0",
            "id": f"one-more-{number}",
            "source": "urn:shop:web",
            "type": "page.viewed.v1",
            "time": _EXTRA_AT.isoformat(),
            "data": data,
        }
        producer.produce(place.topic.name, orjson.dumps(event), name.encode(), on_delivery=delivered, headers=HEADERS)
    if producer.flush(60):
        raise ContenderError("Kafka did not store every event.")
    return offsets


def _rebuilt(place: _Deployment, paths: Sequence[str]) -> list[bytes]:
    """What the rebuild says, asked of an API of its own."""
    port = free_port()
    with _serving(place, port, _REBUILD, workers=1):
        return _answers(port, paths)
