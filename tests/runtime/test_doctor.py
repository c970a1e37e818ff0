"""The doctor: one finding a thing, what is wrong and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from servers import alter_system
from typer.testing import CliRunner
from worker_farm import until

from customer_timeline.runtime.cli.app import build_app
from customer_timeline.runtime.clock import FixedClock, SystemClock
from customer_timeline.runtime.doctor import Finding, examine, healthy
from customer_timeline.runtime.settings import Settings


def _findings(settings: Settings, now: datetime | None = None) -> dict[str, Finding]:
    clock = FixedClock(now) if now else SystemClock()
    return {finding.check: finding for finding in examine(settings, clock)}


@pytest.fixture
def durable(postgres: str, database: str) -> Iterator[None]:
    """Commits wait for the disk meanwhile; those of the session's Postgres need not."""
    before = _fsync(database)
    alter_system(postgres, {"fsync": "on"})
    until(lambda: _fsync(database) == "on", "commits are durable")
    yield
    alter_system(postgres, {"fsync": before})


def _fsync(url: str) -> str:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        (found,) = cursor.fetchone() or ("",)
        return str(found)


@pytest.mark.usefixtures("durable")
def test_a_deployment_in_order_is_healthy_and_a_missing_topic_only_a_warning(settings: Settings) -> None:
    found = _findings(settings)
    assert healthy(list(found.values()))
    assert found["Migrations"].verdict == "ok"
    assert found[f"Topic {settings.touchpoints_topic}"].verdict == "ok"
    assert found[f"Topic {settings.changes_topic}"] == Finding(
        f"Topic {settings.changes_topic}", "warning", "missing", "A worker creates it when it starts."
    )


def test_migrations_to_be_applied_are_told_with_the_command(
    settings: Settings, empty_database: Callable[[], str]
) -> None:
    found = _findings(settings.model_copy(update={"database_url": type(settings.database_url)(empty_database())}))
    assert found["Migrations"].verdict == "failed"
    assert found["Migrations"].mend == "customer-timeline migrate"


def test_clocks_apart_are_told(settings: Settings) -> None:
    found = _findings(settings, datetime.now(UTC) - timedelta(minutes=10))
    assert found["Clock of Postgres"].verdict == "failed"


def test_a_topic_that_forgets_is_told_with_the_difference(settings: Settings, make_topic: Callable[..., str]) -> None:
    name = make_topic(1, **{"retention.ms": "1000"})
    found = _findings(settings.model_copy(update={"touchpoints_topic": name}))
    assert found[f"Topic {name}"].verdict == "failed"
    assert "retention.ms is 1000, must be -1" in found[f"Topic {name}"].found


def test_nothing_running_is_told_part_by_part_and_the_command_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("CUSTOMER_TIMELINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    result = CliRunner().invoke(build_app(), ["doctor", "--json"])
    report = json.loads(result.output)
    failed = {finding["check"] for finding in report["findings"] if finding["verdict"] == "failed"}
    assert result.exit_code == 1
    assert report["healthy"] is False
    assert failed == {"Postgres", "Migrations", "Kafka"}
    assert all(finding["mend"] for finding in report["findings"] if finding["verdict"] != "ok")
