"""The folder of a replay beside its output: its lock, its question, and the bounds that were taken at its start."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.replay.errors import OtherReplay, ReplayTaken
from customer_timeline.runtime.replay.spool import buckets_for, write_json
from customer_timeline.streams.log_reader import Bounds

_QUESTION: Final = "question.json"
_FORM: Final = 4  # of the files in the folder; a run goes on only with its own


@dataclass(frozen=True, slots=True)
class Work:
    """A folder of a replay. `bounds`: the stretch of each partition, as taken when it began; `buckets`: the parts of
    the index, which follow from them."""

    folder: Path
    bounds: Mapping[int, Bounds]
    buckets: int
    resumed: bool


@contextmanager
def work_folder(output: Path | None, *, from_start: bool) -> Iterator[Path]:
    """The folder, locked: `OUTPUT.replay`, which stays when it is left by an error, so that a run can go on with it.
    Without an output a folder of the moment.

    Raises ReplayTaken where another run holds it.
    """
    if output is None:
        with tempfile.TemporaryDirectory(prefix="customer-timeline-replay-") as made:
            yield Path(made)
        return
    folder = output.with_name(f"{output.name}.replay")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = (folder / "lock").open("wb")
    except OSError as exc:
        raise FileUnusable.because("make", folder, exc) from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ReplayTaken(str(folder)) from exc
        if from_start:
            _empty(folder)
        yield folder
        shutil.rmtree(folder)


def take_up(folder: Path, question: Mapping[str, Any], bounds: Mapping[int, Bounds]) -> Work:
    """Begin in the folder, or go on with what was begun there: then with the bounds of that time.

    Raises OtherReplay where something else was begun, or the log is not the one it was begun with.
    """
    path = folder / _QUESTION
    asked = json.loads(json.dumps(question))
    try:
        begun = json.loads(path.read_bytes())
    except FileNotFoundError:
        return _begin(path, asked, bounds)
    if begun.get("form") != _FORM:
        raise OtherReplay(str(folder), "another version began it")
    differs = [name for name in asked if asked[name] != begun["question"].get(name)]
    if differs:
        raise OtherReplay(str(folder), ", ".join(differs))
    then = {int(number): Bounds(*found) for number, found in begun["bounds"].items()}
    if any(number not in bounds or bounds[number].end < found.end for number, found in then.items()):
        raise OtherReplay(str(folder), "the log is shorter now")
    return Work(folder, then, begun["buckets"], resumed=True)


def _begin(path: Path, question: Mapping[str, Any], bounds: Mapping[int, Bounds]) -> Work:
    buckets = buckets_for(sum(found.end - found.first for found in bounds.values()))
    kept = {str(number): found for number, found in bounds.items()}
    write_json(path, {"form": _FORM, "question": question, "bounds": kept, "buckets": buckets})
    return Work(path.parent, bounds, buckets, resumed=False)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == "lock":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
