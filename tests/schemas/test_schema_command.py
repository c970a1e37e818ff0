"""`customer-timeline schema`: list, show, check, export, as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sample_records import as_bytes, event, with_data
from typer.testing import CliRunner, Result

from customer_timeline.runtime.cli.app import build_app
from customer_timeline.runtime.cli.schema import UnknownTypeName, UnreadableFile
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.json_schema import ReleasedSchemaChanged

GOOD = event("page.viewed.v1")
BAD = with_data("survey.answered.v1", csat=6)


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(build_app(), ["schema", *arguments], input=stdin)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_names_every_type() -> None:
    assert [row["type"] for row in lines(run("list", "--json"))] == sorted(CATALOGUE)
    shown = run("list").stdout
    assert all(name in shown for name in CATALOGUE)


def test_show_prints_the_committed_schema_and_the_version_may_be_left_out() -> None:
    committed = (Path(__file__).parents[2] / "schemas" / "json" / "call.missed.v1.json").read_text(encoding="utf-8")
    assert run("show", "call.missed.v1").stdout == run("show", "call.missed").stdout == committed


def test_show_tells_an_unknown_type() -> None:
    assert isinstance(run("show", "call.lost").exception, UnknownTypeName)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("document", [GOOD, [GOOD, GOOD], []])
def test_a_file_of_valid_events_passes(tmp_path: Path, document: Any, indent: int | None) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps(document, indent=indent), encoding="utf-8")
    result = run("check", str(file))
    checked = len(document) if isinstance(document, list) else 1
    assert (result.exit_code, result.stdout) == (0, f"{checked} checked, 0 invalid\n")


def test_every_invalid_line_is_reported_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join([as_bytes(GOOD), b"", as_bytes(BAD), b"{", as_bytes(GOOD), b""]))
    result = run("check", "--json", str(file))
    assert result.exit_code == 1
    *reports, summary = lines(result)
    assert [(row["line"], row["reason"], row["type"], row["field"]) for row in reports] == [
        (3, "invalid_field", "survey.answered.v1", "data.csat"),
        (4, "not_json", None, None),
    ]
    assert summary == {"checked": 4, "invalid": 2}
    assert "line 3: invalid_field (survey.answered.v1 at data.csat)" in run("check", str(file)).stdout


def test_the_first_line_may_be_broken(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"{broken\n" + as_bytes(GOOD) + b"\n")
    *reports, summary = lines(run("check", "--json", str(file)))
    assert [row["line"] for row in reports] == [1]
    assert summary == {"checked": 2, "invalid": 1}


def test_members_of_an_array_are_checked_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    unnamed = json.dumps(GOOD).replace('"id":', '"idd":', 1)
    file.write_text(f"[\n{json.dumps(GOOD)},\n{unnamed}\n]", encoding="utf-8")
    *reports, _ = lines(run("check", "--json", str(file)))
    assert [(row["line"], row["reason"]) for row in reports] == [(3, "invalid_envelope")]


def test_standard_input_is_checked_too() -> None:
    result = run("check", "-", stdin=as_bytes(GOOD) + b"\n" + as_bytes(BAD) + b"\n")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "2 checked, 1 invalid")


def test_a_time_in_the_future_is_found_by_checking() -> None:
    result = run("check", "--json", "-", stdin=as_bytes(event("page.viewed.v1", time="9998-01-01T00:00:00Z")))
    assert lines(result)[0]["reason"] == "future"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = run("check", str(tmp_path / "none"))
    assert isinstance(result.exception, UnreadableFile)
    assert result.exception.exit_code == 2


def test_export_writes_what_has_changed_and_protects_what_was_released(tmp_path: Path) -> None:
    assert len(run("export", str(tmp_path)).stdout.splitlines()) == len(CATALOGUE) + 1
    assert run("export", str(tmp_path)).stdout == ""
    assert json.loads((tmp_path / "released.json").read_text(encoding="utf-8")) == {}
    run("export", str(tmp_path), "--release")
    released = json.loads((tmp_path / "released.json").read_text(encoding="utf-8"))
    assert set(released) == {f"{name}.json" for name in CATALOGUE}
    assert run("export", str(tmp_path)).exit_code == 0
    released["call.missed.v1.json"] = "0" * 64
    (tmp_path / "released.json").write_text(json.dumps(released), encoding="utf-8")
    assert isinstance(run("export", str(tmp_path)).exception, ReleasedSchemaChanged)
