"""The how-to page on replaying history does what it says, with a real log and the commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import live_log
from generators import Sent
from replay_runs import environment
from snippet_pages import Command, steps

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "replay-history.md"
COMMANDS = Path(sys.executable).parent


def _sent(recorded: str, type_: str, id_: str, time: str, revision: int = 0, **data: Any) -> Sent:
    event = {"specversion": "1.0", "id": id_, "source": "/shop", "type": type_, "time": time, "data": data}
    value = json.dumps(event | ({"revision": revision} if revision else {})).encode()
    return Sent(value, headers=(("recordedtime", recorded.encode()),))


def _of(name: str) -> list[dict[str, str]]:
    return [{"kind": "email", "value": f"{name}@example.com"}]


def _purchase(recorded: str, id_: str, time: str, name: str, channel: str, amount: str, revision: int = 0) -> Sent:
    total = {"amount": amount, "currency": "EUR"}
    return _sent(
        recorded,
        "purchase.completed.v1",
        id_,
        time,
        revision,
        identifiers=_of(name),
        channel=channel,
        order_id=f"shop:{id_}",
        total=total,
    )


def story() -> list[Sent]:
    """What the page tells of."""
    jan, feb = "2026-01-10T09:00:00Z", "2026-02-01T10:00:00Z"
    viewed, called = "2026-01-05T08:00:00Z", "2026-01-06T08:00:00Z"
    return [
        _sent(
            viewed, "page.viewed.v1", "v1", viewed, identifiers=_of("ann"), channel="web", url="https://shop.example/"
        ),
        _sent(
            called,
            "call.completed.v1",
            "c1",
            called,
            identifiers=_of("bob"),
            channel="phone",
            direction="inbound",
            duration_s=60,
            result="answered",
        ),
        _purchase(jan, "p1", jan, "ann", "web", "59.90"),
        _purchase(feb, "p2", feb, "bob", "store", "20.00"),
        _purchase("2026-02-03T10:00:00Z", "p3", "2026-02-03T10:00:00Z", "ann", "store", "10.00"),
        _sent(
            "2026-02-20T10:00:00Z",
            "event.retracted.v1",
            "p3",
            "2026-02-20T10:00:00Z",
            1,
            reason="Twice.",
            operator="op",
        ),
        _purchase("2026-03-02T10:00:00Z", "p2", feb, "bob", "store", "25.00", 1),
    ]


def test_the_page_leads_where_it_says(kafka: str, tmp_path: Path) -> None:
    live_log.create_topic(kafka, "replay-page", 2)
    live_log.append(kafka, "replay-page", story(), lambda sent: 0 if b"ann@" in sent.value else 1)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    set_up = {**os.environ, **environment(kafka, "replay-page"), "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}"}
    found = steps(PAGE)
    assert len(found) == 7
    for step in found:
        assert isinstance(step, Command)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", step.line],
            env=set_up,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"$ {step.line}\n{done.stderr}"
        assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}"
