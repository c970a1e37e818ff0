"""`customer-timeline doctor`: looks at everything a deployment stands on; says what is wrong and how to mend it.

Every check is independent: one that cannot be made because something below is missing says so, and the others go on.
Nothing is changed.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

import psycopg2

from customer_timeline.runtime.clock import Clock
from customer_timeline.runtime.embedded.cache import cache_dir
from customer_timeline.runtime.migrate import pending
from customer_timeline.runtime.settings import DEVELOPMENT_SECRET, Settings
from customer_timeline.runtime.wiring import connect, topics
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.streams.topic_setup import inspect_topics

Verdict = Literal["ok", "warning", "failed"]

LEAST_PYTHON = (3, 11)
LEAST_POSTGRES = 140_000  # what the SQL was written for; tested on 18
LEAST_FREE_BYTES = 1 << 30
# Events further ahead of their recording than 5 min are dead letters; a fifth of that is a clock to be mended.
MOST_SKEW_S = 60.0


class Finding(NamedTuple):
    """What one check found; `mend` says what to do unless the verdict is ok."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


def examine(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """All findings, in the order in which it makes sense to mend them."""
    checks: tuple[Callable[[Settings, Clock], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _secret,
        _postgres,
        _migrations,
        _kafka_and_topics,
        _disk,
    )
    for check in checks:
        yield from check(settings, clock)


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing failed; warnings are allowed."""
    return all(finding.verdict != "failed" for finding in findings)


def _python(settings: Settings, clock: Clock) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < LEAST_PYTHON:
        yield Finding("Python", "failed", found, "Use Python 3.11 or later.")
    else:
        yield Finding("Python", "ok", found)


def _packages(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """What this distribution needs in any case is there; extras that are not installed are no fault."""
    for line in requires("customer-timeline") or ():
        needed, _, marker = line.partition(";")
        name = re.match(r"[\w.-]+", needed)
        if "extra" in marker or name is None:
            continue
        try:
            version(name[0])
        except PackageNotFoundError:
            yield Finding(f"Package {name[0]}", "failed", "missing", f'pip install "{needed.strip()}"')


def _secret(settings: Settings, clock: Clock) -> Iterator[Finding]:
    if settings.identity_secret.get_secret_value() == DEVELOPMENT_SECRET:
        yield Finding(
            "Identity secret",
            "warning",
            "the development default",
            "Fine on this machine; set CUSTOMER_TIMELINE_IDENTITY_SECRET before real data arrive, and never change it.",
        )
    else:
        yield Finding("Identity secret", "ok", "set")


def _postgres(settings: Settings, clock: Clock) -> Iterator[Finding]:
    try:
        with closing(connect(settings, application="customer-timeline doctor")) as connection:
            yield _postgres_version(connection.server_version)
            with connection.cursor() as cursor:
                before = clock.now()
                cursor.execute("SELECT clock_timestamp(), current_setting('fsync'), pg_is_in_recovery()")
                row = cursor.fetchone()
                after = clock.now()
    except psycopg2.OperationalError as exc:
        yield Finding(
            "Postgres",
            "failed",
            f"not reachable: {' '.join(str(exc).split())}",
            "Start it, or correct CUSTOMER_TIMELINE_DATABASE_URL; `customer-timeline dev` brings one along.",
        )
        return
    if row is None:
        return
    theirs, fsync, recovering = row
    yield _skew("Clock of Postgres", theirs, before, after)
    if fsync != "on":
        yield Finding("Durability", "failed", "fsync is off", "A crash loses committed views: set fsync = on.")
    if recovering:
        yield Finding(
            "Postgres role", "failed", "a read-only standby", "Point CUSTOMER_TIMELINE_DATABASE_URL at the primary."
        )


def _postgres_version(number: int) -> Finding:
    found = f"{number // 10_000}.{number % 10_000}"
    if number < LEAST_POSTGRES:
        return Finding("Postgres", "failed", found, f"Use version {LEAST_POSTGRES // 10_000} or later.")
    return Finding("Postgres", "ok", found)


def _skew(check: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """How far their clock is from ours; the round trip is not held against them."""
    apart = max((theirs - after).total_seconds(), (before - theirs).total_seconds(), 0.0)
    if apart > MOST_SKEW_S:
        return Finding(
            check, "failed", f"{apart:.0f} s apart from ours", "Set the clocks by NTP; times of events depend on them."
        )
    return Finding(check, "ok", f"{apart:.1f} s apart from ours")


def _migrations(settings: Settings, clock: Clock) -> Iterator[Finding]:
    try:
        names = [m.name for m in pending(settings.database_url.get_secret_value(), settings.database_schema)]
    except CustomerTimelineError as exc:
        yield Finding("Migrations", "failed", str(exc), "See what it says.")
        return
    if names:
        yield Finding(
            "Migrations", "failed", f"{len(names)} to be applied: {', '.join(names)}", "customer-timeline migrate"
        )
    else:
        yield Finding("Migrations", "ok", f"schema {settings.database_schema} is up to date")


def _kafka_and_topics(settings: Settings, clock: Clock) -> Iterator[Finding]:
    started = time.monotonic()
    try:
        reports = inspect_topics(settings.kafka_bootstrap, topics(settings), timeout_s=5)
    except CustomerTimelineError as exc:
        yield Finding(
            "Kafka",
            "failed",
            str(exc),
            "Start it, or correct CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP; `customer-timeline dev` brings one along.",
        )
        return
    yield Finding("Kafka", "ok", f"answers in {time.monotonic() - started:.2f} s")
    for report in reports:
        if report.state == "missing":
            yield Finding(f"Topic {report.name}", "warning", "missing", "A worker creates it when it starts.")
        elif report.differences:
            told = ", ".join(map(str, report.differences))
            yield Finding(f"Topic {report.name}", "failed", told, "Change its settings with kafka-configs.sh.")
        else:
            yield Finding(f"Topic {report.name}", "ok", f"{report.partitions} partitions")


def _disk(settings: Settings, clock: Clock) -> Iterator[Finding]:
    for name, folder in (("cache", cache_dir()), ("working folder", Path.cwd())):
        free = shutil.disk_usage(folder).free
        told = f"{free / (1 << 30):.1f} GiB free in the {name}"
        if free < LEAST_FREE_BYTES:
            yield Finding("Disk", "warning", told, f"Make room in {folder}.")
        else:
            yield Finding("Disk", "ok", told)


def checked_at(clock: Clock) -> str:
    """When this was found, RFC 3339."""
    return clock.now().astimezone(UTC).isoformat(timespec="seconds")
