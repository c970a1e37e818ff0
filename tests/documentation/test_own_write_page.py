"""The how-to page on reading one's own write does what it says, against a real worker and API."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from api_process import serving
from pipeline import SECRET, ZONE, Pipeline
from snippet_pages import WriteFile, steps
from worker_farm import Farm

from customer_timeline.runtime.settings import PREFIX

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "read-your-own-write.md"
COMMANDS = Path(sys.executable).parent


@pytest.fixture
def pipeline(kafka: str, database: str, topic: str, tmp_path: Path) -> Iterator[Pipeline]:
    """A deployment with one worker."""
    with Farm(tmp_path / "farm") as farm, closing(Pipeline(farm, kafka, database, topic)) as opened:
        opened.start()
        yield opened


def test_the_page_leads_where_it_says(pipeline: Pipeline, tmp_path: Path) -> None:
    told = {
        "KAFKA_BOOTSTRAP": pipeline.bootstrap,
        "DATABASE_URL": pipeline.url,
        "TOUCHPOINTS_TOPIC": pipeline.topic,
        "IDENTITY_SECRET": SECRET,
        "BUSINESS_TIME_ZONE": ZONE,
    }
    environment = {**os.environ, **{PREFIX + name: value for name, value in told.items()}}
    environment |= {"PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    with serving(environment, tmp_path / "api.log") as (_, address):
        environment[f"{PREFIX}API_URL"] = address
        for step in steps(PAGE):
            if isinstance(step, WriteFile):
                (tmp_path / step.name).write_text(step.text, encoding="utf-8")
                continue
            done = subprocess.run(
                ["bash", "-c", step.line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            # At once: waiting is what the page is about.
            assert done.returncode == 0, f"$ {step.line}\n{done.stdout}{done.stderr}"
            assert step.is_satisfied_by(done.stdout), f"$ {step.line}\n{done.stdout}{done.stderr}"
