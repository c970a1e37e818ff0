"""Readers of the API while sets are switched and switched back: no read fails, and none sees two sets."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg2
import pytest
from api_process import serving
from view_rows import SECRET, Views, event, viewed

from customer_timeline.projections.postgres.served_set import Served, of_one_version
from customer_timeline.projections.reading import ViewsOutOfDateError, ViewsUnavailableError
from customer_timeline.runtime import wiring
from customer_timeline.runtime.migrate import migrate
from customer_timeline.runtime.rebuild.sets import schema_of
from customer_timeline.runtime.rebuild.switching import rollback, switch
from customer_timeline.runtime.settings import PREFIX, Settings

ANN, PHONE = ("email", "ann@example.com"), ("phone", "+14155552671")
OTHER_DAY = "2026-03-03T00:00:00Z"
READERS, SWITCHES = 8, 6
# What each set says of Ann: how many identifiers and how many events. No other pair was ever true.
LIVE, REBUILT = (1, 2), (2, 3)


def _views(version: str, *, rebuilt: bool) -> Views:
    views = Views(version=version)
    events = [viewed(1, "2026-03-01T00:00:00Z", ANN), viewed(2, "2026-03-02T00:00:00Z", ANN)]
    if rebuilt:
        events.append(event(3, "email.sent.v1", OTHER_DAY, {"message_id": "m"}, [ANN, PHONE], channel="email"))
    views.customer(events)
    return views


def _two_sets(settings: Settings, live: str, rebuilt: str) -> None:
    """Two sets that say different things of Ann, of the given projection versions."""
    url, schema = settings.database_url.get_secret_value(), schema_of(settings, "rebuild")
    migrate(url, schema)
    _views(live, rebuilt=False).insert(url)
    _views(rebuilt, rebuilt=True).insert(url, schema)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"UPDATE {schema}.view_set SET filled_at = made_at, consumer_suffix = '-2'")


@dataclass
class Seen:
    """What readers saw: pairs of numbers by kind of read, and what failed."""

    pairs: Counter[tuple[str, tuple[int, int]]] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    done: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def more(self, count: int) -> None:
        """Wait for so many reads more, or a failure."""
        wanted = self.pairs.total() + count
        async with self.changed:
            await self.changed.wait_for(lambda: self.failed or self.pairs.total() >= wanted)

    async def read(self, address: str, kind: str, path: str) -> None:
        """Ask again and again until done."""
        async with httpx.AsyncClient(timeout=30) as client:
            while not self.done:
                answer = await client.get(f"{address}/v1/customers/email:ann@example.com{path}")
                if answer.status_code != 200:
                    self.failed.append(f"{kind} {answer.status_code} {answer.text}")
                else:
                    said = answer.json()
                    self.pairs[kind, (len(said["identifiers"]), said["activity"]["events"])] += 1
                async with self.changed:
                    self.changed.notify_all()


async def _read_while_switching(settings: Settings, address: str) -> Seen:
    seen = Seen()
    kinds = {"now": "", "past": "?known_at=2027-01-01T00:00:00Z"}
    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            for kind, path in kinds.items():
                group.create_task(seen.read(address, kind, path))
        try:
            await seen.more(100)
            for number in range(SWITCHES):
                turn = rollback if number % 2 else switch
                await asyncio.to_thread(turn, settings, max_lag=0, force=True)
                await seen.more(200)
        finally:
            seen.done = True
    return seen


@pytest.fixture
def told(settings: Settings) -> Settings:
    """The settings of the deployment, with the key that the rows were made with."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return Settings(**given | {"identity_secret": SECRET.decode()})


@pytest.fixture
def secret(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, f"{PREFIX}IDENTITY_SECRET": SECRET.decode()}


def test_switches_under_reads_fail_none_and_mix_none(told: Settings, secret: dict[str, str], tmp_path: Path) -> None:
    version = wiring.projection_version(told)
    _two_sets(told, version, version)
    with serving(secret, tmp_path / "api.log", "--workers", "1") as (_, address):
        seen = asyncio.run(_read_while_switching(told, address))
    assert seen.failed == []
    assert {pair for _, pair in seen.pairs} == {LIVE, REBUILT}
    assert {kind for kind, _ in seen.pairs} == {"now", "past"}


def test_a_program_of_the_version_before_goes_on_with_its_set_after_a_switch(
    told: Settings, secret: dict[str, str], tmp_path: Path
) -> None:
    _two_sets(told, wiring.projection_version(told), "another version")
    with serving(secret, tmp_path / "api.log", "--workers", "1") as (_, address):
        seen = asyncio.run(_read_while_switching(told, address))
    assert seen.failed == []
    assert {pair for _, pair in seen.pairs} == {LIVE}


class _Reader:
    """Reads tables of some version, or none."""

    def __init__(self, found: str | None) -> None:
        self.found = found

    async def customer(self) -> str:
        if self.found is None:
            raise ViewsUnavailableError("no tables")
        if self.found != "mine":
            raise ViewsOutOfDateError(found=self.found, expected="mine")
        return self.found

    async def aclose(self) -> None:
        self.found = None


def test_a_program_that_never_served_waits_for_the_switch_to_its_version() -> None:
    live, aside = _Reader("other"), _Reader("mine")
    reader = of_one_version(live, [aside], Served())
    with pytest.raises(ViewsOutOfDateError):
        asyncio.run(reader.customer())
    live.found = "mine"
    assert asyncio.run(reader.customer()) == "mine"
    live.found = "other"
    assert asyncio.run(reader.customer()) == "mine"
    aside.found = None  # dropped
    with pytest.raises(ViewsOutOfDateError):
        asyncio.run(reader.customer())
    live.found = "mine"
    assert asyncio.run(reader.customer()) == "mine"
