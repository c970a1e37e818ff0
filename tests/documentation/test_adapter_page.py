"""The how-to page on adapters does what it says, and shows the examples as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from published_log import read_log
from snippet_pages import WriteFile, steps

from customer_timeline.runtime.settings import PREFIX, Settings
from customer_timeline.runtime.wiring import codec

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-an-adapter.md"
EXAMPLES = ROOT / "examples" / "adapters"
COMMANDS = Path(sys.executable).parent


@pytest.mark.parametrize("name", ["calls.csv", "phone_system.py"])
def test_the_page_shows_the_example_as_it_is(name: str) -> None:
    shown = {step.name: step.text for step in steps(PAGE) if isinstance(step, WriteFile)}

    assert shown[name] == (EXAMPLES / name).read_text(encoding="utf-8")


def test_the_page_leads_where_it_says(kafka: str, topic: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        f"{PREFIX}KAFKA_BOOTSTRAP": kafka,
        f"{PREFIX}TOUCHPOINTS_TOPIC": topic,
        "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}",
    }
    for step in steps(PAGE):
        if isinstance(step, WriteFile):
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", step.line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {step.line}\n{done.stdout}{done.stderr}"
        assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}{done.stderr}"

    assert sorted(_told(kafka, topic)) == [
        # 09:15 in Berlin in winter is 08:15 UTC. B-1004 withheld its number, B-9 came without the adapter.
        ("B-1001", "call.completed.v1", "2026-03-02T08:15:00Z", "+49 30 901820", "agent-7"),
        ("B-1002", "call.missed.v1", "2026-03-02T08:20:30Z", "+49 30 901820", None),
        ("B-1003", "call.completed.v1", "2026-03-02T08:31:10Z", "+49 89 23300", "agent-2"),
        # 02:59 on the day when clocks go from 02:00 to 03:00 does not exist; read as winter time, as Python does.
        ("B-1005", "call.completed.v1", "2026-03-29T01:59:00Z", "+49 89 23300", "agent-2"),
        ("B-9", "call.missed.v1", "2026-03-02T08:20:30Z", "+49 30 901820", None),
    ]


def _told(bootstrap: str, topic: str) -> list[tuple[str, str, str, str, str | None]]:
    reading = codec(Settings())
    found = []
    for record in read_log(bootstrap, topic):
        event = json.loads(record.value)
        data = event["data"]
        assert reading.parse(record.value).source == "/phone-system/berlin"
        found.append(
            (
                event["id"],
                event["type"],
                event["time"],
                data["identifiers"][0]["value"],
                data.get("staff", {}).get("id"),
            )
        )
    return found
