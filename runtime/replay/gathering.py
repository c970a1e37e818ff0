"""From events to columns as they are read: rows of a partition wait by type, and are spooled as Arrow tables.

Of an event only its values are kept, and at once: a decoded event takes ten kilobytes, and what is decoded next fits
where it was, within the processor's cache. Where the event's bytes lie, which the last step needs beside the columns
of the output, stands in columns of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from customer_timeline.runtime.replay.columns import FIXED, PLACE, columns_of, family_of, texts
from customer_timeline.schemas.decoded import DIRECTION, DecodedEvent

# Rows of all types together that wait, and of one type: this bounds the memory of a process.
_WAITING_ROWS: Final = 16_000
_TABLE_ROWS: Final = 4_000

_TYPE: Final = b"type"
# Fields of events do not begin with a line.
_INNER: Final = (("_line_start", pa.int64()), ("_line_length", pa.int32()))
# What every event of a type or partition has in common is added at the end.
_ALIKE: Final = frozenset({"type", "listed", "log_partition"})
_SPOOLED: Final = tuple((name, kind) for name, kind in (*FIXED, *PLACE, *_INNER) if name not in _ALIKE)


class Gathering:
    """A `Keeper` of columns."""

    def __init__(self) -> None:
        self._rows: dict[str, _Rows] = {}
        self._waiting = 0
        self._full: list[str] = []

    def add(self, event: DecodedEvent, offset: int, recorded_us: int, start: int, length: int) -> None:
        """Take the event's values."""
        rows = self._rows.get(event.type)
        if rows is None:
            rows = self._rows[event.type] = _Rows(event.type)
        rows.fixed.append(
            (
                event.event_id,
                event.source,
                event.id,
                event.occurred_us,
                recorded_us,
                event.revision,
                event.actor,
                event.sign_of_life,
                event.channel,
                event.anchor_id if event.listed else None,
                [one[0] for one in event.identifiers],
                [one[0] for one in event.things],
                offset,
                start,
                length,
            )
        )
        rows.own.append(rows.pick(event.data.__dict__))
        self._waiting += 1
        if len(rows.own) == _TABLE_ROWS:
            self._full.append(event.type)

    def ready(self) -> Iterable[bytes]:
        """Tables of those types of which enough wait."""
        while self._full:
            yield self._table(self._full.pop())
        while self._waiting >= _WAITING_ROWS:
            yield self._table(max(self._rows, key=lambda one: len(self._rows[one].own)))

    def rest(self) -> Iterable[bytes]:
        """Tables of all that waits."""
        self._full.clear()
        for type_name in list(self._rows):
            yield self._table(type_name)

    def _table(self, type_name: str) -> bytes:
        rows = self._rows.pop(type_name)
        self._waiting -= len(rows.own)
        return rows.table()


class _Rows:
    """Rows of one type: what every event has (`fixed`), and the values of the fields that `pick` takes (`own`)."""

    def __init__(self, type_name: str) -> None:
        self._type_name = type_name
        self._family = columns_of(family_of(type_name))
        self._fields = list(dict.fromkeys(one.field for one in self._family.of_type[type_name].values()))
        self.pick = _picking(self._fields)
        self.fixed: list[tuple[Any, ...]] = []
        self.own: list[tuple[Any, ...]] = []

    def table(self) -> bytes:
        """All rows as a stream of Arrow, with the type in its schema."""
        fixed = dict(zip((name for name, _ in _SPOOLED), zip(*self.fixed, strict=True), strict=True))
        fixed["direction"] = tuple(map(DIRECTION.__getitem__, fixed["direction"]))
        arrays = [pa.array(fixed[name], kind) for name, kind in _SPOOLED]
        fields = [pa.field(name, kind) for name, kind in _SPOOLED]
        own = dict(zip(self._fields, zip(*self.own, strict=True), strict=True))
        # Most fields are optional, and most events leave most of them out.
        given = {name: values for name, values in own.items() if values.count(None) < len(values)}
        for name, column in self._family.of_type[self._type_name].items():
            if column.field in given:
                field = self._family.schema.field(name)
                values = column.values(given[column.field])
                arrays.append(pa.array(values if column.type == field.type else texts(values), field.type))
                fields.append(field)
        batch = pa.record_batch(arrays, pa.schema(fields, {_TYPE: self._type_name}))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        content: bytes = sink.getvalue().to_pybytes()
        return content


def _picking(fields: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(fields) > 1:  # of one field `itemgetter` gives the value itself
        return itemgetter(*fields)
    return lambda values: tuple([values[name] for name in fields])


def spooled_tables(path: Path) -> Iterator[tuple[str, Any]]:
    """What was gathered of a partition, table by table: the type, and its rows. Nothing is copied into memory."""
    size = path.stat().st_size
    if size == 0:
        return
    with pa.memory_map(str(path)) as source:
        while source.tell() < size:
            found = pa.ipc.open_stream(source).read_all()
            yield found.schema.metadata[_TYPE].decode(), found
