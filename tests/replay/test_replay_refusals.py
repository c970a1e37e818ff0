"""What a replay refuses, before it reads the log where it can: in one line, and nothing of anybody's is touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pipeline import POLICY
from replay_runs import COMMAND, PARTITIONS, environment, fill, hard_log, replay

from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.runtime.replay.crew import Crew
from customer_timeline.runtime.replay.errors import OutputIsNoReplay, ProjectionFailed, UnusableProjection
from customer_timeline.runtime.replay.folding import handled_types, load_projection
from customer_timeline.runtime.replay.output import check_output
from customer_timeline.runtime.replay.parquet import write_parquet
from customer_timeline.runtime.replay.people import People

TOPIC = "replay-refused"
_OWN = """
class Counts:
    name, version, handles = "counts", 1, ()

    def initial(self):
        return {}

    def apply(self, state, event):
        state[event.type] = state.get(event.type, 0) + 1

    def combine(self, into, other):
        for name, count in other.items():
            into[name] = into.get(name, 0) + count

    def finish(self, state):
        return state


class Changed(Counts):
    CHANGE
"""


@pytest.fixture(scope="module")
def environ(kafka: str) -> dict[str, str]:
    """What points the command at a small log."""
    fill(kafka, TOPIC, hard_log(4, 60))
    return {**os.environ, **environment(kafka, TOPIC)}


def refused(environ: dict[str, str], *words: str | Path) -> str:
    done = subprocess.run(
        [*COMMAND, "replay", *map(str, words)], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def own(tmp_path: Path, change: str) -> str:
    """A projection that would count, with one change."""
    file = tmp_path / "own.py"
    file.write_text(_OWN.replace("CHANGE", change))
    return f"{file}:Changed"


def test_from_start_replaces_no_folder_that_a_replay_did_not_write(environ: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "letter.txt").write_text("precious")
    for to in ("parquet", "ndjson", "duckdb"):
        assert "nothing of it was touched" in refused(environ, "--to", to, "--output", folder, "--from-start")
    assert "no name of its own" in refused(environ, "--to", "parquet", "--output", ".", "--from-start")
    assert (folder / "letter.txt").read_text() == "precious"
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_from_start_replaces_what_a_replay_wrote(environ: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "history"
    words = ("--to", "parquet", "--output", output, "--jobs", "1")
    replay(environ, *words)
    before = sorted(path.relative_to(output) for path in output.rglob("*"))
    (output / "events" / "family=purchase").rename(output / "events" / "family=gone")
    replay(environ, *words, "--from-start")
    assert sorted(path.relative_to(output) for path in output.rglob("*")) == before


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    output = tmp_path / "history"
    check_output("parquet", output, replace=False)  # as the command does before it reads the log
    output.mkdir()
    (output / "letter.txt").write_text("precious")
    crew = SimpleNamespace(refresh=lambda **_: None, begin=lambda work, parts: list)
    found = People({}, HistoryIdentity(), POLICY)
    with pytest.raises(OutputIsNoReplay):
        write_parquet(cast(Crew, crew), tmp_path, {}, output, lambda: found)
    assert (output / "letter.txt").read_text() == "precious"


def test_a_misspelt_channel_or_partition_is_refused(environ: dict[str, str]) -> None:
    assert "expected one of app, chat," in refused(environ, "--to", "ndjson", "--channel", "webb")
    told = refused(environ, "--to", "ndjson", "--partition", str(PARTITIONS))
    assert f"the log has the partitions 0 to {PARTITIONS - 1}" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("apply = lambda self, state, event: {}[event.type]", "apply failed at own.py, line"),
        ("combine = lambda self, into, other: 1 / 0", "combine failed at own.py, line 20: ZeroDivisionError"),
        ("finish = lambda self, state: {1, 2}", "finish failed"),
        ("initial = lambda self: {'by': lambda: 0}", "carrying its state to another process failed"),
    ],
    ids=["apply", "combine", "finish", "state"],
)
def test_an_error_of_own_code_is_told_with_its_place(
    environ: dict[str, str], tmp_path: Path, change: str, told: str
) -> None:
    found = refused(environ, "--to", "python", "--projection", own(tmp_path, change), "--jobs", "1")
    assert told in found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("apply = 5", "apply cannot be called"),
        ("version = {1}", "version a whole number"),
        ("handles = 'purchase'", "a collection of types"),
        ("handles = 5", "a collection of types"),
        ("handles = ('purchases',)", "handles 'purchases', which is no type"),
        ("def broken(:", "cannot be imported"),
    ],
)
def test_what_is_not_of_the_shape_of_a_projection_is_named(tmp_path: Path, change: str, why: str) -> None:
    reference = own(tmp_path, change)
    with pytest.raises(UnusableProjection, match=why):
        handled_types(reference, load_projection(reference))


def test_an_error_while_it_is_made_or_imported_is_told_with_its_place(tmp_path: Path) -> None:
    made = own(tmp_path, "def __init__(self): raise ValueError('no')")
    with pytest.raises(ProjectionFailed, match=r"__init__ failed at own\.py, line 20: ValueError: no\."):
        load_projection(made)
    (tmp_path / "imported.py").write_text("\n1 / 0\n")
    with pytest.raises(ProjectionFailed, match=r"importing it failed at imported\.py, line 2"):
        load_projection(f"{tmp_path}/imported.py:Fold")
