"""The how-to page on changing a projection does what it says: a changed fold in a copy of the code, beside a worker of
the code as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generators import Sent
from pipeline import Pipeline, farm, pipeline
from snippet_pages import WriteFile, reader_environment, run_until_shown, steps

from customer_timeline.runtime.settings import PREFIX

__all__ = ["farm", "pipeline"]  # fixtures: a log, a database, and workers between them

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "how-to" / "change-a-projection.md"
PARTS = ("schemas", "projections", "producers", "streams", "api", "runtime")
WITHIN_S = 120.0  # a rebuild takes a while


def _mail(kind: str, at: str) -> Sent:
    data = {"message_id": "m1", "channel": "email", "identifiers": [{"kind": "email", "value": "ann@example.com"}]}
    event = {"specversion": "1.0", "id": kind, "source": "/mail", "type": f"email.{kind}.v1", "time": at, "data": data}
    return Sent(json.dumps(event).encode())


def _release(folder: Path, patch: str) -> None:
    """`new/customer-timeline`: the code of the repository with the page's change, and the version raised."""
    code = folder / "new" / "code" / "customer_timeline"
    for part in PARTS:
        shutil.copytree(REPOSITORY / part, code / part, ignore=shutil.ignore_patterns("__pycache__"))
    changed = code / "projections" / "activity.py"
    before = "".join(f"{line[1:]}\n" for line in patch.splitlines()[3:] if line[0] in " -")
    after = "".join(f"{line[1:]}\n" for line in patch.splitlines()[3:] if line[0] in " +")
    text = changed.read_text()
    assert text.count(before) == 1
    changed.write_text(text.replace(before, after))
    customer = code / "projections" / "customer.py"
    text, count = re.subn(r"^(    version: Final = )(\d+)$", r"\g<1>1\2", customer.read_text(), flags=re.MULTILINE)
    assert count == 1
    customer.write_text(text)
    command = folder / "new" / "customer-timeline"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH="{code.parent}" exec "{sys.executable}" -m customer_timeline.runtime.cli.main "$@"\n'
    )
    command.chmod(0o755)


def _logs(folder: Path) -> str:
    return "".join(log.read_text() for log in folder.glob("*.log"))


@contextmanager
def _ended_afterwards(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        for file in (folder / "rebuild.pid", folder / "worker.pid"):
            if file.exists():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(file.read_text()), signal.SIGTERM)


def test_the_page_leads_where_it_says(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.append([_mail("sent", "2026-03-01T10:00:00Z"), _mail("replied", "2026-03-02T10:00:00Z")], lambda _: 1)
    before = pipeline.start(100)
    (tmp_path / "worker-before.pid").write_text(f"{before.pid}\n")
    pipeline.settle()
    set_up = {f"{PREFIX}{name.upper()}": value for name, value in pipeline.settings(100, "w0").items()}
    environment = reader_environment(set_up)
    found = steps(PAGE)
    assert len(found) == 14
    with _ended_afterwards(tmp_path):
        for step in found:
            if isinstance(step, WriteFile):
                _release(tmp_path, step.text)
            else:
                run_until_shown(step, environment, tmp_path, within_s=WITHIN_S, more=lambda: _logs(tmp_path))
