"""The how-to page on event types does what it says, in a copy of the repository: one class and two lines of tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snippet_pages import WriteFile, steps

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-an-event-type.md"
COPIED = ("schemas", "projections", "producers", "streams", "api", "runtime", "docs", "tests", ".typing")
_ADDITION = re.compile(
    r"^<!-- add to: (?P<name>\S+), below: (?P<line>[^\n]+) -->\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository, with the environment that the tests run in as its own."""
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "data", ".hypothesis")
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignored)
    for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        (tmp_path / ".venv" / entry.name).symlink_to(entry)
    ready = tmp_path / ".venv" / ".ready"
    ready.unlink(missing_ok=True)
    ready.touch()  # newer than the lock, so that `make` installs nothing
    return tmp_path


def _add_lines(folder: Path) -> int:
    """Put what the page adds to files where it says; returns how many blocks there are."""
    additions = list(_ADDITION.finditer(PAGE.read_text(encoding="utf-8")))
    for addition in additions:
        path = folder / addition["name"]
        line = f"{addition['line']}\n"
        text = path.read_text(encoding="utf-8")
        assert text.count(line) == 1, f"the page adds below a line that is not once in {addition['name']}"
        path.write_text(text.replace(line, line + addition["text"]), encoding="utf-8")
    return len(additions)


def test_the_page_leads_where_it_says(copy: Path) -> None:
    environment = {
        # The suite may itself have been started by make, which would say so.
        **{name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        # Found before the installed packages: those lead to the repository itself.
        "PYTHONPATH": str(copy / ".typing"),
        "PATH": f"{copy / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    assert _add_lines(copy) == 2
    for step in steps(PAGE):
        if isinstance(step, WriteFile):
            (copy / step.name).write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", step.line], cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {step.line}\n{done.stdout}{done.stderr}"
        assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}{done.stderr}"

    assert not (ROOT / "schemas" / "touchpoints" / "gift.py").exists()
    for name in ("schemas/json/gift.sent.v1.json", "docs/reference/events.md", "docs/reference/asyncapi.yaml"):
        assert "gift.sent.v1" in (copy / name).read_text(encoding="utf-8")
