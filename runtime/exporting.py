"""Dead letters in a file, one JSON object a line, and which of them may be removed because they are in it.

Called by the command line, and by the workers' retention. The file holds the original bytes, which may be personal.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from customer_timeline.api.dead_letters import decision_item, record_item
from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterPlace,
    DeadLetterReader,
    DeadLetterState,
)
from customer_timeline.runtime.backup.segments import sync_folder
from customer_timeline.runtime.files import FileUnusable
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.errors import CustomerTimelineError

_PAGE: Final = 500
PART: Final = ".part"
"""What the name of a file ends with that is not whole yet."""
_EVERY_STATE: Final[tuple[DeadLetterState | None, ...]] = (None, "healed")  # None: all but the healed


class NotAnExportError(CustomerTimelineError):
    """A line of the file is none that `dead-letters export` wrote."""

    exit_code = 2

    def __init__(self, file: Path, line: int) -> None:
        self.file = file
        self.line = line
        super().__init__(f"Line {line} of {file} is none that `dead-letters export` wrote; nothing was removed.")


class Exported(NamedTuple):
    """A record that a file holds, and the SHA-256 of its bytes there."""

    place: DeadLetterPlace
    sha256: str


class Removal(NamedTuple):
    """What of a file may be removed. `younger`: recorded too lately; `other`: not stored, or not with these bytes."""

    places: tuple[DeadLetterPlace, ...]
    younger: int
    other: int


async def export(
    reader: DeadLetterReader, file: Path, until: datetime | None, step: Callable[[int], object] = lambda records: None
) -> int:
    """Write every dead letter recorded before `until` (None: all) to the file, whole; how many. `step`: how many more.

    The file is there with all of them, on disk, or not at all; only its owner can read it. Raises FileUnusable.
    """
    until_us = None if until is None else to_micros(until)
    with exporting(file) as add:
        count = 0
        async for letter in _letters(reader, until_us):
            add(letter)
            count += 1
            step(1)
    return count


@contextlib.contextmanager
def exporting(file: Path) -> Iterator[Callable[[DeadLetter], object]]:
    """Call what it gives with each dead letter: at the end the file is there with all of them, on disk for good.

    Where the body fails it is not there; only its owner can read it. Raises FileUnusable.
    """
    part = file.with_name(f"{file.name}{PART}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            yield lambda letter: stream.write(orjson.dumps(_line(letter)) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
        sync_folder(file.parent)
    except OSError as exc:
        _forget(part)
        raise FileUnusable.because("write", file, exc) from exc
    except BaseException:
        _forget(part)
        raise


def _forget(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


async def removable(
    reader: DeadLetterReader, file: Path, until: datetime, step: Callable[[int], object] = lambda records: None
) -> Removal:
    """Which dead letters of the file are stored with the same bytes and were recorded before `until`.

    `step`: how many more were looked at. Raises NotAnExportError, FileUnusable.
    """
    until_us = to_micros(until)
    places: list[DeadLetterPlace] = []
    younger = other = 0
    for exported in read_export(file):
        letter = await reader.dead_letter(*exported.place)
        if letter is None or letter.sha256.hex() != exported.sha256:
            other += 1
        elif letter.summary.recorded_us >= until_us:
            younger += 1
        else:
            places.append(exported.place)
        step(1)
    return Removal(tuple(sorted(set(places))), younger, other)


def cutoff(now: datetime, keep_days: int) -> datetime:
    """What was recorded before this instant is older than the days."""
    return now - timedelta(days=keep_days)


async def _letters(reader: DeadLetterReader, until_us: int | None) -> AsyncIterator[DeadLetter]:
    for state in _EVERY_STATE:
        wanted, after, more = DeadLetterFilter(until_us=until_us, state=state), None, True
        while more:
            page = await reader.dead_letters(wanted, limit=_PAGE, after=after)
            for summary in page.rows:
                after = summary.place
                letter = await reader.dead_letter(*after)
                if letter is not None:
                    yield letter
            more = page.more


def _line(letter: DeadLetter) -> dict[str, Any]:
    return {
        **record_item(letter.summary),
        "decision": decision_item(letter),
        "sha256": letter.sha256.hex(),
        "headers": orjson.loads(letter.headers),
        "key_base64": _base64(letter.key),
        "value_base64": _base64(letter.value),
    }


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def read_export(file: Path) -> Iterator[Exported]:
    """What the file holds. Raises NotAnExportError, FileUnusable."""
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    found = orjson.loads(line)
                    place = DeadLetterPlace(str(found["topic"]), int(found["partition"]), int(found["offset"]))
                    yield Exported(place, str(found["sha256"]))
                except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
                    raise NotAnExportError(file, number) from exc
    except OSError as exc:
        raise FileUnusable.because("read", file, exc) from exc
