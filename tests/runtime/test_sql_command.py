"""`customer-timeline sql` as an analyst runs it, over a DuckDB file."""

from __future__ import annotations

import json
from pathlib import Path

from replay_runs import empty_history
from typer.testing import CliRunner

from customer_timeline.runtime.cli.main import build_app


def test_what_json_has_no_word_for_is_null(tmp_path: Path) -> None:
    data = empty_history(tmp_path)
    query = "SELECT 'nan'::DOUBLE AS none, ['inf'::DOUBLE, 1.5] AS list, DATE '2026-03-01' AS day"
    done = CliRunner().invoke(build_app(["sql"]), ["sql", query, "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output

    def refuse(word: str) -> None:
        raise AssertionError(word)

    told = json.loads(done.output, parse_constant=refuse)
    assert told == {"none": None, "list": [None, 1.5], "day": "2026-03-01"}
