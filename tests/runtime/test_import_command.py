"""`customer-timeline import` as a user runs it: a process, a real Kafka, files, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from published_log import CODEC, read_log

from customer_timeline.runtime.settings import PREFIX
from customer_timeline.schemas.position_token import PositionToken

COMMAND = [sys.executable, "-m", "customer_timeline.runtime.cli.main", "import"]
HEADER = "order,day,email,total\n"
MAPPING = """
[source]
uri = "shop"
format = "csv"
zone = "UTC"
[[event]]
type = "purchase.completed.v1"
id = "{order}"
time = { column = "day", at = "12:00" }
identifiers = [{ kind = "email", value = "{email}" }]
[event.fields]
channel = "web"
order_id = "shop:{order}"
total = { column = "total", as = "money", currency = "EUR" }
"""


class Ended(NamedTuple):
    """How the command ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.out)
        return told


class Deployment:
    """A topic, a folder with a table and its mapping, and the environment that points the command there."""

    def __init__(self, bootstrap: str, topic: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.folder = folder
        self.table = folder / "orders.csv"
        self.mapping = folder / "orders.toml"
        self.mapping.write_text(MAPPING)
        self.state = folder / "orders.csv.import-state.json"
        self.side_file = folder / "orders.csv.rejected.ndjson"
        self.environment = {
            **os.environ,
            f"{PREFIX}KAFKA_BOOTSTRAP": bootstrap,
            f"{PREFIX}TOUCHPOINTS_TOPIC": topic,
        }

    def run(self, *arguments: object, given: bytes = b"", **environment: str) -> Ended:
        ended = subprocess.run(
            self.command(*arguments),
            input=given,
            env={**self.environment, **environment},
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def command(self, *arguments: object) -> list[str]:
        return [*COMMAND, *map(str, arguments or (self.table,)), "--mapping", str(self.mapping)]

    def write(self, *rows: str) -> None:
        self.table.write_text(HEADER + "".join(f"{row}\n" for row in rows))

    def ids(self) -> list[str]:
        return sorted(CODEC.parse(record.value).id for record in read_log(self.bootstrap, self.topic))


@pytest.fixture
def deployment(kafka: str, topic: str, tmp_path: Path) -> Deployment:
    return Deployment(kafka, topic, tmp_path)


def row(number: int) -> str:
    return f"{number},2024-01-31,person{number % 97}@example.com,{number % 50}.50"


BAD = "9,2024-01-31,nine@example.com,nine"


def test_a_good_table_is_published_and_the_report_says_so(deployment: Deployment) -> None:
    deployment.write(*map(row, range(3)))

    ended = deployment.run()

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Read 3 rows: 3 events published, 0 rows rejected (")
    assert deployment.ids() == ["0", "1", "2"]
    assert sorted(deployment.folder.iterdir()) == [deployment.table, deployment.mapping]


def test_the_report_gives_a_token_of_the_positions_of_all_that_was_published(deployment: Deployment) -> None:
    deployment.write(*map(row, range(100)))

    token = PositionToken.parse(deployment.run(deployment.table, "--json").told["token"])
    shown = deployment.run().out.splitlines()[1].removeprefix("Position token: ")

    # More events than are named one by one. Each run wrote the same to each partition.
    ends = Counter(record.position.partition for record in read_log(deployment.bootstrap, deployment.topic))
    assert token.events is None
    assert dict(token.next_offsets) == {partition: end // 2 for partition, end in ends.items()}
    assert dict(PositionToken.parse(shown).next_offsets) == ends


def test_rejected_rows_go_to_a_private_side_file_and_mended_ones_into_the_log(deployment: Deployment) -> None:
    deployment.write(row(1), BAD, row(2))

    ended = deployment.run(deployment.table, "--json")

    assert ended.code == 1
    assert (ended.told["rows"]["read"], ended.told["published"], ended.told["rows"]["rejected"]) == (3, 2, 1)
    assert ended.told["rejects"] == str(deployment.side_file)
    assert deployment.side_file.stat().st_mode & 0o777 == 0o600
    assert "nine@example.com" not in ended.out + ended.err
    deployment.side_file.write_text(deployment.side_file.read_text().replace('"total":"nine"', '"total":"9.00"'))

    assert deployment.run(deployment.side_file, "--mended").code == 0
    assert deployment.ids() == ["1", "2", "9"]


def test_importing_twice_writes_the_same_events_again_byte_for_byte(deployment: Deployment) -> None:
    deployment.write(*map(row, range(3)))

    assert deployment.run().code == deployment.run().code == 0

    values = Counter(record.value for record in read_log(deployment.bootstrap, deployment.topic))
    # Two records of each event with one id and one content: to every reader of the log one event.
    assert set(values.values()) == {2}
    assert len(values) == 3


def test_standard_input_is_a_table_too(deployment: Deployment) -> None:
    given = (HEADER + row(1) + "\n").encode()

    ended = deployment.run("-", "--rejects", deployment.folder / "no.ndjson", given=given)

    assert ended.code == 0
    assert deployment.ids() == ["1"]


def test_a_dry_run_shows_events_and_needs_no_kafka(deployment: Deployment) -> None:
    deployment.write(row(7), BAD, row(8))

    ended = deployment.run(
        deployment.table, "--dry-run", "--show", 2, "--json", CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP="127.0.0.1:1"
    )

    assert (ended.code, ended.err) == (1, "")
    shown, rejected = ended.told["examples"]
    assert shown["row"] == 1
    assert shown["events"][0]["data"]["identifiers"] == [{"kind": "email", "value": "person7@example.com"}]
    assert rejected["rejected"].startswith("invalid_cell (data.total): column total: expected a decimal")
    assert ended.told["rows"]["read"] == 3
    assert not deployment.state.exists()


def test_a_wrong_mapping_is_told_before_anything_is_published(deployment: Deployment) -> None:
    deployment.write(row(1))
    deployment.mapping.write_text(MAPPING.replace("{email}", "{mail}").replace("order_id", "oder_id"))

    ended = deployment.run()

    assert (ended.code, ended.out) == (2, "")
    assert "event 1, fields.oder_id: purchase.completed.v1 has no such field; there is order_id." in ended.err
    deployment.mapping.write_text(MAPPING.replace("{email}", "{mail}"))
    assert "event 1, identifiers: there is no column mail; there is email." in deployment.run().err
    assert deployment.ids() == []


@pytest.mark.parametrize("missing", ["table", "mapping"])
def test_a_file_that_cannot_be_read_is_one_line(deployment: Deployment, missing: str) -> None:
    deployment.write(row(1))
    path: Path = getattr(deployment, missing)
    path.unlink()

    ended = deployment.run()

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"customer-timeline: Cannot read {path}: No such file or directory.\n"


def test_a_kafka_that_cannot_be_reached_is_one_line_and_exit_code_3(deployment: Deployment) -> None:
    deployment.write(row(1))

    ended = deployment.run(CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP="127.0.0.1:1")

    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("customer-timeline: Kafka at 127.0.0.1:1 did not answer")


def started(deployment: Deployment, rows: int) -> subprocess.Popen[bytes]:
    """An import that is under way: it has published a part and said in its state how much for certain."""
    deployment.write(*map(row, range(rows)))
    running = subprocess.Popen(
        deployment.command(deployment.table, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=deployment.environment,
    )
    deadline = time.monotonic() + 90
    while not deployment.state.exists() or json.loads(deployment.state.read_text())["rows"] == 0:
        assert running.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return running


def test_a_killed_import_goes_on_where_it_was_and_publishes_nothing_twice_that_it_knew_of(
    deployment: Deployment,
) -> None:
    rows = 40_000
    running = started(deployment, rows)
    running.kill()
    running.communicate(timeout=60)
    known = json.loads(deployment.state.read_text())["rows"]
    assert 0 < known < rows

    ended = deployment.run(deployment.table, "--json")

    assert ended.code == 0
    assert ended.told["published_before"] == known
    assert ended.told["published"] == rows - known
    assert ended.told["rows"]["read"] == rows
    assert not deployment.state.exists()
    copies = Counter(deployment.ids())
    assert set(copies) == {str(number) for number in range(rows)}
    assert [copies[str(number)] for number in range(known)] == [1] * known


def test_an_interrupted_import_tells_how_far_it_is_and_goes_on_from_there(deployment: Deployment) -> None:
    rows = 40_000
    running = started(deployment, rows)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)

    assert running.returncode == 130
    told = json.loads(out)
    assert told["interrupted"]
    assert b"Run the same command again to go on" in err
    assert len(deployment.ids()) == told["published"] == json.loads(deployment.state.read_text())["rows"]

    assert deployment.run().code == 0
    assert Counter(deployment.ids()) == {str(number): 1 for number in range(rows)}
