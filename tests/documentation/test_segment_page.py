"""The how-to page on Segment does what it says: the report accounts for every call, and the log has them all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from published_log import CODEC, read_log
from snippet_pages import Command, steps

from customer_timeline.runtime.settings import PREFIX

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "migrate-from-segment.md"


def test_the_page_on_segment_leads_where_it_says(kafka: str, topic: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        f"{PREFIX}KAFKA_BOOTSTRAP": kafka,
        f"{PREFIX}TOUCHPOINTS_TOPIC": topic,
        "EXAMPLES": str(ROOT / "examples" / "mappings"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for step in steps(PAGE):
        assert isinstance(step, Command)
        done = subprocess.run(
            ["bash", "-c", step.line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {step.line}\n{done.stdout}{done.stderr}"
        assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}{done.stderr}"

    published = [CODEC.parse(record.value) for record in read_log(kafka, topic)]
    # 48 and the mended order; one of them twice, as the client had sent it.
    assert (len(published), len({event.id for event in published})) == (49, 48)
    assert Counter(event.type for event in published)["purchase.completed.v1"] == 6
