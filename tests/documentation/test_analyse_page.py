"""The how-to page on analysing history does what it says, with a real log, Parquet and DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import live_log
from generators import Sent
from PIL import Image
from replay_runs import environment
from snippet_pages import Command, steps

from customer_timeline.runtime.replay.plotting import SIZE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "analyse-history.md"
PHONE = "+12025550100"
CALL = {"direction": "inbound", "duration_s": 60, "result": "answered"}
COMMANDS = Path(sys.executable).parent


def _sent(day: str, type_: str, name: str | None, channel: str | None = None, **data: Any) -> Sent:
    """What happened on a day and was recorded then; `id`, `revision` and `recorded` say otherwise. `also`: a phone."""
    recorded, also = data.pop("recorded", day), data.pop("also", None)
    event = {
        "specversion": "1.0",
        "id": data.pop("id", f"{type_}-{name}-{day}"),
        "source": "/shop",
        "type": f"{type_}.v1",
        "time": f"{day}T12:00:00Z",
        "revision": data.pop("revision", 0),
    }
    named = [("email", f"{name}@example.com")] if name else []
    named += [("phone", also)] if also else []
    if named:
        data |= {"identifiers": [{"kind": kind, "value": value} for kind, value in named], "channel": channel}
    return Sent(
        json.dumps({**event, "data": data}).encode(), headers=(("recordedtime", f"{recorded}T12:00:00Z".encode()),)
    )


def _bought(day: str, name: str, channel: str, amount: str, order: str, **more: Any) -> Sent:
    total = {"amount": amount, "currency": "EUR"}
    return _sent(day, "purchase.completed", name, channel, id=order, order_id=order, total=total, **more)


def story() -> list[Sent]:
    """A small shop's first months. Cem's purchase turns out in March never to have been; who called in February, to be
    Ann.
    """
    return [
        _sent("2026-01-02", "page.viewed", "ann", "web", url="https://shop.example/"),
        _sent("2026-01-06", "call.completed", "bob", "phone", **CALL),
        _sent("2026-01-07", "page.viewed", "dia", "web", url="https://shop.example/"),
        _bought("2026-01-10", "ann", "web", "60.00", "s:1"),
        _bought("2026-01-20", "bob", "store", "20.00", "s:2"),
        _bought("2026-02-05", "ann", "store", "40.00", "s:3"),
        _sent("2026-02-06", "complaint.opened", "ann", "email", case_id="desk:1", theme="late"),
        _sent("2026-02-08", "complaint.resolved", "ann", "email", case_id="desk:1"),
        _bought("2026-02-10", "cem", "store", "10.00", "s:4"),
        _sent("2026-02-12", "complaint.reopened", "ann", "phone", case_id="desk:1"),
        _sent("2026-02-13", "complaint.resolved", "ann", "email", case_id="desk:1"),
        _sent("2026-02-20", "call.completed", None, "phone", also=PHONE, **CALL),
        _bought("2026-01-20", "bob", "store", "25.00", "s:2", revision=1, recorded="2026-02-15"),
        _bought("2026-03-03", "bob", "web", "30.00", "s:5"),
        _sent("2026-03-04", "complaint.opened", "bob", "phone", case_id="desk:2", theme="late"),
        _sent("2026-03-05", "complaint.resolved", "bob", "phone", case_id="desk:2"),
        _sent("2026-03-06", "call.completed", "ann", "phone", also=PHONE, **CALL),
        _sent("2026-03-10", "event.retracted", None, id="s:4", revision=1, reason="Never happened.", operator="op"),
        _sent("2026-03-11", "page.viewed", "ann", "web", url="https://shop.example/"),
    ]


def test_the_page_leads_where_it_says(kafka: str, tmp_path: Path) -> None:
    live_log.create_topic(kafka, "analyse-page", 2)
    live_log.append(kafka, "analyse-page", story(), live_log.anywhere(1, 2))
    path = f"{COMMANDS}{os.pathsep}{os.environ['PATH']}"
    set_up = {**os.environ, **environment(kafka, "analyse-page"), "PATH": path}
    found = steps(PAGE)
    assert len(found) == 10
    for step in found:
        assert isinstance(step, Command)
        done = subprocess.run(
            ["bash", "-c", step.line],
            env=set_up,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, f"$ {step.line}\n{done.stderr}"
        assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}"
    for name in ("retention.png", "revenue.png"):
        image = Image.open(tmp_path / name)
        assert (image.format, image.size) == ("PNG", SIZE)
        assert len(image.convert("L").getcolors() or ()) > 50  # not blank: letters alone are of many greys
