"""The API as real processes: granian, Postgres, Kafka, and the same answers on the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
from api_process import COMMAND, DEADLINE_S, command, serving, until_answers
from view_rows import SECRET, Views, event, viewed

from customer_timeline.runtime import wiring
from customer_timeline.runtime.embedded.ports import free_port, is_free
from customer_timeline.runtime.settings import PREFIX, Settings

ANN = ("email", "ann@example.com")


@pytest.fixture
def deployed(settings: Settings, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a deployment with one customer, Ann."""
    secret = {"identity_secret": SECRET.decode()}
    told = Settings(**{name: getattr(settings, name) for name in settings.model_fields_set} | secret)
    views = Views(version=wiring.projection_version(told))
    mail = event(3, "email.sent.v1", "2026-03-03T00:00:00Z", {"message_id": "m"}, [ANN], channel="email")
    views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN), viewed(2, "2026-03-02T00:00:00Z", ANN), mail])
    views.dead_letter(7, "not_json", "2026-03-01T00:00:00Z", value=b"\xffbroken", error="not JSON at byte 0")
    views.insert(settings.database_url.get_secret_value())
    return {**environment, f"{PREFIX}IDENTITY_SECRET": SECRET.decode()}


def test_two_processes_answer_count_together_and_log_no_identifier(deployed: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with serving(deployed, log, "--workers", "2") as (process, address):
        processes = psutil.Process(process.pid).children()
        assert len([child for child in processes if "resource_tracker" not in " ".join(child.cmdline())]) == 2
        view = f"{address}/v1/customers/email:Ann@example.com"
        # A new connection each time: whichever process accepts it answers the same.
        answers = [httpx.get(view) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.headers["etag"] for answer in answers}) == 1
        page = httpx.get(f"{view}/timeline", params={"limit": 2}).json()
        assert [item["id"] for item in page["items"]] == ["e3", "e2"]
        ready = httpx.get(f"{address}/readyz")
        assert ready.status_code == 200, ready.text
        assert httpx.get(f"{address}/v1/customers/email:nobody@example.com").status_code == 404
        metrics = httpx.get(f"{address}/metrics").text
        counted = re.search(
            r'duration_seconds_count\{method="GET",route="/v1/customers/{ref}",status="200"\} (\S+)', metrics
        )
        assert counted is not None
        assert float(counted[1]) == 20
        assert (
            command(deployed, "customer", "show", "email:Ann@example.com", "--json").stdout.strip() == answers[0].text
        )
        twin = command(deployed, "customer", "timeline", "email:Ann@example.com", "--json", "--limit", "2")
        assert json.loads(twin.stdout) == page
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum(line.get("route") == "/v1/customers/{ref}" for line in lines) == 21
    assert "example" not in log.read_text()


def test_a_process_that_is_killed_is_replaced_and_none_outlives_a_killed_server(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    with serving(deployed, tmp_path / "api.log", "--workers", "1") as (process, address):
        server = psutil.Process(process.pid)
        (worker,) = server.children()
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait(DEADLINE_S)
        until_answers(process, address, tmp_path / "api.log")
        (replacement,) = server.children()
        process.kill()
        process.wait(DEADLINE_S)
        replacement.wait(DEADLINE_S)
        assert is_free(httpx.URL(address).port or 0)


def test_it_refuses_to_listen_beyond_loopback_unless_told(deployed: dict[str, str], tmp_path: Path) -> None:
    everywhere = ".".join("0000")
    refused = command(deployed, "api", "--host", everywhere, "--port", str(free_port()))
    assert refused.returncode == 1
    assert "--insecure" in refused.stderr
    assert "Traceback" not in refused.stderr
    with serving(deployed, tmp_path / "api.log", "--host", everywhere, "--insecure") as (_, address):
        assert httpx.get(f"{address}/livez", headers={"host": "timeline.internal"}).status_code == 200


def test_the_command_line_shows_customers_and_timelines_to_people(deployed: dict[str, str]) -> None:
    shown = command(deployed, "customer", "show", "email:ann@example.com")
    assert shown.returncode == 0, shown.stderr
    assert "ann@example.com" in shown.stdout
    assert "3 events, 2 signs of life" in shown.stdout
    listed = command(deployed, "customer", "timeline", "email:ann@example.com", "--type", "page.viewed", "--limit", "1")
    assert listed.stdout.count("page.viewed.v1") == 1
    cursor = listed.stderr.split()[-1]
    further = ("--type", "page.viewed", "--cursor", cursor)
    assert "2026-03-01T00:00:00Z" in command(deployed, "customer", "timeline", "email:ann@example.com", *further).stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("customer", "show", "email:nobody@example.com"), 1, "No event named this identifier"),
        (("customer", "show", "nobody"), 1, "identifier_id"),
        (("customer", "timeline", "email:ann@example.com", "--from", "yesterday"), 2, "--from"),
        (("customer", "timeline", "email:ann@example.com", "--limit", "201"), 2, "--limit"),
        (("customer", "timeline", "email:ann@example.com", "--cursor", "x"), 1, "next_cursor"),
        (("dead-letters", "show", "touchpoints/1/8"), 1, "no dead letter"),
        (("dead-letters", "show", "touchpoints"), 2, "TOPIC/PARTITION/OFFSET"),
        (("dead-letters", "show", f"touchpoints/1/{1 << 70}"), 1, "no dead letter"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_an_exit_code(
    deployed: dict[str, str], words: tuple[str, ...], code: int, told: str
) -> None:
    refused = command(deployed, *words)
    assert refused.returncode == code, refused.stderr
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


def test_dead_letters_are_listed_without_and_shown_with_their_content(deployed: dict[str, str]) -> None:
    listed = command(deployed, "dead-letters", "list", "--each").stdout
    assert listed == "2026-03-01T00:00:00Z  touchpoints/1/7  not_json  not JSON at byte 0\n"
    assert command(deployed, "dead-letters", "list", "--reason", "unknown_type").stdout == ""
    (one,) = command(deployed, "dead-letters", "list", "--each", "--json").stdout.splitlines()
    assert json.loads(one)["offset"] == 7
    whole = json.loads(command(deployed, "dead-letters", "show", "touchpoints/1/7", "--json").stdout)
    assert (whole["key"], whole["value_base64"]) == ("key", "/2Jyb2tlbg==")  # base64 of ff 62 72 6f 6b 65 6e
    raw = subprocess.run(
        [*COMMAND, "dead-letters", "show", "touchpoints/1/7", "--raw"], env=deployed, capture_output=True, check=True
    )
    assert raw.stdout == b"\xffbroken"
