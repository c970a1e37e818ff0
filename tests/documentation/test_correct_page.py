"""The how-to page on correcting events does what it says, with a real log, a worker, and the commands."""

from __future__ import annotations

import json
from pathlib import Path

from generators import Sent
from pipeline import Pipeline, farm, pipeline
from snippet_pages import Command, reader_environment, run_until_shown, steps

from customer_timeline.runtime.settings import PREFIX

__all__ = ["farm", "pipeline"]  # fixtures: a log, a database, and workers between them

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "correct-an-event.md"
ANSWER = {
    "specversion": "1.0",
    "id": "answer-1",
    "source": "/surveys",
    "type": "survey.answered.v1",
    "time": "2026-03-01T10:00:00Z",
    "data": {
        "survey_id": "s1",
        "csat": 5,
        "via": "phone",
        "channel": "web",
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
    },
}


def test_the_page_leads_where_it_says(pipeline: Pipeline) -> None:
    pipeline.append([Sent(json.dumps(ANSWER).encode())], lambda _: 2)
    pipeline.start(100)
    pipeline.settle()
    set_up = {f"{PREFIX}{name.upper()}": value for name, value in pipeline.settings(100, "w0").items()}
    environment = reader_environment(set_up)
    found = steps(PAGE)
    assert len(found) == 6
    for step in found:
        assert isinstance(step, Command)
        run_until_shown(step, environment, once="--yes")
    pipeline.settle()
    pipeline.check()
