"""`dead-letters retry|discard|edit|export|remove` and `event` as an operator runs them: processes, a log, a worker."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from generators import Sent
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from live_log import end_offsets
from pipeline import Pipeline, farm, pipeline
from typer.testing import CliRunner, Result
from worker_farm import until

from customer_timeline.producers.errors import OperationNotAcknowledged
from customer_timeline.runtime.cli.app import build_app
from customer_timeline.runtime.settings import PREFIX

__all__ = ["farm", "pipeline"]

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main")
ANN = "ann@example.com"


def survey(number: int, csat: int, channel: str = "web", **changes: Any) -> dict[str, Any]:
    """An answer of Ann's."""
    return {
        "specversion": "1.0",
        "id": f"answer-{number}",
        "source": "/surveys",
        "type": "survey.answered.v1",
        "time": f"2026-03-{number:02}T10:00:00Z",
        "data": {
            "survey_id": "s1",
            "csat": csat,
            "via": "online",
            "channel": channel,
            "identifiers": [{"kind": "email", "value": ANN}],
        },
        **changes,
    }


def sent(record: dict[str, Any]) -> Sent:
    return Sent(json.dumps(record).encode())


class Operator:
    """Runs commands against a pipeline."""

    def __init__(self, pipeline: Pipeline, **further: str) -> None:
        self.pipeline = pipeline
        self.settings = {**pipeline.settings(100, "w0"), **further}

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        named = {f"{PREFIX}{name.upper()}": value for name, value in self.settings.items()}
        done = subprocess.run(
            [*COMMAND, *words],
            env={**os.environ, **named},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def told(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, "--json").stdout)
        return found

    def here(self, *words: str) -> Result:
        """As `run`, in this process; errors are in the result."""
        named = {f"{PREFIX}{name.upper()}": value for name, value in self.settings.items()}
        return CliRunner().invoke(build_app(), words, env=named)

    def refuse_operations(self, *, refuse: bool) -> None:
        """Whether Kafka takes no record of operations."""
        size = {"max.message.bytes": "1" if refuse else "1048588"}
        operations = ConfigResource(ConfigResourceType.TOPIC, f"{self.pipeline.topic}.operations", configs=size)
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.pipeline.bootstrap)) as admin:
            admin.alter_configs([operations])

    def place(self, partition: int, offset: int) -> str:
        return f"{self.pipeline.topic}/{partition}/{offset}"

    def state(self, partition: int, offset: int) -> str:
        return str(self.told("dead-letters", "show", self.place(partition, offset))["state"])

    def wait_for_operations(self, count: int) -> None:
        until(
            lambda: len(self.pipeline.query("SELECT FROM operation")) == count,
            f"{count} operations are applied\n{self.pipeline.last_words()}",
        )


@pytest.fixture
def operator(pipeline: Pipeline) -> Operator:
    """Ann answered on the 1st by a channel that nobody knows yet, on the 2nd beyond the scale, on the 3rd rightly."""
    pipeline.append([sent(survey(1, 4, "kiosk")), sent(survey(2, 9)), sent(survey(3, 5))], lambda _: 0)
    pipeline.start(100)
    pipeline.settle()
    return Operator(pipeline)


def test_what_healed_discarded_and_replaced_is_so_again_after_a_rebuild(operator: Operator) -> None:
    pipeline = operator.pipeline
    nothing = operator.told("dead-letters", "retry", "--dry-run")
    assert (nothing["records"], nothing["accepted"], nothing["failing"]) == (2, 0, {"invalid_field": 2})
    discarded = operator.told("dead-letters", "discard", operator.place(0, 1), "--reason", "a test", "--yes")
    assert discarded["records"] == 1
    operator.wait_for_operations(1)
    assert operator.state(0, 1) == "discarded"
    edited = operator.told("dead-letters", "edit", operator.place(0, 1), "--set", "/data/csat=5", "--yes")
    (effect,) = edited["effects"]
    assert (effect["before"][0]["figures"]["events"], effect["after"][0]["figures"]["events"]) == (1, 2)
    operator.wait_for_operations(2)
    pipeline.settle()
    assert operator.state(0, 1) == "replaced"
    pipeline.check()
    before = pipeline.digests()
    for worker in pipeline.workers:
        worker.kill()
    pipeline.forget_everything()
    pipeline.start(100)
    pipeline.settle()
    operator.wait_for_operations(2)
    assert operator.state(0, 1) == "replaced"
    assert operator.state(0, 0) == "open"
    assert pipeline.digests() == before


def test_records_that_todays_code_accepts_end_as_if_they_had_never_failed(operator: Operator) -> None:
    pipeline = operator.pipeline
    # The code of today knows the channel; the tables are those of before.
    pipeline.workers[-1].kill()
    today = Operator(pipeline, extra_channels='["kiosk"]')
    pipeline.execute("UPDATE projection_meta SET projection_version = %s", _version(today))
    pipeline.workers.append(pipeline.farm.start(today.settings))
    told = today.told("dead-letters", "retry", "--reason", "invalid_field", "--yes")
    assert (told["records"], told["accepted"], told["failing"]) == (2, 1, {"invalid_field": 1})
    (effect,) = told["effects"]
    assert (effect["before"][0]["figures"]["events"], effect["after"][0]["figures"]["events"]) == (1, 2)
    today.wait_for_operations(1)
    assert (today.state(0, 0), today.state(0, 1)) == ("healed", "open")
    assert today.run("dead-letters", "list", "--each").stdout.count("\n") == 1
    after = pipeline.digests()
    pipeline.workers[-1].kill()
    pipeline.forget_everything()
    pipeline.workers.append(pipeline.farm.start(today.settings))
    pipeline.settle()
    assert pipeline.digests() == after
    today.wait_for_operations(1)


def test_a_record_without_an_id_that_is_repaired_twice_is_one_event(pipeline: Pipeline) -> None:
    record = survey(1, 9)
    del record["id"]
    pipeline.append([sent(record)], lambda _: 0)
    pipeline.start(100)
    pipeline.settle()
    operator = Operator(pipeline)
    for csat in (4, 5):
        operator.told("dead-letters", "edit", operator.place(0, 0), "--set", f"/data/csat={csat}", "--yes")
        pipeline.settle()
    assert pipeline.query("SELECT event -> 'data' ->> 'csat' FROM timeline") == [("5",)]
    pipeline.check()


def test_only_what_was_exported_is_removed_and_stays_so_in_a_rebuild(operator: Operator, tmp_path: Path) -> None:
    pipeline, file = operator.pipeline, tmp_path / "letters.ndjson"
    operator.run("dead-letters", "export", str(file))
    lines = file.read_text().splitlines()
    assert (len(lines), file.stat().st_mode & 0o077) == (2, 0)
    kept = operator.run("dead-letters", "remove", "--exported", str(file), "--yes", code=2)
    assert "DEAD_LETTERS_KEEP_DAYS" in kept.stderr
    young = operator.told("dead-letters", "remove", "--exported", str(file), "--older-than-days", "7", "--dry-run")
    assert (young["records"], young["younger"]) == (0, 2)
    tampered = json.loads(lines[1]) | {"sha256": "00" * 32}
    file.write_text(f"{lines[0]}\n{json.dumps(tampered)}\n")
    told = operator.told("dead-letters", "remove", "--exported", str(file), "--older-than-days", "0", "--yes")
    assert (told["records"], told["not_as_exported"]) == (1, 1)
    operator.wait_for_operations(1)
    left = pipeline.query("SELECT position FROM dead_letter")
    assert len(left) == 1
    pipeline.workers[-1].kill()
    pipeline.query("SELECT 1")
    # The decisions stand; the log is read again.
    pipeline.execute("TRUNCATE dead_letter")
    pipeline.execute("UPDATE projector_offset SET next_offset = 0")
    pipeline.start(100)
    pipeline.settle()
    assert pipeline.query("SELECT position FROM dead_letter") == left


def test_an_event_is_corrected_and_retracted_with_its_effect_shown_first(operator: Operator) -> None:
    pipeline = operator.pipeline
    ((event_id,),) = pipeline.query("SELECT event_id::text FROM timeline")
    shown = operator.told("event", "show", event_id)
    assert (shown["revision"], shown["retracted"], shown["event"]["data"]["csat"]) == (0, False, 5)
    dry = operator.told("event", "correct", event_id, "--reason", "typo", "--set", "/data/csat=1", "--dry-run")
    assert (dry["revision"], dry["position"], dry["effects"][0]["after"][0]["figures"]["events"]) == (1, None, 1)
    operator.run("event", "correct", event_id, "--reason", "typo", "--set", "/data/csat=1", "--yes")
    pipeline.settle()
    operator.wait_for_operations(1)
    assert operator.told("event", "show", event_id)["event"]["data"]["csat"] == 1
    taken = operator.told("event", "retract", event_id, "--reason", "never happened", "--yes")
    assert (taken["revision"], taken["effects"][0]["after"][0]["figures"]["events"]) == (2, 0)
    pipeline.settle()
    assert operator.told("event", "show", event_id)["retracted"] is True
    for words in (("retract",), ("correct", "--set", "/data/csat=2")):
        refused = operator.run("event", words[0], event_id, "--reason", "again", *words[1:], "--dry-run", code=1)
        assert "was retracted" in refused.stderr
    pipeline.check()


def test_a_correction_that_moves_an_event_does_what_was_shown(operator: Operator) -> None:
    pipeline = operator.pipeline
    others = [{"kind": "email", "value": "ben@example.com"}]
    about_ben = {"survey_id": "s1", "csat": 4, "via": "online", "channel": "web", "identifiers": others}
    pipeline.append([sent(survey(number, 4, data=about_ben)) for number in (5, 6)], lambda _: 0)
    pipeline.settle()
    ((event_id,),) = pipeline.query("SELECT event_id::text FROM timeline WHERE event ->> 'id' = 'answer-3'")
    moved = f"/data/identifiers={json.dumps(others)}"
    told = operator.told("event", "correct", event_id, "--reason", "Ben's", "--set", moved, "--yes")
    pipeline.settle()
    (effect,) = told["effects"]
    assert sorted(one["figures"]["events"] for one in effect["before"]) == [1, 2]
    shown = {one["customer_id"]: one["figures"]["events"] for one in effect["after"]}
    assert shown == dict(pipeline.query("SELECT customer_id::text, events FROM customer"))
    assert sorted(shown.values()) == [0, 3]


def test_a_command_whose_second_topic_failed_is_completed_by_running_it_again(operator: Operator) -> None:
    pipeline = operator.pipeline
    edit = ("dead-letters", "edit", operator.place(0, 1), "--set", "/data/csat=5")
    operator.refuse_operations(refuse=True)
    failed = operator.here(*edit, "--yes")
    assert isinstance(failed.exception, OperationNotAcknowledged)
    assert "Run the same command again" in str(failed.exception)
    pipeline.settle()  # the event is there, and the record still open
    ((event_id,),) = pipeline.query("SELECT event_id::text FROM timeline WHERE revision = 1")
    correct = ("event", "correct", event_id, "--reason", "typo", "--set", "/data/csat=4")
    operator.refuse_operations(refuse=False)
    told = json.loads(operator.here(*edit, "--yes", "--json").stdout)
    assert (told["event_id"], told["stands"], told["position"]) == (event_id, True, None)
    operator.wait_for_operations(1)
    operator.refuse_operations(refuse=True)
    assert isinstance(operator.here(*correct, "--yes").exception, OperationNotAcknowledged)
    pipeline.settle()
    operator.refuse_operations(refuse=False)
    assert json.loads(operator.here(*correct, "--yes", "--json").stdout)["stands"] is True
    operator.wait_for_operations(2)
    ends = end_offsets(pipeline.bootstrap, pipeline.topic)
    assert sum(ends.values()) == 3 + 2
    # What is complete is left alone: there is no operation that says so once more.
    assert "says this already" in operator.here(*correct, "--yes").stdout
    operator.wait_for_operations(2)
    assert end_offsets(pipeline.bootstrap, f"{pipeline.topic}.operations") == {0: 2}
    assert end_offsets(pipeline.bootstrap, pipeline.topic) == ends
    assert pipeline.query("SELECT kind, event_id::text FROM operation ORDER BY position") == [
        ("edited", event_id),
        ("corrected", event_id),
    ]
    pipeline.check()


def test_an_event_that_nobody_knows_is_told_so(operator: Operator) -> None:
    for name in ("nonsense", "00000000-0000-0000-0000-000000000001"):
        assert "There is no event" in operator.run("event", "show", name, code=1).stderr


def _version(operator: Operator) -> str:
    from customer_timeline.runtime import wiring
    from customer_timeline.runtime.settings import Settings

    settings = operator.settings
    return wiring.projection_version(
        Settings(
            identity_secret=settings["identity_secret"],
            business_time_zone=settings["business_time_zone"],
            extra_channels=frozenset({"kiosk"}),
        )
    )
