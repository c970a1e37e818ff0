"""What a replay asks beside the log: the view, for one customer; and kafka-python, where nothing quicker is there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import psycopg2
from digest import digest_of
from generators import Shape, seeded_log
from live_log import read_back
from pipeline import Pipeline, farm, pipeline
from replay_runs import COMMAND, SECRET, counted, expected, fill, hard_log, replay

from customer_timeline.runtime.replay.analysis import ask, open_data
from customer_timeline.runtime.replay.ndjson import write_ndjson
from customer_timeline.runtime.replay.run import Question, Ways
from customer_timeline.runtime.replay.run import replay as run_replay
from customer_timeline.runtime.settings import PREFIX, Settings

__all__ = ["farm", "pipeline"]  # fixtures: a log, a database, and workers between them


def test_customers_are_those_of_the_live_view(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.append(seeded_log(7, Shape(events=150, people=12)), lambda sent: sum(sent.key or b"") % 2)
    pipeline.start(100)
    pipeline.settle()
    named = {f"{PREFIX}{name.upper()}": value for name, value in pipeline.settings(100, "w0").items()}
    environment = {**os.environ, **named}
    with psycopg2.connect(pipeline.url) as connection, connection.cursor() as cursor:
        # Of the customer with most things: their events stand at the things, not at an identifier.
        cursor.execute(
            "SELECT i.customer_id FROM customer_timeline.identifier AS i "
            "JOIN customer_timeline.thing AS t ON t.owner_id = i.identifier_id "
            "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        )
        ((customer,),) = cursor.fetchall()
    _is_hers(pipeline, environment, customer)
    # Whose each event is, although only purchases are asked for.
    replay(environment, "--to", "parquet", "--output", tmp_path / "history", "--type", "purchase", "--jobs", "1")
    live = digest_of(pipeline.url)
    customer_of = {identifier_id: row["customer_id"] for identifier_id, row in live["identifiers"].items()}
    connection = open_data(tmp_path / "history")
    assert dict(ask(connection, "SELECT id, person_id FROM people")[1]) == {
        **customer_of,
        **{thing_id: customer_of[owner] for thing_id, owner in live["things"].items()},
    }
    connection.close()
    # All that decides is at work: shared values, limits, and what operators said.
    assert {"shared", "separated", "limit:member_id"} <= {link["refused"] for link in live["links"].values()}


def _is_hers(pipeline: Pipeline, environment: dict[str, str], customer: str) -> None:
    """`--customer` gives the events of the customer's timeline."""
    lines, _ = replay(environment, "--to", "ndjson", "--customer", customer)
    shown = subprocess.run(
        [*COMMAND, "customer", "timeline", customer, "--limit", "200", "--json"],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    listed = {one["event_id"] for one in json.loads(shown.stdout)["items"]}
    records = read_back(pipeline.bootstrap, pipeline.topic)
    assert lines.splitlines() == [one.line for one in counted(records) if one.event.event_id in listed]
    assert len(lines.splitlines()) == len(listed) > 5


def test_kafka_python_alone_gives_the_same(kafka: str, tmp_path: Path) -> None:
    records = fill(kafka, "replay-slow", hard_log(6, 150))
    settings = Settings(kafka_bootstrap=kafka, touchpoints_topic="replay-slow", identity_secret=SECRET)
    output = tmp_path / "events.ndjson"
    outcome = run_replay(
        settings,
        Question("ndjson"),
        Ways(output, client="kafka-python"),
        lambda crew, work, decided: {"bytes": write_ndjson(crew, work.folder, decided.holes, output)},
        lambda *_: None,
    )
    assert output.read_bytes().splitlines() == expected(records)
    assert outcome.written == {"bytes": output.stat().st_size}
