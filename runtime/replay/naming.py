"""From spooled columns to what identity looks at: whom and what the events of a partition name.

Of events that name the same identifiers and no thing, only the earliest can make a difference; there are far fewer of
these than events. Each event that names a thing is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import DecodedEvent, Identifier, Thing, from_micros

# Stands in no id and no kind.
_BETWEEN: Final = "\n"
_NO_DATA: Final[Any] = None


class Naming:
    """Gathers from tables what the events in them name."""

    def __init__(self) -> None:
        self._earliest: dict[str, tuple[int, str, str]] = {}

    def add(self, type_name: str, rows: Any) -> Iterator[DecodedEvent]:
        """Take rows of one type; gives those events that name a thing."""
        if not CATALOGUE[type_name].listed:
            return
        names_things = pc.greater(pc.list_value_length(rows["thing_ids"]), 0)
        yield from _with_things(type_name, rows.filter(names_things))
        earliest = self._earliest
        for ids, occurred_us, event_id, kinds in zip(*_columns(rows.filter(pc.invert(names_things))), strict=True):
            known = earliest.get(ids)
            if known is None or (occurred_us, event_id) < known:
                earliest[ids] = (occurred_us, event_id, kinds)

    def rest(self) -> Iterator[DecodedEvent]:
        """Of all others the earliest of each."""
        for ids, (occurred_us, event_id, kinds) in self._earliest.items():
            if ids:
                yield _event("", event_id, occurred_us, _named(Identifier, ids, kinds), (), continues=False)


def _with_things(type_name: str, rows: Any) -> Iterator[DecodedEvent]:
    continues = CATALOGUE[type_name].continues_thing()
    things = (pc.binary_join(rows[name], _BETWEEN).to_pylist() for name in ("thing_ids", "_thing_kinds"))
    for ids, occurred_us, event_id, kinds, thing_ids, thing_kinds in zip(*_columns(rows), *things, strict=True):
        identifiers = _named(Identifier, ids, kinds)
        yield _event(
            type_name, event_id, occurred_us, identifiers, _named(Thing, thing_ids, thing_kinds), continues=continues
        )


def _columns(rows: Any) -> Iterable[list[Any]]:
    return (
        pc.binary_join(rows["identifier_ids"], _BETWEEN).to_pylist(),
        rows["occurred_at"].cast(pa.int64()).to_pylist(),
        rows["event_id"].to_pylist(),
        pc.binary_join(rows["_identifier_kinds"], _BETWEEN).to_pylist(),
    )


def _named(made: Any, ids: str, kinds: str) -> tuple[Any, ...]:
    if not ids:
        return ()
    pairs = zip(ids.split(_BETWEEN), kinds.split(_BETWEEN), strict=True)
    return tuple([made(one, kind, "") for one, kind in pairs])


def _event(
    type_name: str,
    event_id: str,
    occurred_us: int,
    identifiers: tuple[Identifier, ...],
    things: tuple[Thing, ...],
    *,
    continues: bool,
) -> DecodedEvent:
    """A listed event with what identity looks at, and nothing else of it."""
    occurred = from_micros(occurred_us)
    return DecodedEvent(
        event_id=event_id,
        type=type_name,
        source="",
        id="",
        occurred_at=occurred,
        occurred_us=occurred_us,
        recorded_at=occurred,
        revision=0,
        actor="system",
        sign_of_life=False,
        channel=None,
        identifiers=identifiers,
        things=things,
        continues_thing=continues,
        listed=True,
        data_quality=(),
        data=_NO_DATA,
        value=b"",
    )
