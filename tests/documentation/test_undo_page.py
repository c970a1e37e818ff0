"""The how-to page on undoing a merge does what it says, with a real log, a worker, and the commands."""

from __future__ import annotations

from pathlib import Path

from pipeline import Pipeline, farm, pipeline
from snippet_pages import WriteFile, reader_environment, run_until_shown, steps

from customer_timeline.runtime.settings import PREFIX

__all__ = ["farm", "pipeline"]  # fixtures: a log, a database, and workers between them

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "undo-a-merge.md"


def test_the_page_leads_where_it_says(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.start(100)
    set_up = {f"{PREFIX}{name.upper()}": value for name, value in pipeline.settings(100, "w0").items()}
    environment = reader_environment(set_up)
    found = steps(PAGE)
    assert len(found) == 8
    for step in found:
        if isinstance(step, WriteFile):
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
        else:
            run_until_shown(step, environment, tmp_path)
