"""`customer-timeline customer merge|unmerge|why` as an operator runs them: a process, a real Postgres, a real Kafka."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from published_log import read_log
from view_rows import SECRET, Views, event, identifier_id

from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import PREFIX, Settings

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "customer")
ANN, MEMBER, OTHER = ("email", "ann@example.com"), ("member_id", "M-1"), ("member_id", "M-2")
BOB, PHONE = ("email", "bob@example.com"), ("phone", "+14155550123")


def days_ago(days: int) -> str:
    return (datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)).isoformat()


def bought(number: int, days: int, amount: str, *who: tuple[str, str]) -> dict[str, Any]:
    data = {"order_id": f"o-{number}", "total": {"amount": amount, "currency": "USD"}}
    return event(number, "purchase.completed.v1", days_ago(days), data, who)


@pytest.fixture
def deployed(database: str) -> dict[str, str]:
    """Ann's email, member number and phone are one customer, by two purchases; Bob is another."""
    views = Views(version=wiring.projection_version(Settings(identity_secret=SECRET.decode())))
    views.customer([bought(1, 30, "10.50", MEMBER, ANN), bought(2, 20, "5", ANN, PHONE), bought(3, 10, "1", PHONE)])
    views.customer([bought(4, 5, "7", BOB)])
    views.insert(database)
    return {
        **os.environ,
        f"{PREFIX}IDENTITY_SECRET": SECRET.decode(),
        f"{PREFIX}DATABASE_URL": database,
        # Nothing listens there: what needs no Kafka must not ask for one.
        f"{PREFIX}KAFKA_BOOTSTRAP": "127.0.0.1:9",
    }


def run(environment: dict[str, str], *words: str, **further: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        env={**environment, **further},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def values(side: dict[str, Any]) -> set[str]:
    return {one["value"] for one in side["identifiers"]}


def test_a_dry_run_of_an_unmerge_shows_both_sides_and_what_the_veto_refuses(deployed: dict[str, str]) -> None:
    words = ("unmerge", "phone:(415) 555-0123", "member_id:M-1", "--reason", "Two people.", "--operator", "op-1")
    told = json.loads(run(deployed, *words, "--dry-run", "--json").stdout)
    assert (told["type"], told["counts"], told["changes"], told["position"]) == (
        "identity.unlinked.v1",
        True,
        True,
        None,
    )
    assert told["a"] == {"kind": "phone", "value": "(415) 555-0123"}
    (before,) = told["before"]
    assert (values(before), before["figures"]["net"]) == ({"M-1", "ann@example.com", "+14155550123"}, {"USD": "16.50"})
    # The older link stays: member and email, with the first two purchases; the phone keeps the third.
    assert [values(side) for side in told["after"]] == [{"M-1", "ann@example.com"}, {"+14155550123"}]
    assert [side["figures"] for side in told["after"]] == [
        {"events": 2, "purchases": 2, "net": {"USD": "15.50"}, "stage": "new"},
        {"events": 1, "purchases": 1, "net": {"USD": "1.00"}, "stage": "new"},
    ]
    (refused,) = told["refused_links"]
    assert (refused["a"]["value"], refused["b"]["value"], refused["reason"]) == (
        "ann@example.com",
        "+14155550123",
        "separated",
    )
    shown = run(deployed, *words, "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0] == "phone:(415) 555-0123 and member_id:M-1: never one customer, says op-1: Two people."
    assert [line.split()[0] for line in lines if " customer " in line and "says" not in line] == [
        "before",
        "after",
        "after",
    ]
    assert any(line.split()[:3] == ["email:ann@example.com", "phone:+14155550123", "separated"] for line in lines)


def test_a_dry_run_of_a_merge_adds_the_figures_of_both(deployed: dict[str, str]) -> None:
    told = json.loads(
        run(
            deployed, "merge", identifier_id(*BOB), "email:Ann@example.com", "--reason", "r", "--dry-run", "--json"
        ).stdout
    )
    assert told["a"] == {"kind": "email", "value": "bob@example.com"}
    (after,) = told["after"]
    assert after["figures"] == {"events": 4, "purchases": 4, "net": {"USD": "23.50"}, "stage": "loyal"}
    assert len(told["before"]) == 2
    assert told["operator"]


def test_a_merge_with_an_identifier_that_nobody_named_is_shown_too(deployed: dict[str, str]) -> None:
    told = json.loads(
        run(deployed, "merge", "crm_id:C-9", "member_id:M-1", "--reason", "r", "--dry-run", "--json").stdout
    )
    assert {frozenset(values(side)) for side in told["before"]} == {
        frozenset({"C-9"}),
        frozenset({"M-1", "ann@example.com", "+14155550123"}),
    }
    assert values(told["after"][0]) == {"C-9", "M-1", "ann@example.com", "+14155550123"}


def test_a_merge_publishes_a_decision_about_the_two_that_were_named(
    deployed: dict[str, str], kafka: str, topic: str
) -> None:
    there = {f"{PREFIX}KAFKA_BOOTSTRAP": kafka, f"{PREFIX}TOUCHPOINTS_TOPIC": topic}
    words = ("merge", "phone:(415) 555-0123", "email:bob@example.com", "--reason", "Said so.", "--operator", "op-1")
    asked = run(deployed, *words, **there)
    assert asked.returncode == 1
    assert "Publish this decision?" in asked.stderr
    assert read_log(kafka, topic) == []
    done = run(deployed, *words, "--yes", **there)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"Published at {topic}/")
    (record,) = read_log(kafka, topic)
    published = json.loads(record.value or b"")
    assert published["type"] == "identity.linked.v1"
    assert published["data"] == {
        "reason": "Said so.",
        "operator": "op-1",
        "a": {"kind": "phone", "value": "(415) 555-0123"},
        "b": {"kind": "email", "value": "bob@example.com"},
    }


def test_why_shows_the_chain_with_the_events_behind_it(deployed: dict[str, str]) -> None:
    shown = run(deployed, "why", "member_id:M-1", "phone:4155550123")
    assert (shown.returncode, shown.stderr) == (0, "")
    told = json.loads(run(deployed, "why", "member_id:M-1", "phone:4155550123", "--json").stdout)
    lines = shown.stdout.splitlines()
    assert lines[0] == f"member_id:M-1 and phone:+14155550123 are one customer, {told['a']['customer_id']}"
    assert [line.split()[:3] for line in lines[2:]] == [
        ["member_id:M-1", "email:ann@example.com", "yes"],
        ["email:ann@example.com", "phone:+14155550123", "yes"],
    ]
    assert all(
        line.rstrip().endswith(link["evidence"][0]["event_id"])
        for line, link in zip(lines[2:], told["chain"], strict=True)
    )
    apart = run(deployed, "why", "member_id:M-1", "email:bob@example.com")
    assert apart.stdout.splitlines()[-1] == "Nothing that is known leads from the one to the other."


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("why", "member_id:M-1", "email:nobody@example.com"), 1, "No event named the identifier b"),
        (("merge", "member_id:M-1", "member_id: M-1 ", "--reason", "r", "--dry-run"), 1, "both are the same"),
        (("merge", "member_id:M-1", "member_id:null", "--reason", "r", "--dry-run"), 1, "data.b"),
        (("merge", "member_id:M-1", "telephone:5", "--reason", "r", "--dry-run"), 1, "data.b"),
        (("merge", "member_id:M-1", "M-2", "--reason", "r", "--dry-run"), 1, "kind:value"),
        (("unmerge", "member_id:M-1", f"{'0' * 8}-0000-0000-0000-{'0' * 12}", "--reason", "r"), 1, "No event named"),
        (("merge", "member_id:M-1", "email:bob@example.com", "--reason", "r", "--yes"), 3, "did not answer"),
    ],
)
def test_what_cannot_be_decided_is_one_line(
    deployed: dict[str, str], words: tuple[str, ...], code: int, told: str
) -> None:
    done = run(deployed, *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "bob@" not in done.stderr
