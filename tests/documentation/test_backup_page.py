"""The how-to page on backups does what it says, from one Kafka to another, and the views come out equal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from generators import Shape, seeded_log
from live_log import anywhere
from pipeline import Pipeline, farm, pipeline
from snippet_pages import Command, steps
from worker_farm import Farm

from customer_timeline.runtime.embedded import EmbeddedKafka
from customer_timeline.runtime.settings import PREFIX

__all__ = ["farm", "pipeline"]  # fixtures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "back-up-and-restore.md"
TOPIC = "touchpoints"


def test_the_page_on_backups_leads_where_it_says(
    pipeline: Pipeline, farm: Farm, own_kafka: EmbeddedKafka, empty_database: Callable[[], str], tmp_path: Path
) -> None:
    pipeline.append(seeded_log(3, Shape(events=200))[:60], anywhere(3, 4))
    pipeline.start(50)
    pipeline.settle()
    other = empty_database()
    set_up = {f"{PREFIX}{name.upper()}": value for name, value in pipeline.settings(100, "w0").items()}
    environment = {
        **os.environ,
        **set_up,
        "OTHER_KAFKA": own_kafka.bootstrap,
        "OTHER_DATABASE": other,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for step in steps(PAGE):
        assert isinstance(step, Command)
        # The page's topic has its usual name, the test's a name of its own.
        shown = Command(step.line, tuple(line.replace(TOPIC, pipeline.topic) for line in step.expected))
        done = subprocess.run(
            ["bash", "-c", shown.line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {shown.line}\n{done.stdout}{done.stderr}"
        assert shown.is_satisfied_by(done.stdout), f"$ {shown.line}\n{done.stdout}{done.stderr}"

    with contextlib.closing(Pipeline(farm, own_kafka.bootstrap, other, pipeline.topic)) as restored:
        restored.start(50)
        restored.settle()
        assert restored.digests() == pipeline.digests()
