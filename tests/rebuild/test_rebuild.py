"""A rebuild from start to end, on real Kafka, Postgres and workers."""

from __future__ import annotations

import json
import signal
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from api_process import serving
from generators import Sent, Shape, seeded_log
from live_log import anywhere
from pipeline import Pipeline
from rebuild.deployment import LIVE, OLD, REBUILD, Operator, Reading
from worker_farm import until

from customer_timeline.producers.operations import OperationsLog
from customer_timeline.schemas.operations import Operation, OperationKind, OperationPlace

SHAPE = Shape(events=1500, people=150, days=800, crowds=3, decisions=8, any_type_percent=40)


def test_a_rebuild_is_equal_and_after_a_switch_both_sets_follow_and_after_a_rollback_too(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    log = seeded_log(11, SHAPE)
    third = len(log) // 3
    pipeline.append(log[:third], anywhere(1, 4))
    worker = pipeline.start(100)
    pipeline.settle()
    operator = Operator(pipeline)
    before = operator.sets()["live"]["set_id"]
    ((somebody,),) = pipeline.query("SELECT identifier_id::text FROM identifier LIMIT 1")
    with (
        serving(operator.environment, tmp_path / "api.log", "--workers", "1") as (_, address),
        Reading(address, somebody) as reading,
        operator.rebuilding(tmp_path / "rebuild.log") as rebuild,
    ):
        until(operator.filled, "the rebuild is filled", 120, every_s=0.1)
        assert "has not been verified" in operator.run("rebuild", "switch", code=1)
        found = operator.ask("rebuild", "verify")
        assert found["equal"], found
        assert operator.digest(LIVE).tables == operator.digest(REBUILD).tables

        pipeline.append(log[third : 2 * third], anywhere(2, 4))
        switched = operator.ask("rebuild", "switch", "--max-lag", "100000")
        assert (switched["before"], switched["live"]) == (before, operator.sets()["live"]["set_id"])
        assert switched["live"] != before
        for schema in (LIVE, OLD):
            operator.follows(schema, f"{schema} follows after the switch")
        assert operator.digest(LIVE).tables == operator.digest(OLD).tables
        pipeline.check()

        operator.run("rebuild", "rollback", "--max-lag", "100000")
        assert operator.sets()["live"]["set_id"] == before
        pipeline.append(log[2 * third :], anywhere(3, 4))
        for schema in (LIVE, REBUILD):
            operator.follows(schema, f"{schema} follows after the rollback")
        assert operator.digest(LIVE).tables == operator.digest(REBUILD).tables
        assert operator.ask("rebuild", "verify")["equal"]
        pipeline.check()
        assert worker.poll() is None
        assert rebuild.poll() is None
        assert "first" in operator.run("rebuild", "drop", "--yes", code=1)
    assert reading.read > 0
    assert reading.failed == []
    operator.run("rebuild", "drop", "--yes")
    assert set(operator.sets()) == {"live"}


def test_a_rebuild_that_is_killed_goes_on_where_it_was_and_a_second_one_is_refused(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.append(seeded_log(12, SHAPE), anywhere(1, 4))
    pipeline.start(500)
    pipeline.settle()
    operator = Operator(pipeline)
    output = tmp_path / "rebuild.log"
    with operator.rebuilding(output, "--batch-events", "50") as rebuild:
        until(lambda: _applied(pipeline) > 100, "some of the log is in the rebuild", 120, every_s=0.02)
        assert "running already" in operator.run("rebuild", "start", code=1)
        rebuild.send_signal(signal.SIGKILL)
        rebuild.wait()
    killed_at = _applied(pipeline)
    operator.run("rebuild", "start", "--until-filled")
    assert _applied(pipeline) >= killed_at
    assert operator.ask("rebuild", "verify")["equal"]
    assert operator.digest(LIVE).tables == operator.digest(REBUILD).tables

    pipeline.execute(
        f"UPDATE {REBUILD}.customer SET events = events + 1 "
        f"WHERE customer_id = (SELECT customer_id FROM {REBUILD}.customer LIMIT 1)"
    )
    told = operator.run("rebuild", "verify", code=1)
    assert "    events differs in 1\n" in told
    assert "NOT equal" in told
    assert "was found different" in operator.run("rebuild", "switch", code=1)


def _answer(number: int, channel: str) -> Sent:
    data = {
        "survey_id": "s1",
        "csat": 4,
        "via": "online",
        "channel": channel,
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
    }
    event = {
        "specversion": "1.0",
        "id": f"answer-{number}",
        "source": "/surveys",
        "type": "survey.answered.v1",
        "time": f"2026-03-0{number}T10:00:00Z",
        "data": data,
    }
    return Sent(json.dumps(event).encode())


def test_records_that_only_the_new_code_accepts_are_healed_and_no_failure(pipeline: Pipeline) -> None:
    # Ann's second answer came through a channel that nobody had told of; the first and Bob's log are as before.
    log = [_answer(1, "web"), _answer(2, "kiosk"), *seeded_log(13, Shape(events=100, people=10))]
    pipeline.append(log, anywhere(3, 4))
    pipeline.start(100)
    pipeline.settle()
    operator = Operator(pipeline, extra_channels='["kiosk"]')
    operator.run("rebuild", "start", "--until-filled")
    found = operator.ask("rebuild", "verify")
    assert found["versions"]["live"] != found["versions"]["rebuild"]
    assert found["healed"]["records"] == 1
    assert found["healed"]["reasons"] == {"invalid_field": 1}
    assert found["tables"]["timeline"]["healed"] == 1
    assert found["tables"]["customer"]["healed"] == 1
    assert found["equal"], found


def _applied(pipeline: Pipeline) -> int:
    if not pipeline.query("SELECT to_regclass(%s) IS NOT NULL", f"{REBUILD}.projector_offset")[0][0]:
        return 0
    ((applied,),) = pipeline.query(f"SELECT coalesce(sum(next_offset), 0)::bigint FROM {REBUILD}.projector_offset")
    return int(applied)


@pytest.mark.parametrize("command", ["switch", "verify", "rollback", "drop"])
def test_without_another_set_a_command_says_what_to_do(pipeline: Pipeline, command: str) -> None:
    options = ["--yes"] if command == "drop" else []
    told = Operator(pipeline).run("rebuild", command, *options, code=1)
    assert "There is no " in told
    assert "Traceback" not in told


def test_a_rebuild_knows_what_operators_decided_and_each_set_goes_on_to_learn_it_after_a_switch(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    broken = [Sent(b"no event"), Sent(b"none either")]
    pipeline.append([*broken, *seeded_log(14, Shape(events=100, people=10, broken_percent=0))], lambda sent: 0)
    pipeline.start(100)
    pipeline.settle()
    operator = Operator(pipeline)
    operator.run("migrate")
    first, second = f"{pipeline.topic}/0/0", f"{pipeline.topic}/0/1"
    operator.run("dead-letters", "discard", first, "--reason", "a test of the shop", "--yes")
    until(lambda: _decided(pipeline, LIVE) == [(0, "discarded")], "the live set knows the decision", 60)
    with operator.rebuilding(tmp_path / "rebuild.log"):
        until(operator.filled, "the rebuild is filled", 120, every_s=0.1)
        until(lambda: _decided(pipeline, REBUILD) == [(0, "discarded")], "the rebuild knows it too", 60)
        assert operator.ask("rebuild", "verify")["equal"]
        operator.run("rebuild", "switch")
        operator.run("dead-letters", "discard", second, "--reason", "another", "--yes")
        both = [(0, "discarded"), (1, "discarded")]
        until(lambda: _decided(pipeline, LIVE) == both, "the live set learns of the second", 60)
        until(lambda: _decided(pipeline, OLD) == both, "the old set does too", 60)


def _decided(pipeline: Pipeline, schema: str) -> list[tuple[object, ...]]:
    return pipeline.query(f"SELECT position, state FROM {schema}.dead_letter_decision ORDER BY position")


def test_a_verification_compares_where_both_sets_know_the_same_operations(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.append([Sent(b"no event"), *seeded_log(15, Shape(events=60, people=8))], lambda sent: 0)
    pipeline.start(100)
    pipeline.settle()
    operator = Operator(pipeline)
    operator.run("migrate")
    with operator.rebuilding(tmp_path / "rebuild.log", "--until-filled") as filling:
        assert filling.wait(120) == 0
    # Nobody follows with the rebuild: what is decided from here on only the live set applies.
    file = tmp_path / "letters.ndjson"
    exported = operator.ask("dead-letters", "export", str(file))["records"]
    operator.run("dead-letters", "remove", "--exported", str(file), "--older-than-days", "0", "--yes")
    until(lambda: pipeline.query("SELECT removed FROM operation") == [(exported,)], "the live set applied it", 60)
    assert pipeline.query(f"SELECT count(*) FROM {REBUILD}.dead_letter") == [(exported,)]
    told = operator.ask("rebuild", "verify")
    assert (told["equal"], told["operations"]) == (True, 1), told
    assert pipeline.query(f"SELECT removed FROM {REBUILD}.operation") == [(exported,)]


def test_operations_that_come_while_sets_are_switched_are_applied_once_by_each(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    count = 30
    broken = [Sent(b"no event %d" % number) for number in range(count)]
    pipeline.append([*broken, *seeded_log(16, Shape(events=100, people=10, broken_percent=0))], lambda sent: 0)
    pipeline.start(100)
    pipeline.settle()
    operator = Operator(pipeline)
    operator.run("migrate")
    kinds: tuple[OperationKind, ...] = ("retried", "discarded", "removed")
    with operator.rebuilding(tmp_path / "rebuild.log"):
        until(operator.filled, "the rebuild is filled", 120, every_s=0.1)
        operator.follows(REBUILD, "the rebuild follows")
        with OperationsLog(pipeline.bootstrap, f"{pipeline.topic}.operations") as operations:
            for number in range(count):
                operations.append(_decision(pipeline, kinds[number % 3], number))
                if number == count // 2:
                    # Neither set is waited for: each is anywhere among them.
                    operator.run("rebuild", "switch", "--force")
        for schema in (LIVE, OLD):
            until(partial(_has_applied, pipeline, schema, count), f"{schema} applied all of them", 60)
        assert _kept(pipeline, LIVE) == _kept(pipeline, OLD)
        assert pipeline.query(f"SELECT count(*) FROM {LIVE}.dead_letter") == [(count - count // 3,)]
        assert operator.digest(LIVE) == operator.digest(OLD)


def _decision(pipeline: Pipeline, kind: OperationKind, position: int) -> Operation:
    return Operation(
        operation_id=uuid.uuid4(),
        kind=kind,
        operator="ops",
        reason="a test",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
        places=(OperationPlace(topic=pipeline.topic, partition=0, offset=position),),
    )


def _has_applied(pipeline: Pipeline, schema: str, count: int) -> bool:
    return pipeline.query(f"SELECT count(*) FROM {schema}.operation") == [(count,)]


def _kept(pipeline: Pipeline, schema: str) -> list[tuple[object, ...]]:
    """All that a set keeps of operations."""
    tables = ("operation", "operation_offset", "dead_letter", "dead_letter_decision")
    ask = "SELECT to_jsonb(t)::text FROM {}.{} AS t ORDER BY 1"
    return [row for table in tables for row in pipeline.query(ask.format(schema, table))]
