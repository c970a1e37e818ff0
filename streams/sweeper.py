"""The sweeper: a service of the Faust app that tells when a stage changed because time passed.

Stages change by themselves, in every row's schedule; nobody needs the sweeper to read the right one. It announces what
became due, refreshes the columns that lists search by, and assesses customers again after a change of the rules. It
works up to the instant until which the whole log is applied, so an outage makes nobody silent. After each round it
looks after the partial states of long histories.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from mode import Service

from customer_timeline.projections.journal import TransientStorageError
from customer_timeline.projections.postgres.partial_builder import PartialBuilder
from customer_timeline.projections.postgres.sweep_store import SweepStore
from customer_timeline.streams.metrics import ProjectorMetrics

log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S = 30.0
_TURN_EVENTS = 100  # as many as could be folded in the time that a turn takes besides


@dataclass(frozen=True, slots=True)
class SweeperConfig:
    """Which log, how many partitions it has, how often to look, how many customers one transaction may hold, and of
    about how many events one round may build partial states.
    """

    topic: str
    partitions: Callable[[], int]
    every_s: float = 1.0
    customers: int = 500
    partial_events: int = 20_000


class Sweeper(Service):
    """Sweeps every `every_s` seconds; `now_us` is the clock, microseconds since 1970."""

    abstract = False

    def __init__(
        self,
        config: SweeperConfig,
        store: SweepStore,
        partials: PartialBuilder,
        metrics: ProjectorMetrics,
        now_us: Callable[[], int],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = config
        self._store = store
        self._partials = partials
        self._metrics = metrics
        self._now_us = now_us
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sweeper")

    @Service.task
    async def _sweep_for_ever(self) -> None:
        pause = self._config.every_s
        while not self.should_stop:
            await self.sleep(pause)
            if self.should_stop:
                break
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self.sweep)
                pause = self._config.every_s
            except TransientStorageError as error:
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                log.warning("sweep_will_be_retried", error=str(error), retry_in_s=pause)

    async def on_stop(self) -> None:
        """Let the round in hand finish."""
        with contextlib.suppress(TransientStorageError):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def sweep(self) -> None:
        """One round: everything that is due until the horizon, a transaction at a time."""
        began = time.perf_counter()
        now_us = self._now_us()
        passed_us = self._store.horizon_us(self._config.topic, self._config.partitions())
        if passed_us is None:
            return
        horizon_us = min(now_us, passed_us)
        self._metrics.sweep_lag.set((now_us - horizon_us) / 1e6)
        while not self.should_stop and self._store.assess(horizon_us, self._config.customers):
            pass
        while not self.should_stop:
            swept = self._store.sweep(horizon_us, self._config.customers)
            for stage, count in swept.transitions.items():
                self._metrics.transitions.labels(stage).inc(count)
            self._metrics.withdrawals.inc(swept.withdrawn)
            if swept.customers < self._config.customers:
                break
        self._metrics.sweeps.inc()
        self._metrics.sweep_seconds.observe(time.perf_counter() - began)
        self._build_partials(horizon_us)

    def _build_partials(self, horizon_us: int) -> None:
        left = self._config.partial_events
        while left > 0 and not self.should_stop:
            built = self._partials.turn(horizon_us, left)
            if built is None:
                return
            self._metrics.partials.inc(built.folded)
            left -= built.events + _TURN_EVENTS

    def _close(self) -> None:
        self._store.close()
        self._partials.close()
