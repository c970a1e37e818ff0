"""The how-to page on undoing a merge does what it says, with a real log, a worker, and the commands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pipeline import Pipeline, farm, pipeline
from snippet_pages import Command, WriteFile, steps

from customer_timeline.runtime.settings import PREFIX

__all__ = ["farm", "pipeline"]  # fixtures: a log, a database, and workers between them

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "undo-a-merge.md"
COMMANDS = Path(sys.executable).parent
APPLIED_WITHIN_S = 60.0


def _run(command: Command, folder: Path, environment: Mapping[str, str]) -> None:
    """Run it until it says what the page shows: the view follows the log within moments, not at once."""
    deadline = time.monotonic() + APPLIED_WITHIN_S
    while True:
        done = subprocess.run(
            ["bash", "-c", command.line],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode == 0 and command.is_satisfied_by(done.stdout):
            return
        assert time.monotonic() < deadline, f"$ {command.line}\n{done.stdout}{done.stderr}"


def test_the_page_leads_where_it_says(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.start(100)
    set_up = {f"{PREFIX}{name.upper()}": value for name, value in pipeline.settings(100, "w0").items()}
    environment = {**os.environ, **set_up, "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    found = steps(PAGE)
    assert len(found) == 8
    for step in found:
        if isinstance(step, WriteFile):
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
        else:
            _run(step, tmp_path, environment)
