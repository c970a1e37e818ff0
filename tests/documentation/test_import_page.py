"""The how-to page on tables does what it says, and shows the examples as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from published_log import CODEC, read_log
from snippet_pages import WriteFile, steps

from customer_timeline.runtime.settings import PREFIX

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "import-a-table.md"
EXAMPLES = ROOT / "examples" / "mappings"
COMMANDS = Path(sys.executable).parent


@pytest.mark.parametrize("name", ["orders.csv", "orders.toml"])
def test_the_page_shows_the_mapping_as_it_is(name: str) -> None:
    shown = {step.name: step.text for step in steps(PAGE) if isinstance(step, WriteFile)}

    assert shown[name] == (EXAMPLES / name).read_text(encoding="utf-8")


def test_the_page_on_tables_leads_where_it_says(kafka: str, topic: str, tmp_path: Path) -> None:
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

    ids = sorted(CODEC.parse(record.value).id for record in read_log(kafka, topic))
    # 1003 was cancelled; 1005 came with the mended row.
    assert ids == ["1001-paid", "1002-paid", "1002-refunded", "1004-paid", "1005-paid", "1006-paid", "1006-refunded"]
