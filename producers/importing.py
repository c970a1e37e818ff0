"""Importing events from lines of JSON: each is decoded as the projector will, then published or rejected.

The command `publish` and tools that copy logs call this. It reads lines, it knows neither files nor terminals.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, NamedTuple

import orjson

from customer_timeline.producers.protocol import Publisher
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.envelope import MAX_EVENT_BYTES
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason

KEPT_LINE_BYTES = 16 * MAX_EVENT_BYTES  # a longer line is none that anybody wants back whole
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line of the input: its number from 1, its bytes without the line end, and how many bytes it took."""

    number: int
    content: bytes
    size: int
    cut: bool = False


@dataclass(slots=True)
class ImportProgress:
    """How far an import is. Mutable, because it is told while it runs; read it, never change it."""

    read: int = 0
    """Lines that are not blank."""
    accepted: int = 0
    """Lines that are events: handed to the publisher, or only checked in a dry run."""
    read_bytes: int = 0
    last_line: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Reason to number of lines."""

    @property
    def rejected_lines(self) -> int:
        """Lines that are no events."""
        return self.rejected.total()


def read_lines(stream: BinaryIO) -> Iterator[Line]:
    """The lines of a file, never more than `KEPT_LINE_BYTES` of one in memory; a byte order mark is left out."""
    number = 0
    while content := stream.readline(KEPT_LINE_BYTES):
        number += 1
        size, cut = len(content), False
        if number == 1:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        while size >= KEPT_LINE_BYTES and not content.endswith(b"\n") and (rest := stream.readline(KEPT_LINE_BYTES)):
            size, cut = size + len(rest), True
            if rest.endswith(b"\n"):
                break
        yield Line(number, content.strip(), size, cut)


def import_lines(
    lines: Iterator[Line],
    codec: Codec,
    publisher: Publisher | None,
    reject: Callable[[Line, InvalidEvent], None],
    now: Callable[[], datetime],
    progress: ImportProgress,
) -> None:
    """Publish every line that is an event and `reject` every other; blank lines are passed over.

    Without a `publisher` it is a dry run. Returns when Kafka has acknowledged all; raises what the publisher raises.
    `progress` is right at any moment, also after an exception.
    """
    for line in lines:
        progress.last_line = line.number
        progress.read_bytes += line.size
        if not line.content:
            continue
        progress.read += 1
        try:
            event = codec.decode(_whole(line), appended_at=now())
        except InvalidEvent as error:
            reject(line, error)
            progress.rejected[error.reason.value] += 1
            continue
        if publisher is not None:
            publisher.publish(event)
        progress.accepted += 1
    if publisher is not None:
        publisher.flush()


def rejected_line(line: Line, error: InvalidEvent) -> bytes:
    """One line of the side file: where, why, and the original, as text if it is UTF-8 and in base64 if not."""
    record = {
        "line": line.number,
        "reason": error.reason.value,
        "type": error.type,
        "field": error.field,
        "detail": error.detail,
        **({"cut": True} if line.cut else {}),
    }
    try:
        return orjson.dumps({**record, "original": line.content.decode()}) + b"\n"
    except UnicodeDecodeError:
        return orjson.dumps({**record, "original_base64": base64.b64encode(line.content).decode()}) + b"\n"


def _whole(line: Line) -> bytes:
    if line.cut:
        raise InvalidEvent(RejectionReason.TOO_LARGE, f"expected at most {MAX_EVENT_BYTES} bytes")
    return line.content
