"""Logs: one JSON object a line, from every logger, without values that may be personal."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from customer_timeline.runtime.telemetry import configure_logging
from customer_timeline.schemas.errors import CustomerTimelineError


@pytest.fixture
def lines() -> Iterator[Any]:
    stream = io.StringIO()
    root, ours = logging.getLogger(), logging.getLogger("customer_timeline")
    before = (root.handlers[:], root.level, ours.level)
    configure_logging("info", "json", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    structlog.reset_defaults()


def test_both_ways_of_logging_give_one_json_object_a_line(lines: Any) -> None:
    logging.getLogger("customer_timeline.part").info("batch_applied", extra={"events": 5})
    structlog.get_logger("customer_timeline.part").warning("lagging", seconds=3)
    first, second = lines()
    assert (first["event"], first["events"], first["level"], first["logger"]) == (
        "batch_applied",
        5,
        "info",
        "customer_timeline.part",
    )
    assert (second["event"], second["seconds"], second["level"]) == ("lagging", 3, "warning")
    assert first["at"].endswith("Z")


def test_libraries_are_heard_from_warnings_on(lines: Any) -> None:
    logging.getLogger("kafka.producer").info("sending key ann@example.com")
    logging.getLogger("kafka.producer").warning("broker away")
    assert [line["event"] for line in lines()] == ["broker away"]


def test_the_message_of_a_foreign_exception_is_left_out(lines: Any) -> None:
    try:
        raise ValueError("Key (value)=(ann@example.com) already exists")
    except ValueError:
        logging.getLogger("customer_timeline").exception("batch_failed")
    (line,) = lines()
    assert "ann@example.com" not in json.dumps(line)
    assert line["error"]["type"] == "ValueError"
    assert "test_telemetry.py" in line["error"]["at"][-1]


def test_our_own_errors_say_what_they_say(lines: Any) -> None:
    try:
        try:
            raise ValueError("secret of ann")
        except ValueError as exc:
            raise CustomerTimelineError("Partition 3 moved on.") from exc
    except CustomerTimelineError:
        logging.getLogger("customer_timeline").exception("stopped")
    (line,) = lines()
    assert line["error"]["message"] == "Partition 3 moved on."
    assert line["error"]["cause"]["type"] == "ValueError"
    assert "message" not in line["error"]["cause"]
