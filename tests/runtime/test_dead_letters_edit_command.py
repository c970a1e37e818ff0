"""`customer-timeline dead-letters edit` as an operator runs it: a process, a real Postgres, a real Kafka."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from published_log import read_log
from view_rows import SECRET, SOURCE, Views, event, identifier_id, viewed

from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import PREFIX, Settings
from customer_timeline.schemas.envelope import event_id
from customer_timeline.schemas.operations import decode_operation
from customer_timeline.schemas.topics import operations_topic
from customer_timeline.streams.topic_setup import ensure_topics

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "dead-letters", "edit")
ANN, BOB = ("email", "ann@example.com"), ("email", "bob@example.com")
DAY = "2026-03-01T10:00:00Z"


def survey(number: int, csat: Any = 9, **changes: Any) -> dict[str, Any]:
    """An answer of Ann's; nine is no possible one."""
    data = {"survey_id": "s-1", "csat": csat, "via": "online"}
    return {**event(number, "survey.answered.v1", DAY, data, [ANN]), **changes}


NO_ID = {name: value for name, value in survey(4).items() if name != "id"}
CARRIER = event(7, "delivery.shipped.v1", DAY, {"order_id": "o-1", "carrier": 5})
LETTERS: dict[int, bytes | None] = {
    1: json.dumps(survey(1)).encode(),
    2: b"{broken",
    3: json.dumps(survey(3, revision=6, smell="nice", recordedtime="2099-01-01T00:00:00Z")).encode(),
    4: json.dumps(NO_ID).encode(),
    5: json.dumps(survey(50)).encode(),  # the id of a stored event, which has revision 3
    6: json.dumps(survey(6, 4, data={**survey(6, 4)["data"], "comment": "a\x00b"})).encode(),
    7: json.dumps(CARRIER).encode(),
    8: None,
}


@pytest.fixture
def deployed(database: str) -> dict[str, str]:
    """Ann and an order of hers are known; eight records are no events."""
    views = Views(version=wiring.projection_version(Settings(identity_secret=SECRET.decode())))
    views.customer([viewed(20, DAY, ANN), survey(50, 3, revision=3)])
    views.thing("order", "o-1", owner=identifier_id(*ANN))
    for number, value in LETTERS.items():
        views.dead_letter(number, "invalid_field", DAY, value)
    views.insert(database)
    return {
        **os.environ,
        f"{PREFIX}IDENTITY_SECRET": SECRET.decode(),
        f"{PREFIX}DATABASE_URL": database,
        # Nothing listens there: what needs no Kafka must not ask for one.
        f"{PREFIX}KAFKA_BOOTSTRAP": "127.0.0.1:9",
    }


def run(environment: dict[str, str], number: int, *words: str, **further: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, f"touchpoints/1/{number}", *words],
        env={**environment, **further},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def planned(environment: dict[str, str], number: int, *words: str) -> dict[str, Any]:
    done = run(environment, number, *words, "--dry-run", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["dry_run"], told["position"]) == (True, None)
    return told


def test_a_dry_run_shows_the_event_and_whose_timeline_it_would_join(deployed: dict[str, str]) -> None:
    told = planned(deployed, 1, "--set", "/data/csat=4")
    assert told["event_id"] == event_id(SOURCE, survey(1)["id"])
    assert (told["new_id"], told["revision"], told["stored_revision"]) == (False, 1, None)
    assert told["event"]["data"]["csat"] == 4
    assert told["customer_id"] == identifier_id(*ANN)
    assert told["identifiers"] == [{"kind": "email", "value": ANN[1], "customer_id": identifier_id(*ANN)}]
    shown = run(deployed, 1, "--set", "/data/csat=4", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"timeline  joins that of customer {identifier_id(*ANN)}" in shown.stdout.splitlines()
    assert '    "csat": 4,' in shown.stdout.splitlines()


def test_what_the_record_holds_too_much_of_can_be_taken_out_and_its_revision_is_exceeded(
    deployed: dict[str, str],
) -> None:
    told = planned(deployed, 3, "--remove", "/smell", "--set", "/data/csat=4")
    assert told["revision"] == 7
    # The copy is known from now on, whatever the record said of itself.
    assert not {"smell", "recordedtime"} & set(told["event"])


def test_a_stored_event_of_that_id_is_corrected(deployed: dict[str, str]) -> None:
    told = planned(deployed, 5, "--set", "/data/csat=4")
    assert (told["stored_revision"], told["revision"]) == (3, 4)
    assert planned(deployed, 5, "--set", "/data/csat=4", "--set", "/revision=9")["revision"] == 9


def test_a_record_without_an_id_becomes_an_event_with_a_new_one(deployed: dict[str, str]) -> None:
    told = planned(deployed, 4, "--set", "/data/csat=4")
    assert (told["new_id"], told["revision"]) == (True, 0)
    # Made of the record's place: who repairs it twice makes one event of it.
    assert uuid.UUID(told["event"]["id"]).version == 5
    assert planned(deployed, 4, "--set", "/data/csat=3")["event_id"] == told["event_id"]


def test_an_event_about_an_order_joins_its_owner(deployed: dict[str, str]) -> None:
    told = planned(deployed, 7, "--set", '/data/carrier="DHL"')
    assert told["things"] == [{"kind": "order", "value": "o-1", "customer_id": identifier_id(*ANN)}]
    assert told["customer_id"] == identifier_id(*ANN)


def test_somebody_whom_nobody_named_yet_begins_a_timeline(deployed: dict[str, str]) -> None:
    shown = run(deployed, 1, "--set", "/data/csat=4", "--set", f'/data/identifiers/0/value="{BOB[1]}"', "--dry-run")
    assert "timeline  begins one: nobody has these identifiers yet" in shown.stdout.splitlines()


def test_what_is_no_json_is_repaired_from_a_file(deployed: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "repaired.json"
    file.write_text(json.dumps(survey(2, 4)))
    for number in (2, 8):
        told = planned(deployed, number, "--file", str(file))
        assert told["event_id"] == event_id(SOURCE, survey(2)["id"])


def test_the_copy_is_published_once_somebody_said_yes(deployed: dict[str, str], kafka: str, topic: str) -> None:
    operations = f"{topic}.operations"
    ensure_topics(kafka, [operations_topic(operations, 1)])
    there = {
        f"{PREFIX}KAFKA_BOOTSTRAP": kafka,
        f"{PREFIX}TOUCHPOINTS_TOPIC": topic,
        f"{PREFIX}OPERATIONS_TOPIC": operations,
    }
    asked = run(deployed, 1, "--set", "/data/csat=4", **there)
    assert (asked.returncode, read_log(kafka, topic)) == (1, [])
    assert "Publish this event?" in asked.stderr
    done = run(deployed, 1, "--set", "/data/csat=4", "--yes", **there)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"Published at {topic}/")
    (record,) = read_log(kafka, topic)
    expected = copy.deepcopy(survey(1, 4, revision=1))
    assert json.loads(record.value or b"") == expected
    (decided,) = read_log(kafka, operations)
    operation = decode_operation(decided.value)
    assert (operation.kind, str(operation.event_id)) == ("edited", event_id(SOURCE, survey(1)["id"]))
    assert [tuple(place.model_dump().values()) for place in operation.places] == [("touchpoints", 1, 1)]


def test_a_command_that_is_interrupted_says_how_to_go_on(deployed: dict[str, str]) -> None:
    command = [*COMMAND, "touchpoints/1/1", "--set", "/data/csat=4"]
    with subprocess.Popen(
        command, env=deployed, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        while "Publish this event?" not in said and (char := process.stderr.read(1)):
            said += char
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    assert process.returncode == 130
    assert "interrupted. Run the same command again" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("number", "words", "code", "told"),
    [
        (1, ("--set", "/data/csat=8"), 1, "at data.csat"),
        (1, ("--set", '/id="other"'), 1, "keep both"),
        (1, ("--set", "=5"), 1, "no JSON object"),
        (1, ("--set", "/data/none/x=1"), 2, "'/data/none/x' cannot be followed"),
        (1, ("--set", "/data/csat=four"), 2, "JSON_POINTER=JSON"),
        (1, ("--remove", "/data/none"), 2, "nothing stands there"),
        (1, (), 2, "--set"),
        (1, ("--file", "nowhere.json"), 2, "nowhere.json cannot be read"),
        (1, ("--set", "/data/csat=4", "--yes", "--reason", ""), 2, "Not valid: --reason: String should have at least"),
        (1, ("--set", "/data/csat=4", "--yes", "--operator", "o" * 201), 2, "Not valid: --operator"),
        (2, ("--set", "/data/csat=4"), 1, "--file"),
        (6, ("--set", "/data/csat=3"), 1, "U+0000"),
        (9, ("--set", "/data/csat=4"), 1, "touchpoints/1/9 is no dead letter"),
        (1, ("--set", "/data/csat=4", "--yes"), 3, "did not answer"),
    ],
)
def test_what_cannot_be_published_says_why_and_quotes_nobody(
    deployed: dict[str, str], number: int, words: tuple[str, ...], code: int, told: str
) -> None:
    done = run(deployed, number, *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert told in done.stderr
    assert "ann@" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("dead-letters", "edit", "touchpoints/1/1"),
        ("event", "correct", event_id(SOURCE, str(survey(50)["id"])), "--reason", "a slip"),
    ],
    ids=["edit", "correct"],
)
def test_all_invalid_fields_are_told_at_once_in_one_line(deployed: dict[str, str], command: tuple[str, ...]) -> None:
    wrong = ("/data/csat=8", '/data/nps="ann@example.com"', '/data/channel="ann@example.com"', "/time=5")
    words = [word for one in wrong for word in ("--set", one)]
    done = subprocess.run(
        [*COMMAND[:3], *command, *words, "--dry-run"],
        env=deployed,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("customer-timeline: invalid_envelope (survey.answered.v1): time: ")
    assert "; data.csat: Input should be less than or equal to 5; data.nps: Input should be a valid integer; " in line
    assert "; data.channel: expected one of " in line
    assert "ann@" not in line
