"""The how-to page on customers at risk shows what the commands say."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from snippet_pages import Command, steps
from view_rows import SECRET, Views, event, viewed

from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "ask-for-customers-at-risk.md"
COMMANDS = Path(sys.executable).parent
ANN, BOB, CAM = (("email", f"{name}@example.com") for name in ("ann", "bob", "cam"))


def days_ago(days: int) -> str:
    """The commands ask for the present of the machine's clock, so the events are dated by it."""
    return (datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)).isoformat()


@pytest.fixture
def environment(database: str) -> dict[str, str]:
    """Ann bought and complained, Bob was seen yesterday, Cam bought; all rows are as old as the events."""
    views = Views(version=wiring.projection_version(Settings(identity_secret=SECRET.decode())))
    bought: dict[str, Any] = {"order_id": "o", "total": {"amount": "5", "currency": "USD"}}
    opened = {"case_id": "c-1", "theme": "late"}
    views.customer(
        [
            event(1, "purchase.completed.v1", days_ago(100), bought, [ANN]),
            event(2, "complaint.opened.v1", days_ago(99), opened, [ANN]),
        ]
    )
    views.customer([viewed(3, days_ago(1), BOB)])
    views.customer([event(4, "purchase.completed.v1", days_ago(95), bought, [CAM])])
    views.insert(database)
    return {
        **os.environ,
        f"{PREFIX}IDENTITY_SECRET": SECRET.decode(),
        f"{PREFIX}DATABASE_URL": database,
        "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}",
    }


def test_the_page_leads_where_it_says(environment: dict[str, str]) -> None:
    found = steps(PAGE)
    assert len(found) == 3
    for step in found:
        assert isinstance(step, Command)
        done = subprocess.run(
            ["bash", "-c", step.line], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"$ {step.line}\n{done.stdout}{done.stderr}"
        assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}{done.stderr}"
