"""/livez, /readyz, /metrics"""

from __future__ import annotations

import asyncio
import threading

import pytest
from api_client import MakeClient
from memory_reader import MemoryReader
from view_rows import VERSION, Views, viewed

from customer_timeline.api.config import LagUnknownError, PartitionLag
from customer_timeline.projections.dead_letters import StoredDeadLetters
from customer_timeline.projections.reading import ReaderHealth, ViewsUnavailableError

pytestmark = pytest.mark.anyio
CAUGHT_UP = (PartitionLag("touchpoints", 0, 0, 0.0), PartitionLag("touchpoints", 1, 3, 59.9))


class DeadReader(MemoryReader):
    """Postgres is gone."""

    async def health(self) -> ReaderHealth:
        raise ViewsUnavailableError("Postgres is not reachable.")


async def test_alive_asks_nobody(client: MakeClient) -> None:
    response = await client(DeadReader(Views())).get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_ready_tells_what_was_checked(client: MakeClient) -> None:
    response = await client(Views(), lag_probe=lambda: CAUGHT_UP, migrations_probe=list).get("/readyz")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "status": "ready",
        "checks": {
            "postgres": {"status": "ok", "projection_version": VERSION},
            "migrations": {"status": "ok", "pending": []},
            "lag": {
                "status": "ok",
                "max_seconds": 60.0,
                "partitions": [
                    {"topic": "touchpoints", "partition": 0, "events": 0, "seconds": 0.0},
                    {"topic": "touchpoints", "partition": 1, "events": 3, "seconds": 59.9},
                ],
            },
            "dead_letters": {"status": "ok", "stored": 0, "removed": 0, "warn_above": 1000},
        },
        "warnings": [],
    }


def _behind() -> tuple[PartitionLag, ...]:
    return (PartitionLag("touchpoints", 0, 9, 60.1),)


def _no_log() -> tuple[PartitionLag, ...]:
    raise LagUnknownError("Kafka is away")


@pytest.mark.parametrize(
    ("reader", "probes", "check"),
    [
        (DeadReader(Views()), {}, "postgres"),
        (MemoryReader(Views(version="customer-0-old")), {}, "postgres"),
        (MemoryReader(Views()), {"migrations_probe": lambda: ["0003_pre_x.sql"]}, "migrations"),
        (MemoryReader(Views()), {"lag_probe": _behind}, "lag"),
    ],
)
async def test_not_ready_is_a_problem_that_names_the_check(
    client: MakeClient, reader: MemoryReader, probes: dict[str, object], check: str
) -> None:
    response = await client(reader, **probes).get("/readyz")
    problem = response.json()
    assert (response.status_code, problem["type"]) == (503, "urn:customer-timeline:problem:not-ready")
    assert problem["detail"] == f"Not ready: {check}."
    assert problem["checks"][check]["status"] == "failed"


async def test_a_log_that_does_not_answer_keeps_nobody_from_reading(client: MakeClient) -> None:
    response = await client(Views(), lag_probe=_no_log).get("/readyz")
    assert (response.status_code, response.json()["checks"]["lag"]["status"]) == (200, "unknown")


async def test_a_slow_probe_is_waited_for_shortly_and_asked_once_at_a_time(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("customer_timeline.api.health.PROBE_TIMEOUT_S", 0.05)
    # On a busy machine a second passes between the answer and the question: that would be asked again, rightly.
    monkeypatch.setattr("customer_timeline.api.health.PROBE_TTL_S", 60.0)
    asked, go_on = [], threading.Event()

    def slow() -> tuple[PartitionLag, ...]:
        asked.append(1)
        go_on.wait(30)
        return CAUGHT_UP

    api = client(Views(), lag_probe=slow)
    answers = await asyncio.gather(*(api.get("/readyz") for _ in range(5)))
    assert {answer.json()["checks"]["lag"]["status"] for answer in answers} == {"unknown"}
    assert len(asked) == 1
    go_on.set()
    async with asyncio.timeout(10):
        while (await api.get("/readyz")).json()["checks"]["lag"]["status"] != "ok":
            pass
    assert len(asked) == 1


def _two_letters() -> Views:
    views = Views()
    views.dead_letter(1, "not_json", "2026-03-01T00:00:00Z")
    views.dead_letter(2, "future", "2026-03-01T00:00:00Z")
    return views


@pytest.mark.parametrize(("warn_above", "status"), [(2, "ok"), (1, "warning"), (0, "warning")])
async def test_more_dead_letters_than_the_setting_says_are_a_warning_and_ready_stays_ready(
    client: MakeClient, warn_above: int, status: str
) -> None:
    response = await client(_two_letters(), dead_letters_warn_above=warn_above).get("/readyz")
    told = response.json()
    assert (response.status_code, told["status"], told["checks"]["dead_letters"]["status"]) == (200, "ready", status)
    warned = [f"2 dead letters are stored, more than {warn_above}: see /v1/dead-letters."]
    assert told["warnings"] == (warned if status == "warning" else [])


@pytest.mark.parametrize(("days", "warns"), [(None, False), (30, True), (36_500, False)])
async def test_old_dead_letters_that_workers_should_have_removed_are_a_warning(
    client: MakeClient, days: int | None, warns: bool
) -> None:
    views = Views()
    views.dead_letter(1, "not_json", "2020-03-01T00:00:00Z")
    told = (await client(views, dead_letters_oldest_days=days).get("/readyz")).json()
    assert [warning for warning in told["warnings"] if "30 days are not removed" in warning] == told["warnings"]
    assert bool(told["warnings"]) is warns


async def test_dead_letters_that_cannot_be_counted_keep_nobody_from_reading(client: MakeClient) -> None:
    class Uncounted(MemoryReader):
        async def stored_dead_letters(self) -> StoredDeadLetters:
            raise ViewsUnavailableError("Too slow.")

    api = client(Uncounted(Views()))
    told = await api.get("/readyz")
    assert (told.status_code, told.json()["checks"]["dead_letters"]["status"]) == (200, "unknown")
    assert "dead_letters_stored" not in (await api.get("/metrics")).text


async def test_metrics_tell_how_many_dead_letters_are_stored(client: MakeClient) -> None:
    lines = (await client(_two_letters()).get("/metrics")).text.splitlines()
    assert 'customer_timeline_dead_letters_stored{reason="future"} 1.0' in lines
    assert 'customer_timeline_dead_letters_stored{reason="too_large"} 0.0' in lines
    assert "customer_timeline_dead_letters_stored_bytes 8192.0" in lines
    assert "customer_timeline_dead_letters_removed 0.0" in lines


async def test_metrics_tell_latency_by_route_and_the_lag_of_each_partition(client: MakeClient) -> None:
    views = Views()
    views.customer([viewed(1, "2026-03-01T00:00:00Z", ("email", "ann@example.com"))])
    api = client(views, lag_probe=lambda: CAUGHT_UP)
    for _ in range(3):
        await api.get("/v1/customers/email:ann@example.com")
    await api.get("/v1/customers/email:nobody@example.com/timeline")
    await api.request("BREW", "/coffee/ann@example.com")
    response = await api.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = response.text.splitlines()
    count = "customer_timeline_api_request_duration_seconds_count"
    assert f'{count}{{method="GET",route="/v1/customers/{{ref}}",status="200"}} 3.0' in lines
    assert f'{count}{{method="GET",route="/v1/customers/{{ref}}/timeline",status="404"}} 1.0' in lines
    assert f'{count}{{method="other",route="(unmatched)",status="404"}} 1.0' in lines
    assert 'customer_timeline_views_lag_events{partition="1",topic="touchpoints"} 3.0' in lines
    assert 'customer_timeline_views_lag_seconds{partition="1",topic="touchpoints"} 59.9' in lines
    assert "example.com" not in response.text


async def test_metrics_without_a_log_have_no_lag(client: MakeClient) -> None:
    assert "views_lag" not in (await client(Views(), lag_probe=_no_log).get("/metrics")).text
