"""Waiting until the projector has passed positions: one question to Postgres for all who wait, while somebody does.

A request never asks by itself. Whoever waits is told by one task, which reads where the projector stands, judges every
token by that, and pauses before it asks again; with nobody waiting it ends. LISTEN/NOTIFY would spare the question, but
its price is a lock that all committing transactions of the database share, paid by the projector (ADR 0010). Belongs to
one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

from customer_timeline.projections.progress import (
    BecameDeadLetter,
    DeadPosition,
    NotYet,
    OfAnotherLog,
    Passed,
    Progress,
    ProgressReader,
    Verdict,
    is_applied,
    judge,
)
from customer_timeline.schemas.position_token import EventPosition, PositionToken

INTERVAL_S: Final = 0.01  # measured: a question takes 0.2 ms of processor, both sides together (ADR 0010)

OUTCOMES: Final[dict[type[Verdict], str]] = {
    Passed: "passed",
    NotYet: "not_yet",
    BecameDeadLetter: "dead_letter",
    OfAnotherLog: "other_log",
}
"""Words of the metric."""

Observe = Callable[[str, float], None]


def unobserved(outcome: str, waited_s: float) -> None:
    """Nobody counts."""


class _Waiting:
    """Somebody who waits. Mutable, and private to the waiter."""

    __slots__ = ("answer", "judged", "letters", "token", "unchecked", "until_s")

    def __init__(self, token: PositionToken, until_s: float) -> None:
        self.token = token
        self.until_s = until_s
        self.judged = False
        self.answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        # Events that may still turn out to be dead letters: each is looked up once, when its position is passed.
        self.unchecked = set(token.events or ())
        self.letters: list[DeadPosition] = []


class PositionWaiter:
    """Tells when the projector has passed the positions of a token.

    `topic` is the log that the views are made from. `observe` is told the outcome and the seconds of every wait that
    came to an answer.
    """

    def __init__(
        self, reader: ProgressReader, topic: str, observe: Observe = unobserved, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._reader = reader
        self.topic = topic
        self._observe = observe
        self._interval_s = interval_s
        self._waiting: set[_Waiting] = set()
        self._watch: asyncio.Task[None] | None = None

    async def wait(self, token: PositionToken, wait_s: float) -> Verdict:
        """The verdict on the token: at once where it is final, else `NotYet` once `wait_s` (0: do not wait) is over.

        A read that begins afterwards sees what was passed. Raises what the reader raises.
        """
        began = time.perf_counter()
        one = _Waiting(token, time.monotonic() + wait_s)
        self._waiting.add(one)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._tell_all())
            self._watch.add_done_callback(self._ended)
        try:
            verdict = await one.answer
        finally:
            self._waiting.discard(one)  # also where the caller went away
        self._observe(OUTCOMES[type(verdict)], time.perf_counter() - began)
        return verdict

    async def aclose(self) -> None:
        """Ask no more. Whoever still waits is cancelled."""
        if self._watch is not None and not self._watch.done():
            self._watch.cancel()
            await asyncio.wait([self._watch])

    async def _tell_all(self) -> None:
        stood: dict[int, int] = {}
        while self._waiting:
            # Who comes while the question is on its way is told by the next: this one may not know their event yet.
            asked = tuple(self._waiting)
            progress = await self._reader.progress(self.topic)
            stands = {partition: found.next_offset for partition, found in progress.items()}
            moved, stood = stands != stood, stands
            now_s = time.monotonic()
            # While nothing moves, a round costs a thousand who wait no more than a look at the clock.
            judged = [one for one in asked if moved or not one.judged or now_s >= one.until_s]
            due = {at for one in judged for at in one.unchecked if is_applied(at, progress)}
            # A dead letter is written in the transaction that passes it, so now it is there.
            dead = await self._reader.dead_positions(self.topic, due) if due else ()
            for one in judged:
                self._tell(one, progress, due, dead, now_s)
            if self._waiting:
                await asyncio.sleep(self._interval_s)

    def _tell(
        self,
        one: _Waiting,
        progress: Progress,
        due: Collection[EventPosition],
        dead: Collection[DeadPosition],
        now_s: float,
    ) -> None:
        one.letters += [letter for letter in dead if EventPosition(*letter[:2]) in one.unchecked]
        one.unchecked.difference_update(due)
        one.judged = True
        verdict = judge(one.token, progress, one.letters)
        if isinstance(verdict, NotYet) and now_s < one.until_s:
            return
        self._waiting.discard(one)
        if not one.answer.done():
            one.answer.set_result(verdict)

    def _ended(self, watch: asyncio.Task[None]) -> None:
        """Nobody may wait for a task that failed."""
        error = None if watch.cancelled() else watch.exception()
        if error is None and not watch.cancelled():
            return
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.answer.done():
                one.answer.set_exception(error) if error else one.answer.cancel()
