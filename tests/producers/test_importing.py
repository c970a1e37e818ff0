"""Lines of JSON into the log: what is an event is published, what is not is told with line, reason and field."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from published_log import CODEC, NOON, viewed

from customer_timeline.producers import importing
from customer_timeline.producers.importing import ImportProgress, Line, import_lines, read_lines, rejected_line
from customer_timeline.producers.memory import MemoryPublisher
from customer_timeline.schemas.errors import InvalidEvent

GOOD = CODEC.encode(viewed("1"))


def imported(content: bytes, *, dry_run: bool = False) -> tuple[list[bytes], list[dict[str, Any]], ImportProgress]:
    publisher = MemoryPublisher(CODEC, now=lambda: NOON)
    rejected: list[dict[str, Any]] = []
    progress = ImportProgress()

    def reject(line: Line, error: InvalidEvent) -> None:
        rejected.append(json.loads(rejected_line(line, error)))

    lines = read_lines(io.BytesIO(content))
    import_lines(lines, CODEC, None if dry_run else publisher, reject, lambda: NOON, progress)
    return [record.value for record in publisher.records], rejected, progress


def test_a_line_is_published_as_it_stands() -> None:
    spaced = GOOD.replace(b'":', b'": ')

    published, rejected, progress = imported(b"\xef\xbb\xbf" + spaced + b"\r\n\n  \n" + GOOD)

    assert published == [spaced, GOOD]
    assert rejected == []
    assert (progress.read, progress.accepted, progress.rejected_lines, progress.last_line) == (2, 2, 0, 4)


def test_a_line_that_is_no_event_is_told_with_number_reason_field_and_original() -> None:
    wrong = GOOD.replace(b'"web"', b'"pigeon"')

    published, rejected, progress = imported(GOOD + b"\n" + wrong + b"\n{\n" + GOOD + b"\n")

    assert published == [GOOD, GOOD]
    assert (progress.read, progress.accepted, dict(progress.rejected)) == (4, 2, {"invalid_field": 1, "not_json": 1})
    assert [line["line"] for line in rejected] == [2, 3]
    assert rejected[0] == {
        "line": 2,
        "reason": "invalid_field",
        "type": "page.viewed.v1",
        "field": "data.channel",
        "detail": rejected[0]["detail"],
        "original": wrong.decode(),
    }
    assert rejected[0]["detail"].startswith("expected one of app, chat")


def test_what_the_projector_would_refuse_for_its_time_is_rejected_here() -> None:
    tomorrow = GOOD.replace(b"2026-03-01", b"2026-03-02")
    before = GOOD.replace(b"2026-03-01", b"1969-03-01")

    _, rejected, _ = imported(tomorrow + b"\n" + before)

    assert [line["reason"] for line in rejected] == ["future", "before_1970"]


def test_a_dry_run_checks_everything_and_publishes_nothing() -> None:
    published, rejected, progress = imported(GOOD + b"\n{}\n", dry_run=True)

    assert published == []
    assert len(rejected) == 1
    assert (progress.read, progress.accepted) == (2, 1)


def test_a_line_that_is_not_utf8_is_kept_in_base64() -> None:
    _, rejected, _ = imported(b"\xff\xfe{}")

    assert base64.b64decode(rejected[0]["original_base64"]) == b"\xff\xfe{}"
    assert "original" not in rejected[0]


def test_a_line_of_any_length_takes_bounded_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr(importing, "KEPT_LINE_BYTES", 1000)
    longest = GOOD + b" " * (999 - len(GOOD))
    endless = b"{" * 5500

    lines = list(read_lines(io.BytesIO(longest + b"\n" + endless + b"\n" + GOOD)))

    assert [(line.number, len(line.content), line.size, line.cut) for line in lines] == [
        (1, len(GOOD), 1000, False),
        (2, 1000, 5501, True),
        (3, len(GOOD), len(GOOD), False),
    ]
    published, rejected, _ = imported(endless + b"\n" + GOOD)
    assert published == [GOOD]
    assert (rejected[0]["reason"], rejected[0]["cut"], len(rejected[0]["original"])) == ("too_large", True, 1000)


def test_an_empty_file_is_an_import_of_nothing() -> None:
    assert imported(b"")[2] == ImportProgress()
