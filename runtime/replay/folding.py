"""The last step to own code: each partition is folded in a process of its own, and the parts are combined."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from customer_timeline.projections.history import HistoryProjection
from customer_timeline.projections.selection import is_of_type
from customer_timeline.runtime.replay.crew import Crew, hand
from customer_timeline.runtime.replay.errors import UnusableProjection
from customer_timeline.runtime.replay.spool import Holes, lines_of
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros

_PARTS: Final = ("name", "version", "handles", "initial", "apply", "combine", "finish")


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
    missing = [part for part in _PARTS if not hasattr(projection, part)]
    if missing:
        raise UnusableProjection(reference, f"it has no {', '.join(missing)}")
    return projection


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
    except ImportError as exc:
        raise UnusableProjection(reference, f"it cannot be imported: {exc}") from exc
    return module


def handled_types(projection: HistoryProjection[Any]) -> frozenset[str] | None:
    """The types that it wants; None = all."""
    asked = list(projection.handles)
    if not asked:
        return None
    return frozenset(name for name in CATALOGUE if any(is_of_type(name, one) for one in asked))


def fold_history(
    crew: Crew, folder: Path, holes: Mapping[int, Holes], reference: str, projection: HistoryProjection[Any]
) -> Any:
    """The projection's answer over what won. Raises what its code raises."""
    tasks = [(reference, folder, partition, found) for partition, found in sorted(holes.items())]
    state = projection.initial()
    for part in crew.each(_fold, tasks):
        projection.combine(state, part)
    return projection.finish(state)


def events_of(codec: Codec, folder: Path, partition: int, holes: Holes) -> Iterator[tuple[int, DecodedEvent]]:
    """What won of a partition, in the order of the log: the offset, and the event as the projector had it."""
    for line in lines_of(folder, partition, holes):
        recorded = from_micros(line.recorded_us)
        # What a header said is in the line already, and goes before what the event says itself.
        header = recorded.isoformat() if b'"recordedtime"' in line.value else None
        yield line.offset, codec.decode(line.value, appended_at=recorded, recorded_header=header)


def _fold(reference: str, folder: Path, partition: int, holes: Holes) -> Any:
    projection = load_projection(reference)
    state = projection.initial()
    apply = projection.apply
    for _, event in events_of(hand().codec, folder, partition, holes):
        apply(state, event)
    return state
