"""`customer-timeline customer lifecycle|list` as a user runs them: a process and a real Postgres."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from view_rows import SECRET, Views, event, identifier_id, viewed

from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import PREFIX, Settings

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "customer")
ANN, BOB = ("email", "ann@example.com"), ("email", "bob@example.com")


def days_ago(days: int) -> str:
    """The stages are those of the machine's clock, so the events are dated by it."""
    return (datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)).isoformat()


@pytest.fixture
def deployed(database: str) -> dict[str, str]:
    """Ann bought 100 days ago and was silent since; Bob was seen yesterday. Their rows are as old as their events."""
    environment = {f"{PREFIX}IDENTITY_SECRET": SECRET.decode(), f"{PREFIX}DATABASE_URL": database}
    views = Views(version=wiring.projection_version(Settings(identity_secret=SECRET.decode())))
    bought: dict[str, Any] = {"order_id": "o", "total": {"amount": "5", "currency": "USD"}}
    opened = {"case_id": "c-1", "theme": "late"}
    views.customer(
        [
            event(1, "purchase.completed.v1", days_ago(100), bought, [ANN]),
            event(2, "complaint.opened.v1", days_ago(99), opened, [ANN]),
        ]
    )
    views.customer([viewed(3, days_ago(1), BOB)])
    views.insert(database)
    return {**os.environ, **environment}


def run(environment: dict[str, str], *words: str, **further: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], env={**environment, **further}, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_lifecycle_reads_as_stage_periods_reasons_and_what_bears_on_it(deployed: dict[str, str]) -> None:
    told = json.loads(run(deployed, "lifecycle", "email:Ann@Example.com", "--json").stdout)
    assert (told["stage"], told["flags"]) == ("at_risk", ["complaint_open", "silent"])
    shown = run(deployed, "lifecycle", "email:ann@example.com")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.rstrip() for line in shown.stdout.splitlines()]
    assert lines[:2] == [
        f"customer   {identifier_id(*ANN)}",
        f"stage      at_risk (complaint_open, silent) since {told['since']}, until {told['until']} if nothing happens",
    ]
    words = [line.split() for line in lines]
    # The complaint was open for a week after 92 days, the silence 30 days long after 69; both within the first 90.
    assert [row[:4] for row in words if row[0] in ("was", "is")] == [
        ["was", "new", "-", told["history"][0]["from"]],
        ["was", "at_risk", "complaint_open", told["history"][1]["from"]],
        ["is", "at_risk", "complaint_open,", "silent"],
    ]
    assert ["will", "be", "churned", "complaint_open,", "silent", told["until"], "for", "ever"] in words
    assert [line for line in lines if line.startswith("why")] == [
        "why at_risk: rule at_risk_complaint",
        "why complaint_open: rule complaint_open",
        "why silent: rule silent",
    ]
    assert ["case_id", "1", "c-1"] in words
    assert ["silent_days", "30"] in words
    evidence = {event_id for reason in told["reasons"] for one in reason["events"] for event_id in one["event_ids"]}
    assert evidence
    assert all(any(line.endswith(event_id) for line in lines) for event_id in evidence)
    assert lines[-1].startswith(
        "P(alive) 1.0 (0 repeat days, recency 0 d, age 100 d); 1 of 1 complaints open; 0 contracts;"
    )


def test_a_list_shows_who_has_a_stage_and_how_to_go_on(deployed: dict[str, str]) -> None:
    shown = run(deployed, "list", "--order", "-last_event", "--limit", "1")
    assert shown.returncode == 0, shown.stderr
    heading, row, summary = shown.stdout.splitlines()
    assert heading.split()[:3] == ["customer_id", "stage", "flags"]
    assert row.split()[:3] == [identifier_id(*BOB), "prospect", "-"]
    assert summary.startswith("2 customers at ")
    assert summary.endswith("prospect 1, new 0, active 0, loyal 0, at_risk 1, churned 0, won_back 0")
    cursor = shown.stderr.strip().removeprefix("More: --cursor ")
    following = run(deployed, "list", "--order", "-last_event", "--cursor", cursor)
    assert following.stdout.splitlines()[1].split()[:4] == [identifier_id(*ANN), "at_risk", "complaint_open,", "silent"]
    assert following.stderr == ""
    told = json.loads(run(deployed, "list", "--stage", "at_risk", "--flag", "silent", "--json").stdout)
    assert [item["customer_id"] for item in told["items"]] == [identifier_id(*ANN)]


def test_a_list_of_nobody_says_so(deployed: dict[str, str]) -> None:
    assert run(deployed, "list", "--stage", "loyal").stdout.startswith("0 customers at ")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("lifecycle", "email:nobody@example.com"), 1, "No event named this identifier"),
        (("list", "--stage", "lost"), 2, "Not valid: --stage:"),
        (("list", "--cursor", "x"), 1, "Use next_cursor of the page before"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    deployed: dict[str, str], words: tuple[str, ...], code: int, told: str
) -> None:
    done = run(deployed, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_rules_than_those_of_the_rows_list_nobody(deployed: dict[str, str]) -> None:
    done = run(deployed, "list", **{f"{PREFIX}STAGES": '{"silent_days": 31}'})
    assert (done.returncode, done.stdout) == (1, "")
    assert "2 customers are still to be assessed" in done.stderr
