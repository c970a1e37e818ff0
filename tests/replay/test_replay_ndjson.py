"""`customer-timeline replay --to ndjson`: what counts, in the order of the log, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from reference.log_model import Record
from replay_runs import COMMAND, PARTITIONS, counted, environment, expected, fill, hard_log, killed, replay
from worker_farm import until

from customer_timeline.projections.cuts import Cut
from customer_timeline.schemas.decoded import to_micros


class Log(NamedTuple):
    """A log, and what points the command at it."""

    environment: dict[str, str]
    records: list[Record]


@pytest.fixture(scope="module")
def log(kafka: str) -> Log:
    """A hard log of a few hundred events."""
    return Log({**os.environ, **environment(kafka, "replayed")}, fill(kafka, "replayed", hard_log(1, 400)))


def test_gives_the_records_that_count_in_the_order_of_the_log(log: Log, tmp_path: Path) -> None:
    output = tmp_path / "events.ndjson"
    _, told = replay(log.environment, "--to", "ndjson", "--output", output)
    lines = output.read_bytes().splitlines()
    assert lines == expected(log.records)
    assert told["events"] == len(lines)
    assert told["records_read"] == len(log.records)
    assert told["retracted"] > 0
    assert told["superseded"] > 0
    assert told["dead_letters"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["events.ndjson"]


def test_gives_what_counted_at_an_earlier_time(log: Log) -> None:
    known = datetime(2025, 6, 1, tzinfo=UTC)
    lines, _ = replay(log.environment, "--to", "ndjson", "--until", "2025-06-01T00:00:00Z")
    cut = Cut(known_at_us=to_micros(known) - 1)
    assert lines.splitlines() == expected(log.records, cut)
    assert lines.splitlines() != expected(log.records)


def test_without_an_output_the_events_go_to_standard_output(log: Log) -> None:
    lines, told = replay(log.environment, "--to", "ndjson", "--jobs", "1")
    assert lines.splitlines() == expected(log.records)
    assert told["output"] is None


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--type", "purchase"), lambda event: event["type"].startswith("purchase.")),
        (("--type", "email.sent.v1"), lambda event: event["type"] == "email.sent.v1"),
        (("--channel", "phone"), lambda event: event["data"].get("channel") == "phone"),
        (
            ("--occurred-from", "2024-03-01T00:00:00Z", "--occurred-until", "2024-05-01T00:00:00Z"),
            lambda event: "2024-03" <= _utc(event["time"]) < "2024-05",
        ),
    ],
    ids=["family", "type", "channel", "occurred"],
)
def test_filters_ask_the_record_that_counts(log: Log, words: tuple[str, ...], wanted: Any) -> None:
    lines, _ = replay(log.environment, "--to", "ndjson", "--jobs", "1", *words)
    assert lines.splitlines() == [line for line in expected(log.records) if wanted(json.loads(line))]
    assert lines


def test_cuts_begin_with_their_first_instant_and_end_before_their_last(log: Log) -> None:
    """All at once, each bound an instant of some event, against a plain filter over the log."""
    recorded = sorted(one.recorded_at for one in counted(log.records) if one.recorded_at.year < 2026)
    from_, until = recorded[len(recorded) // 5], recorded[-5]
    known = counted(log.records, Cut(known_at_us=to_micros(until) - 1))
    occurred = sorted(one.event.occurred_at for one in known)
    occurred_from, occurred_until = occurred[5], occurred[-5]
    words = ("--from", from_, "--until", until, "--occurred-from", occurred_from, "--occurred-until", occurred_until)
    said = [str(word).replace(" ", "T") for word in words]
    lines, told = replay(log.environment, "--to", "ndjson", "--jobs", "1", *said)
    in_time = [one for one in known if from_ <= one.recorded_at < until]
    wanted = [one.line for one in in_time if occurred_from <= one.event.occurred_at < occurred_until]
    assert lines.splitlines() == wanted
    assert 0 < len(wanted) < len(in_time) < len(known)
    assert told["events"] == len(wanted)


def test_all_filters_together_leave_what_passes_each(log: Log) -> None:
    words = ("--type", "email", "--channel", "web", "--partition", "2", "--from", "2025-06-01T00:00:00Z")
    lines, _ = replay(log.environment, "--to", "ndjson", "--jobs", "1", *words)
    wanted = [
        one.line
        for one in counted(log.records)
        if one.event.type.startswith("email.")
        and one.event.channel == "web"
        and one.partition == 2
        and one.recorded_at >= datetime(2025, 6, 1, tzinfo=UTC)
    ]
    assert lines.splitlines() == wanted
    assert wanted


def test_a_partition_gives_its_events_though_others_hold_what_beats_them(log: Log) -> None:
    words = ("--to", "ndjson", "--jobs", "1", "--partition")
    parts = [replay(log.environment, *words, str(number))[0] for number in range(PARTITIONS)]
    assert b"".join(parts).splitlines() == expected(log.records)


def test_records_give_the_log_as_it_is(log: Log) -> None:
    lines, told = replay(log.environment, "--to", "ndjson", "--records")
    found = [json.loads(line) for line in lines.splitlines()]
    assert [(one["partition"], one["offset"]) for one in found] == sorted((r.partition, r.offset) for r in log.records)
    assert told["events"] == len(log.records)
    assert any("value_base64" in one for one in found)


def test_a_killed_replay_goes_on_where_it_stood_and_ends_the_same_to_the_byte(kafka: str, tmp_path: Path) -> None:
    records = fill(kafka, "replay-killed", hard_log(2, 3_000))
    environ = {**os.environ, **environment(kafka, "replay-killed")}
    output, words = tmp_path / "events.ndjson", ("--to", "ndjson", "--output", str(tmp_path / "events.ndjson"))
    folder = tmp_path / "events.ndjson.replay"

    def stood() -> int:
        notes = [folder / f"{number}.note" for number in range(PARTITIONS)]
        return sum(json.loads(note.read_bytes())["records"] for note in notes if note.exists())

    for number in (signal.SIGKILL, signal.SIGINT):
        before = stood()
        with subprocess.Popen(
            [*COMMAND, "replay", *words, "--max-rate", "600"], env=environ, start_new_session=True
        ) as run:
            until(lambda before=before: stood() > before, "a checkpoint")  # type: ignore[misc]
            if number == signal.SIGINT:
                os.killpg(run.pid, number)
            else:
                run.send_signal(number)
            run.wait(60)
        assert not output.exists()
        assert 0 < stood() < len(records)
    _, told = replay(environ, *words)
    assert told["resumed"]
    assert output.read_bytes().splitlines() == expected(records)
    assert told["records_read"] == len(records)


def test_killed_as_it_decides_and_as_it_writes_it_ends_the_same_to_the_byte(log: Log, tmp_path: Path) -> None:
    output = tmp_path / "events.ndjson"
    words = ("--to", "ndjson", "--output", output, "--jobs", "1")
    for moment in ("deciding:Lost.merge:3", "ndjson:Path.replace:1"):
        killed(log.environment, moment, *words)
        assert not output.exists()
    _, told = replay(log.environment, *words)
    assert told["resumed"]
    assert output.read_bytes().splitlines() == expected(log.records)
    assert [path.name for path in tmp_path.iterdir()] == ["events.ndjson"]


def test_something_else_is_not_mixed_into_an_unfinished_replay(log: Log, tmp_path: Path) -> None:
    output = tmp_path / "events.ndjson"
    folder = tmp_path / "events.ndjson.replay"
    with subprocess.Popen(
        [*COMMAND, "replay", "--to", "ndjson", "--output", str(output), "--max-rate", "10"], env=log.environment
    ) as run:
        until((folder / "question.json").exists, "the replay begins")
        taken = _refused(log, "--output", str(output))
        run.kill()
    assert f"Another replay is working in {folder}" in taken
    assert "asked for something else (type)" in _refused(log, "--output", str(output), "--type", "purchase")
    replay(log.environment, "--to", "ndjson", "--output", output, "--from-start")
    assert "is there already" in _refused(log, "--output", str(output))


def test_a_misspelt_type_is_refused(log: Log) -> None:
    assert "no such type" in _refused(log, "--type", "purchases")


def _refused(log: Log, *words: str) -> str:
    done = subprocess.run(
        [*COMMAND, "replay", "--to", "ndjson", *words],
        env=log.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat()
