"""SIGINT, SIGTERM and SIGHUP as one exception, so that `with` blocks stop what they started."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

EXIT_CODE = 130
_AGAIN_S = 0.001
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked this process to stop. Not an Exception, so that no `except Exception` swallows it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, the first signal raises Interrupted in the main thread; a second one ends the process at once.

    Ending at once is safe: the guards of our children see it and stop them. Raises ValueError outside the main thread.
    """
    asked = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()
        raise Interrupted(number)

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def between_events(handing_over: Callable[[], bool]) -> Iterator[None]:
    """Within it Ctrl-C raises KeyboardInterrupt, but not while `handing_over` says that an event is between us and the
    client: it would be published, and not be counted. That takes microseconds. Raises ValueError outside the main
    thread.
    """

    def stop(number: int, _: FrameType | None) -> None:
        if handing_over():
            main = threading.main_thread().ident or 0
            threading.Timer(_AGAIN_S, signal.pthread_kill, [main, number]).start()
        else:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def aside(work: Callable[[], Result]) -> Result:
    """What `work` gives or raises, done on another thread, so that a signal ends the waiting of this one at once.

    psycopg2 lets no signal through while it waits for Postgres. For work that may be left where it is when the process
    ends: a transaction that was not committed is undone then.
    """
    return meanwhile(work)()


def meanwhile(work: Callable[[], Result]) -> Callable[[], Result]:
    """As `aside`, for who has something to do in that time: what it gives waits for the end of `work`."""
    done: Future[Result] = Future()
    begin(work, done)
    return done.result


def begin(work: Callable[[], Result], done: Future[Result]) -> None:
    """Do `work` on another thread; what it gives or raises goes to `done`. Where a signal ends this call, it may have
    begun or not.
    """

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as exc:  # noqa: BLE001 - whoever waits raises it
            done.set_exception(exc)

    threading.Thread(target=run, name="aside", daemon=True).start()


@contextmanager
def stoppable(how_to_go_on: str) -> Iterator[None]:
    """Within it the first signal ends the command, with a line on stderr that says how to go on. Raises SystemExit."""
    try:
        with interruptible():
            yield
    except Interrupted:
        sys.stderr.write(f"customer-timeline: interrupted. {how_to_go_on}\n")
        raise SystemExit(EXIT_CODE) from None
