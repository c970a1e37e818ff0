"""Retention: a service of the Faust app that has old dead letters exported, and then removed.

What it does stands behind a protocol: it needs files and the log, and this module only says when. Nothing that goes
wrong here stops the worker: dead letters wait, and a metric and the log tell that they do.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol

import structlog
from mode import Service

from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.streams.metrics import ProjectorMetrics

log = structlog.get_logger(__name__)

_EVERY_S: Final = 60.0
_NEXT_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 600.0


class Kept(NamedTuple):
    """What one step did: records that are safe in a file now, whether there is more to do soon, and whether that waits
    for operations to be applied.
    """

    exported: int
    more: bool
    waits: bool = False


class Keeper(Protocol):
    """Exports dead letters and has them removed, a step at a time; used by one thread at a time."""

    def step(self) -> Kept:
        """At most one file and one operation. Raises CustomerTimelineError; the next step goes on where it was."""
        ...


class Retention(Service):
    """Takes steps until told to stop; none without a keeper."""

    abstract = False

    def __init__(self, keeper: Keeper | None, metrics: ProjectorMetrics, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keeper = keeper
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="retention")

    @Service.task
    async def _keep_for_ever(self) -> None:
        pause, failing = _NEXT_S, _EVERY_S
        while self._keeper is not None and not self.should_stop:
            try:
                kept = await asyncio.get_running_loop().run_in_executor(self._thread, self._keeper.step)
            except CustomerTimelineError as error:
                self._metrics.retention_failures.inc()
                log.error("dead_letters_are_not_exported", error=str(error), retry_in_s=failing)
                await self.sleep(failing)
                failing = min(failing * 2, _LONGEST_PAUSE_S)
                continue
            failing = _EVERY_S
            if kept.exported:
                self._metrics.dead_letters_exported.inc(kept.exported)
                log.info("dead_letters_exported", records=kept.exported)
            # What is asked for is applied soon, or Postgres or a worker is not well.
            pause = min(pause * 2, _EVERY_S) if kept.waits else _NEXT_S if kept.more else _EVERY_S
            await self.sleep(pause)

    async def on_stop(self) -> None:
        """Let the step in hand finish."""
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)
        self._thread.shutdown(wait=False)
