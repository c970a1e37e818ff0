"""Old dead letters are exported and then removed by the workers, once, wherever one of them is killed."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from generators import Sent
from pipeline import SCHEMA, Pipeline, farm, pipeline
from view_rows import Views
from worker_farm import Farm, Trap, Worker, until

from customer_timeline.projections.operations import OperationApplied, OperationRecord
from customer_timeline.projections.postgres.operations import OperationsJournal
from customer_timeline.runtime import retaining, wiring
from customer_timeline.runtime.exporting import read_export
from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.retaining import OperationsTopic, Retaining
from customer_timeline.runtime.settings import Settings, SettingsError, load_settings
from customer_timeline.schemas.operations import Operation

__all__ = ["farm", "pipeline"]

ROWS = "SELECT topic, part, position, recorded_at, reason, error, type, sha256, key, value, headers FROM dead_letter"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MARCH = "2026-03-01T00:00:00Z"


def old_letters(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    """Two records that are no events, 40 days old, and one that is one."""
    bad = [Sent(b"\xff{broken", b"key", (("source", b"\x00\xff"),)), Sent(b"{}")]
    pipeline.append([*bad, Sent(b"[]")], lambda _: 0)
    pipeline.start(100)
    pipeline.settle()
    pipeline.workers[-1].kill()
    pipeline.execute("UPDATE dead_letter SET recorded_at = recorded_at - interval '40 days' WHERE position < 2")
    return [_plain(row) for row in pipeline.query(f"{ROWS} ORDER BY position LIMIT 2")]


def test_old_dead_letters_leave_once_wherever_a_worker_is_killed(pipeline: Pipeline, tmp_path: Path) -> None:
    before, folder = old_letters(pipeline), tmp_path / "letters"
    retention = {"dead_letters_keep_days": "30", "dead_letters_export_dir": str(folder)}
    for step in ("letters_exported", "letters_told"):
        killed = pipeline.farm.start({**pipeline.settings(100, "w0"), **retention}, Trap(step, 1))
        pipeline.workers.append(killed)
        assert killed.wait() == -signal.SIGKILL
        assert len(list(folder.glob("*.pending"))) == 1
    for name in ("w0", "w1"):
        pipeline.workers.append(pipeline.farm.start({**pipeline.settings(100, name), **retention}))
    until(lambda: len(list(folder.glob("*.ndjson"))) == 1, "the file is done")
    (file,) = (path for path in folder.iterdir() if path.name != ".lock")
    assert file.stat().st_mode & 0o077 == 0
    assert [_row(json.loads(line)) for line in file.read_text().splitlines()] == before
    assert pipeline.query("SELECT position FROM dead_letter") == [(2,)]
    assert _removed(pipeline) == 2
    for worker in pipeline.workers:
        worker.kill()
    # A rebuild starts from the log alone.
    pipeline.forget_everything()
    pipeline.start(100)
    pipeline.settle()
    until(lambda: _removed(pipeline) == 2, "the removal is applied again")
    assert pipeline.query("SELECT position FROM dead_letter") == [(2,)]


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(5))
def test_many_dead_letters_leave_once_while_workers_are_killed(pipeline: Pipeline, tmp_path: Path, seed: int) -> None:
    random, folder, count = Random(seed), tmp_path / "letters", 2_500
    pipeline.append([Sent(b"{%d" % number) for number in range(count)], lambda _: random.randrange(4))
    pipeline.start(500)
    pipeline.settle()
    pipeline.workers[-1].kill()
    pipeline.execute("UPDATE dead_letter SET recorded_at = recorded_at - interval '40 days'")
    retention = {"dead_letters_keep_days": "30", "dead_letters_export_dir": str(folder)}
    for _ in range(6):
        traps = [Trap(random.choice(("letters_exported", "letters_told", "operation_written")), 1) for _ in range(2)]
        pair = [
            pipeline.farm.start({**pipeline.settings(500, f"w{number}"), **retention}, trap)
            for number, trap in enumerate(traps)
        ]
        pipeline.workers += pair
        until(partial(_over, pipeline, pair, count), "one of them has ended, or all are gone")
        for worker in pair:
            worker.kill()
    pipeline.workers.append(pipeline.farm.start({**pipeline.settings(500, "w0"), **retention}))
    until(lambda: _removed(pipeline) == count and not list(folder.glob("*.pending")), "all are gone")
    exported = [one.place for path in folder.glob("*.ndjson") for one in read_export(path)]
    assert (len(exported), len(set(exported))) == (count, count)
    assert pipeline.query("SELECT FROM dead_letter") == []


def _over(pipeline: Pipeline, pair: list[Worker], count: int) -> bool:
    return any(worker.poll() is not None for worker in pair) or _removed(pipeline) == count


def _removed(pipeline: Pipeline) -> int:
    return int(pipeline.query("SELECT coalesce(sum(removed), 0) FROM operation")[0][0])


def _row(line: dict[str, Any]) -> tuple[Any, ...]:
    """The row of the table, made again of the line."""
    names = ("topic", "partition", "offset", "recorded_at", "reason", "error", "type", "sha256")
    contents = [line[name] and base64.b64decode(line[name]) for name in ("key_base64", "value_base64")]
    return (*(line[name] for name in names), *contents, line["headers"])


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    topic, part, position, at, reason, error, type_, sha256, key, value, headers = row
    stamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    contents = [None if one is None else bytes(one) for one in (key, value)]
    return (topic, part, position, stamp, reason, error, type_, bytes(sha256).hex(), *contents, headers)


@dataclass(frozen=True)
class Log(OperationsTopic):
    """The topic of operations, in memory."""

    appended: list[Operation] = field(default_factory=list)
    ends_at: list[int] = field(default_factory=lambda: [0])

    def end(self) -> int:
        return self.ends_at[0]

    def append(self, operation: Operation) -> None:
        self.appended.append(operation)
        self.ends_at[0] += 1


Make = Callable[[], Retaining]


def applier(url: str) -> OperationsJournal:
    """A worker's, without Kafka."""
    return wiring.operations_journal(Settings(database_url=url), wiring.codec(Settings()))


def tables(url: str) -> Pipeline:
    """To ask the database."""
    return Pipeline(Farm(Path()), "", url, "")


@pytest.fixture
def log() -> Log:
    return Log("nowhere", "operations")


@pytest.fixture
def make(database: str, tmp_path: Path, log: Log) -> Make:
    """Tasks of several workers, on three dead letters, of which two are old."""
    settings = Settings(database_url=database, dead_letters_keep_days=30, dead_letters_export_dir=tmp_path / "letters")
    views = Views(version=wiring.projection_version(settings))
    for number, at in ((1, MARCH), (2, MARCH), (3, "2026-05-30T00:00:00Z")):
        views.dead_letter(number, "not_json", at, b"{")
    views.insert(database)

    def keeper() -> Retaining:
        made = wiring.dead_letter_keeper(settings, lambda step: None)
        assert made is not None
        made.operations, made.now = log, lambda: NOW
        return made

    return keeper


def test_only_what_is_older_than_the_setting_is_exported_and_asked_to_be_removed(make: Make, log: Log) -> None:
    assert make().step().exported == 2
    (operation,) = log.appended
    assert [place.offset for place in operation.places] == [1, 2]
    assert "older than 30 days, exported to dead-letters-20260601T120000Z-" in operation.reason


def test_files_are_as_many_as_needed_and_every_record_is_in_one(
    make: Make, log: Log, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retaining, "MAX_PLACES", 1)
    keeper, steps = make(), 0
    journal = applier(database)
    while (done := keeper.step()).more:
        for number, operation in enumerate(log.appended):
            journal.operate(OperationRecord("operations", number, NOW, operation.encode()))
        steps += 1
        assert (done.waits, steps < 9) == (False, True)
    journal.close()
    files = [path for path in keeper.folder.iterdir() if path.name != ".lock"]
    assert {path.suffix for path in files} == {".ndjson"}
    assert sorted(one.place.offset for path in files for one in read_export(path)) == [1, 2]
    deployed = tables(database)
    assert deployed.query("SELECT position FROM dead_letter") == [(3,)]
    # One that is asked for once more removes nothing, and does not count.
    with contextlib.closing(applier(database)) as again:
        assert again.operate(OperationRecord("operations", 2, NOW, log.appended[0].encode())) == OperationApplied(
            "removed", 1, removed=0
        )
    assert _removed(deployed) == 2


def test_a_decision_that_comes_after_the_removal_does_not_bring_the_record_back(
    make: Make, log: Log, database: str
) -> None:
    make().step()
    removal, late = log.appended[0], log.appended[0].model_copy(update={"kind": "discarded"})
    with contextlib.closing(applier(database)) as one:
        for number, operation in enumerate((removal, late)):
            one.operate(OperationRecord("operations", number, NOW, operation.encode()))
    deployed = tables(database)
    assert deployed.query("SELECT DISTINCT state FROM dead_letter_decision") == [("removed",)]


def test_nothing_is_exported_again_before_what_was_asked_for_is_applied(make: Make, log: Log) -> None:
    first = make()
    first.step()
    for keeper in (first, make()):
        step = keeper.step()
        assert (step.exported, step.waits) == (0, True)
    assert len(log.appended) == 1


def test_one_task_of_a_deployment_is_at_work_at_a_time(make: Make, log: Log) -> None:
    first = make()
    assert first.keeping.hold()
    assert make().step() == (0, False, False)
    first.keeping.close()
    assert make().step().exported == 2


def test_a_set_that_does_not_serve_is_left_alone(make: Make, database: str, log: Log) -> None:
    aside = tables(database)
    first = make()
    first.step()
    log.ends_at[0] = 0
    aside.execute(f"ALTER SCHEMA {SCHEMA} RENAME TO {SCHEMA}_old")
    assert first.step() == (0, False, False)


def test_a_file_that_exists_is_never_replaced(make: Make, database: str, log: Log) -> None:
    keeper = make()
    keeper.step()
    (pending,) = keeper.folder.glob("*.pending")
    pending.with_suffix("").write_text("somebody else's")
    log.ends_at[0] = 0
    tables(database).execute("TRUNCATE dead_letter")
    with pytest.raises(FileUnusable, match="never replaced"):
        keeper.step()
    assert pending.exists()


def test_where_no_file_can_be_written_nothing_is_removed(make: Make, log: Log) -> None:
    keeper = make()
    keeper.folder.write_text("a file is in the way")
    with contextlib.suppress(FileUnusable):
        keeper.step()
    assert log.appended == []


def test_a_folder_without_an_age_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KEEP_DAYS too"):
        load_settings(dead_letters_export_dir=tmp_path)
