"""The command line as a whole: errors are one line and an exit code, and what cannot be foreseen is not hidden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
from typer.main import get_command

from customer_timeline.runtime.cli.app import build_app

COMMAND = [sys.executable, "-m", "customer_timeline.runtime.cli.main"]
NOWHERE = {
    "CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "CUSTOMER_TIMELINE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
}


def _run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_names_every_command() -> None:
    told = _run("--help").stdout
    for command in (
        "api",
        "config",
        "customer",
        "dead-letters",
        "demo",
        "dev",
        "digest",
        "doctor",
        "migrate",
        "publish",
        "worker",
    ):
        assert f" {command} " in told


def _commands(words: Sequence[str]) -> dict[str, set[str]]:
    """Commands of the top level that these words load, each with those below it."""
    top = get_command(build_app(words))
    return {name: set(getattr(found, "commands", ())) for name, found in getattr(top, "commands", {}).items()}


def test_a_command_loads_nothing_but_itself_and_all_of_itself() -> None:
    every = _commands(())
    assert {"api", "customer", "dead-letters", "import"} <= every.keys()
    for name, below in every.items():
        assert _commands([name, "--help"]) == {name: below}
    for words in (["--help"], ["no-such-command"], ["identity"], ["app"], ["main"]):
        assert _commands(words) == every


def test_wrong_settings_are_one_line_and_exit_code_2() -> None:
    done = _run("config", "show", CUSTOMER_TIMELINE_API_PORT="x", CUSTOMER_TIMELINE_NO_SUCH="1")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("customer-timeline: Some settings are wrong.")
    assert "CUSTOMER_TIMELINE_API_PORT" in line
    assert "CUSTOMER_TIMELINE_NO_SUCH" in line


def test_wrong_usage_is_exit_code_2() -> None:
    assert _run("no-such-command").returncode == 2


@pytest.mark.parametrize("words", [("migrate",), ("customer", "show", "email:ann@example.com")])
def test_a_server_that_is_not_there_is_one_line_and_exit_code_3(words: tuple[str, ...]) -> None:
    done = _run(*words, **NOWHERE)
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_migrate_tells_what_it_did_and_check_what_is_to_be_done(empty_database: Callable[[], str]) -> None:
    url = {"CUSTOMER_TIMELINE_DATABASE_URL": empty_database()}
    before = _run("migrate", "--check", "--json", **url)
    assert before.returncode == 1
    names = json.loads(before.stdout)["pending"]
    assert names[0] == "0001_pre_initial.sql"
    assert json.loads(_run("migrate", "--json", **url).stdout)["applied"] == names
    after = _run("migrate", "--check", **url)
    assert (after.returncode, after.stdout) == (0, "Schema customer_timeline is up to date.\n")
