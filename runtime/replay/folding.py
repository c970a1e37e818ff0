"""The last step to own code: each partition is folded in a process of its own, and the parts are combined."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pickle
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from customer_timeline.projections.history import HistoryProjection
from customer_timeline.projections.selection import is_of_type
from customer_timeline.runtime.replay.crew import Crew, hand
from customer_timeline.runtime.replay.errors import ProjectionFailed, UnusableProjection
from customer_timeline.runtime.replay.spool import Holes, lines_of
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros
from customer_timeline.schemas.errors import CustomerTimelineError

_FUNCTIONS: Final = ("initial", "apply", "combine", "finish")
_PARTS: Final = ("name", "version", "handles", *_FUNCTIONS)


def load_projection(reference: str) -> HistoryProjection[Any]:
    """The projection that `MODULE:CLASS` or `FILE.py:CLASS` names. Raises UnusableProjection."""
    where, _, name = reference.rpartition(":")
    if not where or not name:
        raise UnusableProjection(reference, "it names no class")
    module = _module(reference, where)
    made = getattr(module, name, None)
    if not isinstance(made, type):
        raise UnusableProjection(reference, f"there is no class {name}")
    try:
        projection: HistoryProjection[Any] = made()
    except TypeError as exc:
        raise UnusableProjection(reference, "it cannot be made without arguments") from exc
    except Exception as exc:
        raise _failed(reference, "__init__", exc) from exc
    _check(reference, projection)
    return projection


def _check(reference: str, projection: HistoryProjection[Any]) -> None:
    missing = [part for part in _PARTS if not hasattr(projection, part)]
    if missing:
        raise UnusableProjection(reference, f"it has no {', '.join(missing)}")
    uncallable = [part for part in _FUNCTIONS if not callable(getattr(projection, part))]
    if uncallable:
        raise UnusableProjection(reference, f"{', '.join(uncallable)} cannot be called")
    if not isinstance(projection.name, str) or not isinstance(projection.version, int):
        raise UnusableProjection(reference, "name is to be a text and version a whole number")
    handles: object = projection.handles
    if isinstance(handles, str) or not isinstance(handles, Collection):
        raise UnusableProjection(reference, "handles is to be a collection of types, such as ('purchase',)")


def _module(reference: str, where: str) -> Any:
    try:
        if not where.endswith(".py"):
            if "" not in sys.path:
                sys.path.insert(0, "")  # as `python -m` does: modules beside the user
            return importlib.import_module(where)
        path = Path(where).resolve()
        known = sys.modules.get(path.stem)
        if known is not None and getattr(known, "__file__", None) == str(path):
            return known
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise UnusableProjection(reference, "there is no such file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # pickle looks the state's classes up there
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as exc:
        raise UnusableProjection(reference, f"it cannot be imported: {exc}") from exc
    except CustomerTimelineError:
        raise
    except Exception as exc:
        raise _failed(reference, "importing it", exc) from exc
    return module


def handled_types(reference: str, projection: HistoryProjection[Any]) -> frozenset[str] | None:
    """The types that it wants; None = all. Raises UnusableProjection where one of them is none."""
    asked = list(projection.handles)
    if not asked:
        return None
    unknown = [one for one in asked if not any(is_of_type(name, one) for name in CATALOGUE)]
    if unknown:
        # As with --type: one that is misspelt would give the answer of no events.
        raise UnusableProjection(reference, f"it handles {unknown[0]!r}, which is no type")
    return frozenset(name for name in CATALOGUE if any(is_of_type(name, one) for one in asked))


def fold_history(
    crew: Crew, folder: Path, holes: Mapping[int, Holes], reference: str, projection: HistoryProjection[Any]
) -> str:
    """The projection's answer over what won, as JSON. Raises ProjectionFailed with what its code raised."""
    tasks = [(reference, folder, partition, found) for partition, found in sorted(holes.items())]
    with _own_code(reference, "initial"):
        state = projection.initial()
    for part in crew.each(_fold, tasks):
        with _own_code(reference, "combine"):
            projection.combine(state, pickle.loads(part))  # noqa: S301 - our own processes wrote it
    with _own_code(reference, "finish"):
        return json.dumps(projection.finish(state), indent=2, ensure_ascii=False)


def events_of(codec: Codec, folder: Path, partition: int, holes: Holes) -> Iterator[tuple[int, DecodedEvent]]:
    """What won of a partition, in the order of the log: the offset, and the event as the projector had it."""
    for line in lines_of(folder, partition, holes):
        recorded = from_micros(line.recorded_us)
        # What a header said is in the line already, and goes before what the event says itself.
        header = recorded.isoformat() if b'"recordedtime"' in line.value else None
        yield line.offset, codec.decode(line.value, appended_at=recorded, recorded_header=header)


def _fold(reference: str, folder: Path, partition: int, holes: Holes) -> bytes:
    """The state over what won of a partition, pickled here, where it can be told whose fault it is if it cannot be."""
    projection = load_projection(reference)
    with _own_code(reference, "initial"):
        state = projection.initial()
    events = events_of(hand().codec, folder, partition, holes)
    with _own_code(reference, "apply"):
        apply = projection.apply
        for _, event in events:
            apply(state, event)
    with _own_code(reference, "carrying its state to another process"):
        return pickle.dumps(state)


@contextmanager
def _own_code(reference: str, part: str) -> Iterator[None]:
    """Whatever own code raises is told as its error, with the line that raised it."""
    try:
        yield
    except CustomerTimelineError:
        raise
    except Exception as exc:
        raise _failed(reference, part, exc) from exc


def _failed(reference: str, part: str, error: Exception) -> ProjectionFailed:
    ours = str(Path(__file__).parent)
    lines = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(ours)]
    where = f" at {Path(lines[-1].filename).name}, line {lines[-1].lineno}" if lines else ""
    return ProjectionFailed(reference, part, f"{type(error).__name__}: {error}".rstrip(". "), where)
