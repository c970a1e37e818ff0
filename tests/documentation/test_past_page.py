"""The how-to page on the past shows what the commands say, over a log that a real journal applied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from direct_journal import DirectRun
from generators import Sent
from pipeline import SECRET, ZONE
from snippet_pages import Command, steps
from view_rows import event

from customer_timeline.runtime.settings import PREFIX

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "ask-about-the-past.md"
COMMANDS = Path(sys.executable).parent
ANN = ("email", "ann@example.com")


def bought(number: int, at: str, amount: str, recorded_at: str) -> tuple[int, Sent]:
    """A purchase of Ann's, with the instant at which the log took it in."""
    data = {"order_id": f"o{number}", "total": {"amount": amount, "currency": "USD"}}
    value = json.dumps(event(number, "purchase.completed.v1", at, data, [ANN])).encode()
    return 0, Sent(value, headers=(("recordedtime", recorded_at.encode()),))


@pytest.fixture
def environment(database: str) -> dict[str, str]:
    """Ann's second purchase of March reached the log in April."""
    log = [
        bought(1, "2026-03-10T12:00:00Z", "10.00", "2026-03-10T12:00:01Z"),
        bought(2, "2026-03-20T12:00:00Z", "5.00", "2026-04-02T08:00:00Z"),
    ]
    DirectRun(database, log, [(0, 2), (0, 1)], first_append=datetime(2026, 10, 1, tzinfo=UTC)).apply()
    return {
        **os.environ,
        f"{PREFIX}IDENTITY_SECRET": SECRET,
        f"{PREFIX}DATABASE_URL": database,
        f"{PREFIX}BUSINESS_TIME_ZONE": ZONE,
        "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}",
    }


def test_the_page_leads_where_it_says(environment: dict[str, str]) -> None:
    found = steps(PAGE)
    assert len(found) == 4
    for step in found:
        assert isinstance(step, Command)
        done = subprocess.run(
            ["bash", "-c", step.line], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"$ {step.line}\n{done.stdout}{done.stderr}"
        assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}{done.stderr}"
