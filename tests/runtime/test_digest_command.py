"""`customer-timeline digest` as a user runs it: a process and a real Postgres."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from view_rows import SECRET, Views, identifier_id, viewed

from customer_timeline.projections.digest import COVERAGE, FORM
from customer_timeline.runtime.settings import PREFIX

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "digest")
ANN, BOB = ("email", "ann@example.com"), ("email", "bob@example.com")


@pytest.fixture
def deployed(database: str) -> dict[str, str]:
    """Ann and Bob, who each looked at a page."""
    views = Views()
    views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    views.customer([viewed(2, "2026-03-02T00:00:00Z", BOB)])
    views.insert(database)
    return {**os.environ, f"{PREFIX}IDENTITY_SECRET": SECRET.decode(), f"{PREFIX}DATABASE_URL": database}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


def told(environment: dict[str, str], *words: str) -> list[dict[str, object]]:
    done = run(environment, *words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_digest_a_table_and_one_of_all(deployed: dict[str, str]) -> None:
    (answer,) = told(deployed)
    assert (answer["form"], answer["projection_version"], answer["as_of"]) == (FORM, "customer-1-test", None)
    tables = answer["tables"]
    assert isinstance(tables, dict)
    assert list(tables) == list(COVERAGE)
    assert {table: found["rows"] for table, found in tables.items() if found["rows"]} == {
        "timeline": 2,
        "identifier": 2,
        "customer": 2,
    }
    lines = run(deployed).stdout.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        *([table, found["sha256"]] for table, found in tables.items()),
        ["all", answer["sha256"]],
    ]
    assert lines[-1] == f"form {FORM}, projection customer-1-test, stages at all instants"
    assert told(deployed) == [answer]


def test_one_digest_a_customer(deployed: dict[str, str]) -> None:
    head, *customers = told(deployed, "--customers")
    assert "tables" not in head
    assert {one["customer_id"]: one["rows"] for one in customers} == {identifier_id(*ANN): 3, identifier_id(*BOB): 3}
    (ann,) = [one for one in customers if one["customer_id"] == identifier_id(*ANN)]
    assert told(deployed, "--customer", "email:Ann@Example.com") == [head, ann]
    shown = run(deployed, "--customer", identifier_id(*ANN)).stdout.splitlines()
    assert shown[0].split() == [ann["customer_id"], ann["sha256"], "3", "rows"]


def test_as_of_an_instant_stages_are_those_of_it(deployed: dict[str, str]) -> None:
    (always,) = told(deployed)
    (then,) = told(deployed, "--as-of", "2026-03-01T12:00:00+01:00")
    assert then["as_of"] == "2026-03-01T11:00:00Z"
    differing = [table for table in COVERAGE if then["tables"][table] != always["tables"][table]]  # type: ignore[index]
    assert differing == ["customer"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--as-of", "yesterday"), 2, "Not valid: --as-of: use RFC 3339"),
        (("--customer", "email:zoe@example.com"), 1, "No event named this identifier"),
        (("--customer", "zoe"), 1, "Use an identifier_id"),
        (("--customers", "--customer", "email:ann@example.com"), 2, "choose"),
    ],
)
def test_what_cannot_be_answered_is_told(deployed: dict[str, str], words: tuple[str, ...], code: int, why: str) -> None:
    done = run(deployed, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert why in done.stderr


def test_a_server_that_is_not_there_is_exit_code_3() -> None:
    done = run({**os.environ, f"{PREFIX}DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"})
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
