"""`customer-timeline publish` as a user runs it: a process, a real Kafka, files, signals."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import live_log
import pytest
from published_log import NOON, read_log, viewed
from silent_broker import silent
from worker_farm import until

from customer_timeline.producers.touchpoints import email, page_viewed
from customer_timeline.runtime.embedded import EmbeddedKafka
from customer_timeline.runtime.settings import PREFIX
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.position_token import EventPosition, PositionToken

COMMAND = [sys.executable, "-m", "customer_timeline.runtime.cli.main", "publish"]
CODEC = Codec(IdentityPolicy(), b"any secret: nothing here depends on it")
SUMMARY = "read", "published", "rejected"


class Ended(NamedTuple):
    """How the command ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.out)
        return told


class Deployment:
    """A topic and the environment that points the command at it."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.environment = {
            **os.environ,
            f"{PREFIX}KAFKA_BOOTSTRAP": bootstrap,
            f"{PREFIX}TOUCHPOINTS_TOPIC": topic,
        }

    def publish(self, *arguments: object, given: bytes = b"", **environment: str) -> Ended:
        ended = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=given,
            env={**self.environment, **environment},
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def ids(self) -> list[str]:
        return sorted(CODEC.parse(record.value).id for record in read_log(self.bootstrap, self.topic))


@pytest.fixture
def deployment(kafka: str, topic: str) -> Deployment:
    return Deployment(kafka, topic)


def lines(*events: bytes) -> bytes:
    return b"".join(event + b"\n" for event in events)


GOOD = [CODEC.encode(viewed(str(number))) for number in range(3)]
BAD = GOOD[0].replace(b'"web"', b'"pigeon"')


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_a_good_file_is_published_and_the_summary_says_so(client: str, deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*GOOD))

    ended = deployment.publish(file, CUSTOMER_TIMELINE_PUBLISHER=client)

    assert ended.code == 0
    assert ended.out.startswith("Read 3: 3 published, 0 rejected (")
    assert ended.err == ""
    assert deployment.ids() == ["0", "1", "2"]
    assert list(tmp_path.iterdir()) == [file]


def test_the_summary_gives_a_token_of_the_positions_of_all_that_was_published(
    deployment: Deployment, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*GOOD))

    for_programs = deployment.publish(file, "--json").summary["token"]
    for_people = deployment.publish(file).out.splitlines()[1].removeprefix("Position token: ")
    positions = [record.position for record in read_log(deployment.bootstrap, deployment.topic)]

    # One person, so one partition: the first run wrote offsets 0 to 2, the second 3 to 5.
    for token, offsets in ((for_programs, [0, 1, 2]), (for_people, [3, 4, 5])):
        named = PositionToken.parse(token).events
        assert named == tuple(EventPosition(positions[0].partition, offset) for offset in offsets)
    assert deployment.publish(file, "--dry-run", "--json").summary["token"] is None


def test_rejected_lines_go_to_a_private_side_file_and_the_others_are_published(
    deployment: Deployment, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(GOOD[0], BAD, b"{", GOOD[1]))

    ended = deployment.publish(file, "--json")

    assert ended.code == 1
    side_file = tmp_path / "events.ndjson.rejected.ndjson"
    assert [ended.summary[name] for name in SUMMARY] == [4, 2, 2]
    assert ended.summary["reasons"] == {"invalid_field": 1, "not_json": 1}
    assert ended.summary["rejects"] == str(side_file)
    assert side_file.stat().st_mode & 0o777 == 0o600
    told = [json.loads(line) for line in side_file.read_text().splitlines()]
    assert [(line["line"], line["reason"], line["field"]) for line in told] == [
        (2, "invalid_field", "data.channel"),
        (3, "not_json", None),
    ]
    assert told[0]["original"] == BAD.decode()
    assert deployment.ids() == ["0", "1"]


def test_a_side_file_of_an_earlier_run_does_not_outlive_its_reasons(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(BAD))
    deployment.publish(file, "--dry-run")
    assert (tmp_path / "events.ndjson.rejected.ndjson").exists()

    file.write_bytes(lines(GOOD[0]))
    deployment.publish(file, "--dry-run")

    assert not (tmp_path / "events.ndjson.rejected.ndjson").exists()


def test_standard_input_is_a_file_too(deployment: Deployment, tmp_path: Path) -> None:
    ended = deployment.publish("-", "--rejects", tmp_path / "no.ndjson", "--json", given=lines(*GOOD, BAD))

    assert ended.code == 1
    assert [ended.summary[name] for name in SUMMARY] == [4, 3, 1]
    assert (tmp_path / "no.ndjson").exists()
    assert deployment.ids() == ["0", "1", "2"]


def test_publishing_twice_writes_the_same_events_again_byte_for_byte(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*GOOD))

    assert deployment.publish(file).code == deployment.publish(file).code == 0

    values = [record.value for record in read_log(deployment.bootstrap, deployment.topic)]
    # Two records of each event with one id and one content: to every reader of the log one event.
    assert sorted(values) == sorted(GOOD * 2)


def test_a_dry_run_needs_no_kafka(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*GOOD))

    ended = deployment.publish(file, "--dry-run", CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP="127.0.0.1:1")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Read 3: 3 valid, 0 rejected (")


def test_the_channels_of_the_deployment_are_those_of_its_settings(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(BAD))

    assert deployment.publish(file, CUSTOMER_TIMELINE_EXTRA_CHANNELS='["pigeon"]').code == 0


def test_a_file_that_cannot_be_read_is_one_line(deployment: Deployment, tmp_path: Path) -> None:
    ended = deployment.publish(tmp_path / "none.ndjson")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"customer-timeline: Cannot read {tmp_path}/none.ndjson: No such file or directory.\n"
    assert deployment.publish(tmp_path).err.count("\n") == 1


def test_the_side_file_may_not_be_the_file_itself(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*GOOD))

    ended = deployment.publish(file, "--rejects", file)

    assert ended.code == 1
    assert "it is the file that is read" in ended.err
    assert file.read_bytes() == lines(*GOOD)


def test_a_kafka_that_cannot_be_reached_is_one_line_and_exit_code_3(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*GOOD))

    ended = deployment.publish(file, CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP="127.0.0.1:1")

    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("customer-timeline: Kafka at 127.0.0.1:1 did not answer")
    assert ended.err.count("\n") == 1


def test_a_missing_topic_is_one_line_and_stays_missing(
    deployment: Deployment, tmp_path: Path, kafka_admin: Any
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*GOOD))

    ended = deployment.publish(file, CUSTOMER_TIMELINE_TOUCHPOINTS_TOPIC="nowhere-to-be-found")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("customer-timeline: Topic 'nowhere-to-be-found' does not exist on Kafka at ")
    assert ended.err.count("\n") == 1
    assert "nowhere-to-be-found" not in kafka_admin.list_topics()


@contextmanager
def publishing(
    deployment: Deployment, rejects: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], io.RawIOBase]]:
    """The command as it reads what is written to it, to the end of the block."""
    pipe, feed = os.pipe()
    running = subprocess.Popen(
        [*COMMAND, "-", "--json", "--rejects", str(rejects)],
        stdin=pipe,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**deployment.environment, **environment},
    )
    os.close(pipe)
    with running, os.fdopen(feed, "wb", buffering=0) as stdin:
        yield running, stdin


def test_interrupted_it_says_how_far_it_is_and_the_next_run_completes_it(
    deployment: Deployment, tmp_path: Path
) -> None:
    def event(number: int) -> bytes:
        who = [email(f"{number % 97}@example.com")]
        url = "https://shop.example.com/"
        return CODEC.encode(
            page_viewed(source="/shop", id=str(number), time=NOON, identifiers=who, channel="web", url=url)
        )

    with publishing(deployment, tmp_path / "no.ndjson") as (running, stdin):
        # It reads on: the pipe stays open, so this is the middle of the input.
        stdin.write(lines(*(event(number) for number in range(500))))
        deadline = time.monotonic() + 60
        while len(read_log(deployment.bootstrap, deployment.topic)) < 400:
            assert time.monotonic() < deadline
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)

    assert running.returncode == 130
    told = json.loads(out)
    in_log = deployment.ids()
    assert told["interrupted"]
    assert told["published"] == len(in_log) == told["read"]
    assert in_log == sorted(str(number) for number in range(len(in_log)))
    assert b"Run the same command again to go on" in err

    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*(event(number) for number in range(500))))
    assert deployment.publish(file).code == 0
    assert set(deployment.ids()) == {str(number) for number in range(500)}


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_interrupted_while_kafka_is_silent_it_says_what_is_published_and_of_what_nobody_knows(
    client: str, own_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    live_log.create_topic(own_kafka.bootstrap, "log", 1)
    deployment = Deployment(own_kafka.bootstrap, "log")
    with publishing(deployment, tmp_path / "no.ndjson", CUSTOMER_TIMELINE_PUBLISHER=client) as (running, stdin):
        stdin.write(lines(*GOOD[:2]))
        until(lambda: len(read_log(deployment.bootstrap, deployment.topic)) == 2, "two are in the log")
        with silent(own_kafka):
            stdin.write(lines(GOOD[2], BAD))
            # The line behind it was rejected, so it was handed over.
            until(lambda: (tmp_path / "no.ndjson").exists(), "all lines are read")
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    told = json.loads(out)
    assert (told["interrupted"], told["published"], told["unacknowledged"]) == (True, 2, 1)
