"""`customer-timeline dead-letters` as an operator runs it, what it shows and what it refuses, on a real Postgres."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from view_rows import SECRET, Views

from customer_timeline.runtime.settings import PREFIX

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "dead-letters")
SURVEY = "survey.answered.v1"


@pytest.fixture
def deployed(database: str) -> dict[str, str]:
    """Two records that fail at one field of lists, and one that is no JSON."""
    views = Views()
    for number in (1, 2):
        error = f"invalid_field ({SURVEY} at data.themes[{number}]): Input should be a valid string"
        views.dead_letter(number, "invalid_field", f"2026-03-0{number}T00:00:00Z", b"{}", error, SURVEY)
    views.dead_letter(3, "not_json", "2026-03-03T00:00:00Z", error="not_json: EOF at line 1 column 2")
    views.insert(database)
    settings = {"IDENTITY_SECRET": SECRET.decode(), "DATABASE_URL": database, "KAFKA_BOOTSTRAP": "127.0.0.1:9"}
    return {**os.environ, **{PREFIX + name: value for name, value in settings.items()}}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_list_shows_groups_and_leads_to_their_records(deployed: dict[str, str]) -> None:
    shown = run(deployed, "list")
    assert (shown.returncode, shown.stderr) == (0, "")
    first, second = shown.stdout.splitlines()
    assert first.startswith("2026-03-03T00:00:00Z  touchpoints/1/3  1 since 2026-03-03T00:00:00Z  ")
    assert second.startswith("2026-03-02T00:00:00Z  touchpoints/1/2  2 since 2026-03-01T00:00:00Z  ")
    assert second.endswith("  invalid_field (survey.answered.v# at data.themes[#]): Input should be a valid string")
    (group,) = map(json.loads, run(deployed, "list", "--reason", "invalid_field", "--json").stdout.splitlines())
    assert (group["count"], group["type"], group["last"]["offset"]) == (2, SURVEY, 2)
    records = run(deployed, "list", "--each", "--fingerprint", group["fingerprint"], "--json").stdout.splitlines()
    assert [json.loads(record)["offset"] for record in records] == [2, 1]


def test_single_records_come_in_pages(deployed: dict[str, str]) -> None:
    first = run(deployed, "list", "--each", "--limit", "2")
    assert [line.split()[1] for line in first.stdout.splitlines()] == ["touchpoints/1/3", "touchpoints/1/2"]
    assert first.stderr == "There are more: go on with --after touchpoints/1/2\n"
    second = run(deployed, "list", "--each", "--limit", "2", "--after", "touchpoints/1/2")
    assert [line.split()[1] for line in second.stdout.splitlines()] == ["touchpoints/1/1"]
    assert second.stderr == ""


def test_a_window_and_a_type_choose_among_them(deployed: dict[str, str]) -> None:
    words = ("--since", "2026-03-02T00:00:00Z", "--until", "2026-03-03T00:00:00Z", "--type", "survey.answered")
    (line,) = run(deployed, "list", "--each", *words).stdout.splitlines()
    assert line.split()[1] == "touchpoints/1/2"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("list", "--since", "yesterday"), 2, "--since: use RFC 3339"),
        (("list", "--fingerprint", "x"), 2, "--fingerprint"),
        (("list", "--after", "touchpoints/1/2"), 2, "--each"),
        (("list", "--each", "--after", "touchpoints/1/9"), 1, "touchpoints/1/9 is no dead letter"),
        (("list", "--each", "--after", "touchpoints"), 2, "Invalid value for --after"),
        (("retry", "--where", "touchpoints/1/1", "--reason", "future", "--dry-run"), 2, "either records or filters"),
        (("retry", "--yes", "--note", ""), 2, "Not valid: --note: String should have at least 1 character"),
        (("discard", "touchpoints/1/1", "--yes", "--reason", "x" * 1001), 2, "Not valid: --reason"),
        (("discard", "touchpoints/1/1", "--yes", "--reason", "x", "--operator", "o" * 201), 2, "--operator"),
        (("show", "touchpoints/1/9"), 1, "touchpoints/1/9 is no dead letter"),
        (("show", "touchpoints"), 2, "TOPIC/PARTITION/OFFSET"),
    ],
)
def test_what_cannot_be_shown_says_why(deployed: dict[str, str], words: tuple[str, ...], code: int, told: str) -> None:
    done = run(deployed, *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_record_is_shown_whole_by_either_way_to_write_its_place(deployed: dict[str, str]) -> None:
    told = json.loads(run(deployed, "show", "touchpoints/1/3", "--json").stdout)
    assert (told["value"], told["reason"]) == ("{", "not_json")
    assert json.loads(run(deployed, "show", "touchpoints:1:3", "--json").stdout) == told
