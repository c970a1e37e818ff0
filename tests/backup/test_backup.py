"""`customer-timeline backup`: what a folder holds afterwards, and that a run can be cut off anywhere."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient
from log_copies import CLI, append_odd_records, environment, everything, run, segments, told
from worker_farm import until

from customer_timeline.runtime.backup.segments import read_segment
from customer_timeline.streams.log_reader import LogRecord


@pytest.fixture
def env(kafka: str, topic: str) -> dict[str, str]:
    return environment(kafka, topic)


def saved(folder: Path) -> list[LogRecord]:
    """All records of a backup, in the order of the log."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return [
        record._replace(headers=list(record.headers))
        for topic in manifest["topics"].values()
        for segment in topic["segments"]
        for record in read_segment(folder, segment["file"], segment["partition"])
    ]


def test_a_backup_holds_every_record_as_it_is(env: dict[str, str], kafka: str, topic: str, tmp_path: Path) -> None:
    append_odd_records(kafka, topic, 500)

    answer = told(env, "backup", "--output", tmp_path / "copy")

    assert (answer["added"], answer["records"], answer["positions"]) == (
        500,
        500,
        {topic: {"0": 125, "1": 125, "2": 125, "3": 125}},
    )
    assert saved(tmp_path / "copy") == everything(kafka, topic)
    assert told(env, "backup", "--verify", tmp_path / "copy")["verified"] is True
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700


def test_a_second_run_adds_only_what_is_new(env: dict[str, str], kafka: str, topic: str, tmp_path: Path) -> None:
    append_odd_records(kafka, topic, 40)
    told(env, "backup", "--output", tmp_path)
    before = {file: file.stat().st_mtime_ns for file in segments(tmp_path)}
    append_odd_records(kafka, topic, 8)

    assert told(env, "backup", "--output", tmp_path)["added"] == 8
    assert told(env, "backup", "--output", tmp_path)["added"] == 0

    assert saved(tmp_path) == everything(kafka, topic)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(segments(tmp_path)) == 8  # one a partition and run that found something


def test_a_killed_backup_goes_on_where_it_was(env: dict[str, str], kafka: str, topic: str, tmp_path: Path) -> None:
    append_odd_records(kafka, topic, 30_000)
    words = ("backup", "--output", str(tmp_path), "--segment-mib", "1")
    process = subprocess.Popen([*CLI, *words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(
        lambda: bool(segments(tmp_path)) and (tmp_path / "manifest.json").exists(), "a segment is safe", every_s=0.001
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {file: file.stat().st_mtime_ns for file in segments(tmp_path)[:1]}
    assert run(env, "backup", "--verify", tmp_path).returncode == 0  # what is named is whole

    answer = told(env, *words)

    assert answer["records"] == 30_000
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert saved(tmp_path) == everything(kafka, topic)
    assert list(tmp_path.rglob("*.partial")) == []


def test_a_backup_that_is_asked_to_stop_says_how_to_go_on(
    env: dict[str, str], kafka: str, topic: str, tmp_path: Path
) -> None:
    append_odd_records(kafka, topic, 30_000)
    words = ("backup", "--output", str(tmp_path), "--segment-mib", "1")
    process = subprocess.Popen([*CLI, *words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: bool(list(tmp_path.rglob("*.partial")) or segments(tmp_path)), "the backup has begun", every_s=0.001)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    if process.returncode:  # it may have been done in that moment
        assert (process.returncode, "Run the same command again to go on." in said) == (130, True)
    assert told(env, *words)["records"] == 30_000


def test_a_changed_byte_is_found_and_its_file_named(
    env: dict[str, str], kafka: str, topic: str, tmp_path: Path
) -> None:
    append_odd_records(kafka, topic, 400)
    told(env, "backup", "--output", tmp_path)
    damaged = segments(tmp_path)[2]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    done = run(env, "backup", "--verify", tmp_path)

    assert done.returncode == 1
    assert f"{topic}/{damaged.name} has another checksum" in done.stderr


def test_a_manifest_that_was_changed_is_refused(env: dict[str, str], kafka: str, topic: str, tmp_path: Path) -> None:
    append_odd_records(kafka, topic, 4)
    told(env, "backup", "--output", tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"partitions": 4', '"partitions": 5'))

    done = run(env, "backup", "--verify", tmp_path)

    assert (done.returncode, "manifest.json has another checksum" in done.stderr) == (1, True)


def test_a_folder_with_the_backup_of_another_log_is_refused(
    env: dict[str, str], kafka: str, topic: str, tmp_path: Path, kafka_admin: KafkaAdminClient
) -> None:
    append_odd_records(kafka, topic, 4)
    told(env, "backup", "--output", tmp_path)
    kafka_admin.delete_topics([topic])
    until(lambda: topic not in kafka_admin.list_topics(), "the topic is gone")
    kafka_admin.create_topics({topic: {"num_partitions": 4, "replication_factor": 1}}, wait_for_metadata=True)

    done = run(env, "backup", "--output", tmp_path)

    assert (done.returncode, "holds the backup of another topic" in done.stderr) == (1, True)


def test_a_folder_with_other_files_is_refused(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not mix")

    done = run(env, "backup", "--output", tmp_path)

    assert (done.returncode, "holds other files" in done.stderr) == (1, True)


def test_a_topic_that_is_missing_is_named(kafka: str, tmp_path: Path) -> None:
    done = run(environment(kafka, "nothing-here"), "backup", "--output", tmp_path)

    assert (done.returncode, "'nothing-here' does not exist" in done.stderr) == (1, True)
