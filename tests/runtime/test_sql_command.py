"""`customer-timeline sql` as an analyst runs it, over a DuckDB file."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from replay_runs import empty_history
from typer.testing import CliRunner

from customer_timeline.runtime.cli.app import build_app
from customer_timeline.runtime.replay.analysis import ask_watched


def test_what_json_has_no_word_for_is_null(tmp_path: Path) -> None:
    data = empty_history(tmp_path)
    query = "SELECT 'nan'::DOUBLE AS none, ['inf'::DOUBLE, 1.5] AS list, DATE '2026-03-01' AS day"
    done = CliRunner().invoke(build_app(["sql"]), ["sql", query, "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output

    def refuse(word: str) -> None:
        raise AssertionError(word)

    told = json.loads(done.output, parse_constant=refuse)
    assert told == {"none": None, "list": [None, 1.5], "day": "2026-03-01"}


def test_duckdb_never_works_where_a_signal_is_heard() -> None:
    """It would make an error of its own of what the signal raises."""
    working: list[threading.Thread] = []
    found = SimpleNamespace(description=[("one",)], fetchall=lambda: [(1,)])

    def execute(query: str) -> SimpleNamespace:
        working.append(threading.current_thread())
        return found

    connection = SimpleNamespace(execute=execute, query_progress=lambda: 0.0)
    assert ask_watched(connection, "SELECT 1 AS one", lambda percent: None) == (["one"], [(1,)])
    assert working
    assert threading.main_thread() not in working


def test_a_signal_as_the_query_begins_ends_it_and_leaves_the_connection_free(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, start = duckdb.connect(), threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    for_ever = "SELECT count(*) FROM range(10000000) AS a (i), range(10000000) AS b (j) WHERE i * j % 7 = 8"
    with pytest.raises(KeyboardInterrupt):
        ask_watched(connection, for_ever, lambda percent: None)
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    connection.close()
