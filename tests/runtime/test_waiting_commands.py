"""Commands that have to wait: a terminal shows for what, standard output stays clean, Ctrl-C ends them with a word."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from rebuilt_sets import made, make_indexes, silent
from replay_runs import empty_history
from terminal import at_a_terminal, silent_kafka
from view_rows import SECRET, Views, event, viewed
from worker_farm import until

from customer_timeline.runtime import wiring
from customer_timeline.runtime.rebuild import making
from customer_timeline.runtime.rebuild.sets import statuses
from customer_timeline.runtime.settings import PREFIX, Settings
from customer_timeline.schemas.envelope import event_id

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main")
ANN, BOB = ("email", "ann@example.com"), ("email", "bob@example.com")
DAY = "2026-03-01T10:00:00Z"
AGAIN = "interrupted. Run the same command again: "


def survey(number: int, csat: int) -> dict[str, object]:
    data = {"survey_id": "s-1", "csat": csat, "via": "online"}
    return event(number, "survey.answered.v1", DAY, data, [ANN])


STORED = survey(50, 3)
STORED_ID = event_id(str(STORED["source"]), str(STORED["id"]))


@pytest.fixture
def deployed(database: str) -> Iterator[dict[str, str]]:
    """Ann and Bob, an answer beyond the scale, one that today's code accepts, and a Kafka that never answers."""
    views = Views(version=wiring.projection_version(Settings(identity_secret=SECRET.decode())))
    views.customer([viewed(20, DAY, ANN), STORED])
    views.customer([viewed(21, DAY, BOB)])
    for number, csat in ((1, 9), (2, 4)):
        views.dead_letter(number, "invalid_field", DAY, json.dumps(survey(number, csat)).encode())
    views.insert(database)
    with silent_kafka() as kafka:
        yield {
            **os.environ,
            f"{PREFIX}IDENTITY_SECRET": SECRET.decode(),
            f"{PREFIX}DATABASE_URL": database,
            f"{PREFIX}KAFKA_BOOTSTRAP": kafka,
        }


@contextmanager
def locked(environment: dict[str, str], table: str, schema: str = "customer_timeline") -> Iterator[None]:
    """Nobody reads the table meanwhile."""
    with closing(psycopg2.connect(environment[f"{PREFIX}DATABASE_URL"])) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {schema}.{table} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def until_it_waits(environment: dict[str, str]) -> None:
    """Return once somebody waits for a lock of the database."""
    ask = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND cardinality(pg_blocking_pids(pid)) > 0)"
    )
    with closing(psycopg2.connect(environment[f"{PREFIX}DATABASE_URL"])) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def waits() -> bool:
            cursor.execute(ask)
            return cursor.fetchone() == (True,)

        until(waits, "somebody waits for a lock")


PUBLISHING = {
    "edit": ("dead-letters", "edit", "touchpoints/1/1", "--set", "/data/csat=4"),
    "correct": ("event", "correct", STORED_ID, "--set", "/data/csat=2", "--reason", "a slip"),
    "retract": ("event", "retract", STORED_ID, "--reason", "never said"),
    "merge": ("customer", "merge", ":".join(ANN), ":".join(BOB), "--reason", "one person"),
    "unmerge": ("customer", "unmerge", ":".join(ANN), ":".join(BOB), "--reason", "two persons"),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("words", PUBLISHING.values(), ids=PUBLISHING)
def test_what_waits_for_kafka_shows_it_and_ends_at_ctrl_c(
    deployed: dict[str, str], words: tuple[str, ...], as_json: bool
) -> None:
    with at_a_terminal([*COMMAND, *words, "--yes", *(["--json"] if as_json else [])], deployed) as terminal:
        terminal.until("waiting for Kafka")
        code, out = terminal.interrupt()
    assert code == 130, terminal.shown
    assert AGAIN in terminal.shown
    assert "Traceback" not in terminal.shown
    assert "waiting for Kafka" not in out
    assert not as_json or out == ""


def test_publishing_a_file_shows_that_it_waits_for_kafka_and_ends_at_ctrl_c(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(json.dumps(STORED) + "\n")
    words = ("publish", str(file), "--rejects", str(tmp_path / "rejects.ndjson"), "--json")
    with at_a_terminal([*COMMAND, *words], deployed) as terminal:
        terminal.until("waiting for Kafka")
        code, out = terminal.interrupt()
    assert (code, out) == (130, ""), terminal.shown
    assert "customer-timeline: interrupted." in terminal.shown


APPENDING = {
    "retry": ("dead-letters", "retry", "--where", "touchpoints/1/2"),
    "discard": ("dead-letters", "discard", "touchpoints/1/1", "--reason", "a test"),
}


@pytest.mark.parametrize("words", APPENDING.values(), ids=APPENDING)
def test_what_appends_operations_ends_at_ctrl_c(deployed: dict[str, str], words: tuple[str, ...]) -> None:
    with at_a_terminal([*COMMAND, *words, "--yes", "--json"], deployed) as terminal:
        terminal.until("appending")
        code, out = terminal.interrupt()
    assert (code, out) == (130, ""), terminal.shown
    assert AGAIN in terminal.shown


READING = {
    "edit": (("dead-letters", "edit", "touchpoints/1/1", "--set", "/data/csat=4"), "dead_letter", "working out"),
    "retry": (("dead-letters", "retry"), "dead_letter", "looking for dead letters"),
    "discard": (("dead-letters", "discard", "touchpoints/1/1", "--reason", "x"), "dead_letter", "looking for dead"),
    "retract": (("event", "retract", STORED_ID, "--reason", "x"), "timeline", "working out"),
    "merge": (("customer", "merge", ":".join(ANN), ":".join(BOB), "--reason", "x"), "identifier", "working out"),
}


@pytest.mark.parametrize(("words", "table", "step"), READING.values(), ids=READING)
def test_what_plans_shows_it_and_ends_at_ctrl_c(
    deployed: dict[str, str], words: tuple[str, ...], table: str, step: str
) -> None:
    with locked(deployed, table), at_a_terminal([*COMMAND, *words, "--dry-run", "--json"], deployed) as terminal:
        terminal.until(step)
        code, out = terminal.interrupt()
    assert (code, out) == (130, ""), terminal.shown
    assert AGAIN in terminal.shown


def test_a_read_that_waits_shows_it_and_ends_at_ctrl_c(deployed: dict[str, str]) -> None:
    words = ("customer", "show", ":".join(ANN), "--json")
    with locked(deployed, "identifier"), at_a_terminal([*COMMAND, *words], deployed) as terminal:
        terminal.until("reading")
        code, out = terminal.interrupt()
    assert (code, out) == (130, ""), terminal.shown
    assert "customer-timeline: interrupted." in terminal.shown


@pytest.mark.parametrize("words", [("digest", "--json"), ("migrate", "--json")], ids=["digest", "migrate"])
def test_what_waits_for_a_lock_of_postgres_ends_at_ctrl_c(deployed: dict[str, str], words: tuple[str, ...]) -> None:
    table, step = {"digest": ("timeline", "reading"), "migrate": ("schema_migration", "applying")}[words[0]]
    with locked(deployed, table), at_a_terminal([*COMMAND, *words], deployed) as terminal:
        terminal.until(step)
        code, out = terminal.interrupt()
    assert (code, out) == (130, ""), terminal.shown
    assert "customer-timeline: interrupted." in terminal.shown


def test_a_switch_that_waits_for_a_reader_ends_at_ctrl_c_and_changes_nothing(deployed: dict[str, str]) -> None:
    named = {name.removeprefix(PREFIX).lower(): value for name, value in deployed.items() if name.startswith(PREFIX)}
    settings = Settings(**named)  # type: ignore[arg-type]
    made(settings, force=True)
    words = ("rebuild", "switch", "--force", "--json")
    with locked(deployed, "identifier"), at_a_terminal([*COMMAND, *words], deployed) as terminal:
        terminal.until("waiting for readers")
        code, out = terminal.interrupt()
    assert (code, out) == (130, ""), terminal.shown
    assert "interrupted. It is done as a whole or not at all" in terminal.shown
    assert [one.role for one in statuses(settings)] == ["live", "rebuild"]


# As `rebuild start` does it once the log is read.
_INDEXING = """
import sys
from customer_timeline.runtime.interrupts import stoppable
from customer_timeline.runtime.rebuild.filling import Filling
from customer_timeline.runtime.rebuild.indexing import indexing
from customer_timeline.runtime.settings import load_settings
settings = load_settings()
with stoppable("Go on."), indexing(settings) as indexes:
    Filling(settings, workers=1, batch_events=1, told=lambda now: print(now.phase, file=sys.stderr))._index(indexes)
"""


def test_a_rebuild_that_makes_its_indexes_ends_at_ctrl_c_and_goes_on_with_those_that_are_left(
    deployed: dict[str, str],
) -> None:
    named = {name.removeprefix(PREFIX).lower(): value for name, value in deployed.items() if name.startswith(PREFIX)}
    settings = Settings(**named)  # type: ignore[arg-type]
    making.make(settings, force=True, told=silent)
    (absent,) = [one.absent_indexes for one in statuses(settings) if one.role == "rebuild"]
    with locked(deployed, "dead_letter", "customer_timeline_rebuild"):
        with at_a_terminal([sys.executable, "-c", _INDEXING], deployed) as terminal:
            terminal.until("index ")
            until_it_waits(deployed)
            code, _ = terminal.interrupt()
        assert code == 130, terminal.shown
    make_indexes(settings)
    assert absent > 0
    assert [one.absent_indexes for one in statuses(settings)] == [0, 0]


def test_a_long_query_shows_how_far_it_is_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    data = empty_history(tmp_path)
    for_ever = "SELECT count(*) FROM range(10000000) AS a (i), range(10000000) AS b (j) WHERE i * j % 7 = 8"
    with at_a_terminal([*COMMAND, "sql", for_ever, "--data", str(data), "--json"], os.environ) as terminal:
        terminal.until("asking")
        code, out = terminal.interrupt()
    assert (code, out) == (130, ""), terminal.shown
    assert "interrupted. The data is as it was; ask again." in terminal.shown
