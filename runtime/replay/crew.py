"""The processes of a replay: each works on one partition at a time, with a codec and a reader that it keeps.

They are forked from a process that has nothing but the modules loaded (`forking`), because Kafka's client has threads
that a fork of this one would lose, and because to load them takes half a second each. When the process that started
them ends, in whatever way, they end at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection, parent_process
from typing import Any, Final, TypeVar

from customer_timeline.runtime import wiring
from customer_timeline.runtime.replay.errors import ReplayBroken
from customer_timeline.runtime.replay.forking import START
from customer_timeline.runtime.replay.reading import Stretch, read_stretch
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.codec import Codec
from customer_timeline.streams.log_reader import Client, LogReader, open_log

Result = TypeVar("Result")

_LOOK_S: Final = 0.2


class _Hand:
    """What one process keeps between partitions."""

    def __init__(self, settings: Settings, client: Client, progress: Any, stop: Any) -> None:
        self.settings = settings
        self.client = client
        self.progress = progress
        self.stop = stop
        self.codec: Codec = wiring.codec(settings)
        self._reader: LogReader | None = None

    @property
    def reader(self) -> LogReader:
        if self._reader is None:
            self._reader = open_log(self.settings.kafka_bootstrap, self.settings.touchpoints_topic, client=self.client)
        return self._reader


_hand: _Hand | None = None


def hand() -> _Hand:
    """Of this process, which is one of the crew."""
    if _hand is None:
        raise RuntimeError("this process was not started by a Crew")
    return _hand


class Crew:
    """Hands partitions out. Use it in a `with`: leaving it ends the processes."""

    def __init__(self, settings: Settings, client: Client, jobs: int, partitions: Iterable[int]) -> None:
        context = multiprocessing.get_context(START)
        self._slots = {partition: slot for slot, partition in enumerate(sorted(partitions))}
        self._progress: Any = context.Array("q", max(1, len(self._slots)), lock=False)
        self._stop: Any = context.Event()
        self._new_pool = partial(
            ProcessPoolExecutor,
            jobs,
            mp_context=context,
            initializer=partial(_begin, settings, client, self._progress, self._stop, dict(self._slots)),
        )
        self._pool = self._new_pool(initargs=(0,))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def refresh(self, *, nice: int = 0) -> None:
        """Go on with new processes: what these remember of what they did is memory, and of no use for what follows.

        `nice`: by how much they give way to the process that started them, as the kernel counts it.
        """
        self._pool.shutdown()
        self._pool = self._new_pool(initargs=(nice,))

    def read(self, stretches: Iterable[Stretch], observe: Callable[[Mapping[int, int]], None]) -> None:
        """Read every stretch into its spool. `observe` is told how far each partition is."""
        self.each(_read, [(stretch,) for stretch in stretches], observe)

    def each(
        self,
        work: Callable[..., Result],
        tasks: Iterable[tuple[Any, ...]],
        observe: Callable[[Mapping[int, int]], None] = lambda _: None,
    ) -> list[Result]:
        """`work(*task)` in the processes; results in the order of the tasks. The first error ends it."""
        return self.begin(work, tasks, observe)()

    def begin(
        self,
        work: Callable[..., Result],
        tasks: Iterable[tuple[Any, ...]],
        observe: Callable[[Mapping[int, int]], None] = lambda _: None,
    ) -> Callable[[], list[Result]]:
        """As `each`, for who has something to do meanwhile: what it gives waits for the results."""
        with _breaks_told():
            futures: list[Future[Result]] = [self._pool.submit(work, *task) for task in tasks]

        def results() -> list[Result]:
            waiting = set(futures)
            with _breaks_told():
                while waiting:
                    done, waiting = wait(waiting, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                    observe({partition: self._progress[slot] for partition, slot in self._slots.items()})
                    for one in done:
                        one.result()
                return [one.result() for one in futures]

        return results


@contextmanager
def _breaks_told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as exc:
        raise ReplayBroken from exc


def _begin(settings: Settings, client: Client, progress: Any, stop: Any, slots: dict[int, int], nice: int) -> None:
    # Ctrl-C reaches the whole group; the first process decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(nice)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    global _hand
    _hand = _Hand(settings, client, (progress, slots), stop)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _read(stretch: Stretch) -> bool:
    mine = hand()
    progress, slots = mine.progress

    def told(behind: int) -> None:
        progress[slots[stretch.partition]] = behind

    return read_stretch(stretch, mine.reader, mine.codec, told, mine.stop.is_set)
