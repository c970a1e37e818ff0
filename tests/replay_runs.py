"""Replays as a user runs them: the real command on a real log, and what the reference says must come out."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import duckdb
import live_log
from generators import Sent, Shape, seeded_log, shuffled
from reference.log_model import Record, history_of

from customer_timeline.projections.cuts import NO_CUT, Cut
from customer_timeline.runtime.replay import analysis
from customer_timeline.runtime.settings import PREFIX
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy

SECRET = "a secret of the tests"  # noqa: S105 - keys nothing but test data
CODEC = Codec(IdentityPolicy(), SECRET.encode())
COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main")
PARTITIONS = 3
_FIRST_RECORDED = datetime(2024, 12, 1, tzinfo=UTC)


def hard_log(seed: int, events: int) -> list[Sent]:
    """A log with everything in it that makes a log hard, a third of it recorded at times of the past."""
    random = Random(seed)
    return [_restored(sent, random) for sent in shuffled(seeded_log(seed, Shape(events=events)), seed, twice_percent=5)]


def _restored(sent: Sent, random: Random) -> Sent:
    if random.randrange(3):
        return sent
    recorded = _FIRST_RECORDED + timedelta(minutes=random.randrange(60 * 24 * 300))
    return replace(sent, headers=(("recordedtime", recorded.isoformat().encode()),))


def fill(kafka: str, topic: str, log: list[Sent], seed: int = 1) -> list[Record]:
    """Append the log to a new topic; gives it back as it stands there."""
    live_log.create_topic(kafka, topic, PARTITIONS)
    live_log.append(kafka, topic, log, live_log.anywhere(seed, PARTITIONS))
    return live_log.read_back(kafka, topic)


class Counted(NamedTuple):
    """A record that counts, where and when the log first took in what it says, and its line."""

    partition: int
    offset: int
    recorded_at: datetime
    event: DecodedEvent
    line: bytes


def counted(records: list[Record], cut: Cut = NO_CUT) -> list[Counted]:
    """The records that count, in the order of the log, as the reference has them."""
    places: defaultdict[bytes, list[Record]] = defaultdict(list)
    for record in records:
        places[record.value or b""].append(record)
    found: list[Counted] = []
    for told in history_of(records, CODEC, cut).winners:
        if told.decoded.type == "event.retracted.v1":
            continue
        spelling = min(told.spellings)
        copies = [
            (_recorded(record), record.partition, record.offset, value)
            for value, some in places.items()
            if hashlib.blake2b(value, digest_size=16).hexdigest() == spelling
            for record in some
        ]
        _, partition, offset, value = min(copy for copy in copies if _within(copy[0], cut))
        found.append(Counted(partition, offset, told.recorded_at, told.decoded, value.replace(b"\n", b" ")))
    return sorted(found, key=lambda one: one[:2])


def expected(records: list[Record], cut: Cut = NO_CUT) -> list[bytes]:
    """The lines of the events that count, in the order of the log."""
    return [one.line for one in counted(records, cut)]


def _recorded(record: Record) -> datetime:
    return datetime.fromisoformat(record.recorded_header) if record.recorded_header else record.appended_at


def _within(recorded: datetime, cut: Cut) -> bool:
    return cut is NO_CUT or recorded <= datetime.fromtimestamp(cut.recorded_until_us / 1e6, UTC)


def environment(kafka: str, topic: str, **settings: str) -> dict[str, str]:
    """What points the command at a log."""
    named = {"kafka_bootstrap": kafka, "touchpoints_topic": topic, "identity_secret": SECRET, **settings}
    return {f"{PREFIX}{name.upper()}": value for name, value in named.items()}


def replay(environment: dict[str, str], *words: str | Path) -> tuple[bytes, dict[str, Any]]:
    """Run the command; standard output, and what it tells."""
    done = subprocess.run(
        [*COMMAND, "replay", *map(str, words), "--json"], env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(done.stderr.decode().splitlines()[-1])
    return done.stdout, told


# Runs the command, and kills it as it comes to some call of some function for the n-th time.
_MORTAL = """
import importlib, itertools, os, signal, sys
from customer_timeline.runtime.cli.main import main
module, name, nth = sys.argv.pop(1).split(":")
place, calls = importlib.import_module(f"customer_timeline.runtime.replay.{module}"), itertools.count(1)
*within, name = name.split(".")
for part in within:
    place = getattr(place, part)
real = getattr(place, name)
def mortal(*given, **named):
    if next(calls) == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)
setattr(place, name, mortal)
main()
"""


def killed(environment: dict[str, str], at: str, *words: str | Path) -> None:
    """Run the command until it is killed `at` MODULE:FUNCTION:N of the replay."""
    command = [sys.executable, "-c", _MORTAL, at, "replay", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def asked(data: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows that the query gives over what a replay wrote."""
    with closing(analysis.open_data(data)) as connection:
        return analysis.ask(connection, query)[1]


def empty_history(folder: Path) -> Path:
    """A DuckDB file with what `sql` asks of one, and nothing in it."""
    data = folder / "history.duckdb"
    with closing(duckdb.connect(str(data))) as connection:
        connection.execute("CREATE TABLE people (id VARCHAR, person_id VARCHAR)")
        connection.execute(
            "CREATE TABLE events (event_id VARCHAR, type VARCHAR, occurred_at TIMESTAMPTZ, channel VARCHAR, "
            "sign_of_life BOOLEAN, listed BOOLEAN, anchor_id VARCHAR, person_id VARCHAR)"
        )
    return data
