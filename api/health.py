"""Probes: is the process there, may it be sent requests, and how fast does it answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from customer_timeline.api.config import ApiConfig, Lag, LagUnknownError
from customer_timeline.api.documentation import problem_responses
from customer_timeline.api.metrics import ApiMetrics
from customer_timeline.api.models import Alive, Ready
from customer_timeline.api.problems import INTERNAL, NOT_READY, ProblemError
from customer_timeline.projections.dead_letters import StoredDeadLetters
from customer_timeline.projections.reading import TimelineReader, ViewsUnavailableError
from customer_timeline.schemas.errors import CustomerTimelineError

PROBE_TTL_S = 1.0  # however often the probes are called, what they ask is asked no oftener
PROBE_TIMEOUT_S = 0.8
COUNT_TTL_S = 10.0  # dead letters are counted one by one

Result = TypeVar("Result")
Check = dict[str, Any]


class _Remembered(Generic[Result]):
    """The result of a probe, asked once at a time however many want to know.

    A result serves for `ttl_s`. Nobody waits longer than PROBE_TIMEOUT_S (TimeoutError), for whoever asks
    `/readyz` has little patience; the probe goes on, and what it finds serves those who ask next.
    """

    def __init__(self, probe: Callable[[], Coroutine[Any, Any, Result]], ttl_s: float) -> None:
        self._probe = probe
        self._ttl_s = ttl_s
        self._asking: asyncio.Task[Result] | None = None
        self._answered_at = float("-inf")

    async def get(self) -> Result:
        task = self._asking
        if task is None or (task.done() and time.monotonic() - self._answered_at >= self._ttl_s):
            task = self._asking = asyncio.create_task(self._probe())
            task.add_done_callback(self._answered)
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await asyncio.shield(task)

    def _answered(self, task: asyncio.Task[Result]) -> None:
        self._answered_at = time.monotonic()
        if not task.cancelled():
            task.exception()  # whoever still waits gets it; nobody waiting is no error


def _in_a_thread(probe: Callable[[], Result]) -> _Remembered[Result]:
    """A probe that blocks."""
    return _Remembered(lambda: asyncio.to_thread(probe), PROBE_TTL_S)


class _Checks:
    """What the probes ask. No check waits for long; one that cannot be made says so."""

    def __init__(self, reader: TimelineReader, config: ApiConfig) -> None:
        self._reader = reader
        self._config = config
        self._lag = _in_a_thread(config.lag_probe) if config.lag_probe else None
        self._pending = _in_a_thread(config.migrations_probe) if config.migrations_probe else None
        self._dead_letters = _Remembered(reader.stored_dead_letters, COUNT_TTL_S)

    async def all(self) -> dict[str, Check]:
        """Each check by its name."""
        return {
            "postgres": await _guarded(self._check_postgres),
            "migrations": await _guarded(self._check_migrations),
            "lag": await _guarded(self._check_lag),
            "dead_letters": await self._check_dead_letters(),
        }

    async def known_lag(self) -> Lag | None:
        """How far the views are behind the log; None where that is not known now."""
        try:
            return None if self._lag is None else await self._lag.get()
        except (TimeoutError, CustomerTimelineError):
            return None

    async def known_dead_letters(self) -> StoredDeadLetters | None:
        """How many dead letters there are; None where that is not known now."""
        try:
            return await self._dead_letters.get()
        except (TimeoutError, CustomerTimelineError):
            return None

    async def _check_postgres(self) -> Check:
        health = await self._reader.health()
        if not health.current:
            return _failed("The views are of another projection version.")
        return {"status": "ok", "projection_version": health.projection_version}

    async def _check_migrations(self) -> Check:
        if self._pending is None:
            return _unknown("Nobody told this process which migrations there are.")
        names = await self._pending.get()
        return {"status": "failed", "pending": list(names)} if names else {"status": "ok", "pending": []}

    async def _check_lag(self) -> Check:
        if self._lag is None:
            return _unknown("This process does not ask the log.")
        try:
            return _lag_check(await self._lag.get(), self._config.ready_max_lag_s)
        except (LagUnknownError, TimeoutError):
            return _unknown("The log does not answer; what was applied is served.")

    async def _check_dead_letters(self) -> Check:
        stored = await self.known_dead_letters()
        if stored is None:
            return _unknown("They could not be counted in time.")
        return _dead_letter_check(stored, self._config)


def health_router(reader: TimelineReader, config: ApiConfig, metrics: ApiMetrics) -> APIRouter:
    """`/livez`, `/readyz` and `/metrics`."""
    router = APIRouter(tags=["operations"])

    @router.get(
        "/livez",
        operation_id="livez",
        summary="The process answers",
        response_model=None,
        responses={200: {"model": Alive}},
    )
    async def livez() -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json", headers=_NO_STORE)

    checks = _Checks(reader, config)
    _add_readyz(router, checks)
    _add_metrics(router, checks, metrics)
    return router


def _add_readyz(router: APIRouter, checks: _Checks) -> None:
    @router.get(
        "/readyz",
        operation_id="readyz",
        summary="Postgres reachable, migrations applied, views not too far behind the log",
        response_model=None,
        responses={200: {"model": Ready}, **problem_responses(NOT_READY, INTERNAL)},
    )
    async def readyz() -> Response:
        found = await checks.all()
        failed = sorted(name for name, check in found.items() if check["status"] == "failed")
        if failed:
            raise ProblemError(NOT_READY, f"Not ready: {', '.join(failed)}.", extra={"checks": found})
        warnings = [check["reason"] for check in found.values() if check["status"] == "warning"]
        body = orjson.dumps({"status": "ready", "checks": found, "warnings": warnings})
        return Response(body, media_type="application/json", headers=_NO_STORE)


def _add_metrics(router: APIRouter, checks: _Checks, metrics: ApiMetrics) -> None:
    @router.get(
        "/metrics",
        operation_id="metrics",
        summary="Prometheus metrics",
        response_model=None,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Text format."}},
    )
    async def exposition() -> Response:
        lag, stored = await checks.known_lag(), await checks.known_dead_letters()
        text = await asyncio.to_thread(metrics.exposition, lag, stored)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8", headers=_NO_STORE)


_DAY_US = 86_400 * 1_000_000
_REMOVAL_DAYS = 1  # for which a dead letter may be there beyond its time
_NO_STORE = {"cache-control": "no-store"}


async def _guarded(check: Callable[[], Awaitable[Check]]) -> Check:
    try:
        return await check()
    except ViewsUnavailableError as exc:
        return _failed(str(exc))
    except (TimeoutError, CustomerTimelineError) as exc:
        return _failed(str(exc) or "No answer in time.")


def _lag_check(lag: Lag, most_s: float) -> Check:
    behind = max((partition.seconds for partition in lag), default=0.0)
    return {
        "status": "failed" if behind > most_s else "ok",
        "max_seconds": most_s,
        "partitions": [partition._asdict() for partition in lag],
    }


def _dead_letter_check(stored: StoredDeadLetters, config: ApiConfig) -> Check:
    records, warn_above = sum(stored.by_reason.values()), config.dead_letters_warn_above
    told: Check = {"status": "ok", "stored": records, "removed": stored.removed, "warn_above": warn_above}
    problems = []
    most_days, oldest_us = config.dead_letters_oldest_days, stored.oldest_us
    if records > warn_above:
        problems.append(f"{records:,} dead letters are stored, more than {warn_above:,}: see /v1/dead-letters.")
    if most_days is not None and oldest_us is not None and _overdue(config.now_us() - oldest_us, most_days):
        problems.append(f"Dead letters older than {most_days} days are not removed: see the log of the workers.")
    if problems:
        told |= {"status": "warning", "reason": " ".join(problems)}
    return told


def _overdue(age_us: int, most_days: int) -> bool:
    return age_us > (most_days + _REMOVAL_DAYS) * _DAY_US


def _failed(reason: str) -> Check:
    return {"status": "failed", "reason": reason}


def _unknown(reason: str) -> Check:
    return {"status": "unknown", "reason": reason}
