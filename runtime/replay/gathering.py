"""From events to columns as they are read: rows of a partition wait by type, and are spooled as Arrow tables.

An event is looked at while it is fresh, a thousand at a time, and only its values are kept: a decoded event takes ten
kilobytes. Where the event's bytes lie, which the last step needs beside the columns of the output, stands in columns of
its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from customer_timeline.runtime.replay.columns import FIXED, PLACE, columns_of, family_of, texts
from customer_timeline.runtime.replay.reading import Kept
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

    def add(self, kept: Sequence[Kept]) -> Iterable[bytes]:
        """Take events; tables of those types of which enough wait."""
        by_type: defaultdict[str, list[Kept]] = defaultdict(list)
        for one in kept:
            by_type[one[0].type].append(one)
        for type_name, some in by_type.items():
            rows = self._rows.get(type_name)
            if rows is None:
                rows = self._rows[type_name] = _Rows(type_name)
            rows.add(some)
            self._waiting += len(some)
            if rows.count >= _TABLE_ROWS:
                yield self._table(type_name)
        while self._waiting >= _WAITING_ROWS:
            yield self._table(max(self._rows, key=lambda one: self._rows[one].count))

    def rest(self) -> Iterable[bytes]:
        """Tables of all that waits."""
        for type_name in list(self._rows):
            yield self._table(type_name)

    def _table(self, type_name: str) -> bytes:
        rows = self._rows.pop(type_name)
        self._waiting -= rows.count
        return rows.table()


class _Rows:
    """Rows of one type, as lists of values by column."""

    def __init__(self, type_name: str) -> None:
        self._type_name = type_name
        self._family = columns_of(family_of(type_name))
        self._fixed: dict[str, list[Any]] = {name: [] for name, _ in _SPOOLED}
        self._own: dict[str, list[Any]] = {}
        self.count = 0

    def add(self, kept: Sequence[Kept]) -> None:
        """Take the values of some events."""
        for name, values in _fixed_values(kept).items():
            self._fixed[name].extend(values)
        data = [event.data for event, *_ in kept]
        # Most fields are optional and most events leave most of them out: those need no look at each event.
        fields = [one.__dict__ for one in data]
        given: set[str] = set().union(*(one.__pydantic_fields_set__ for one in data))
        for name, column in self._family.of_type[self._type_name].items():
            if column.field is None or column.field in given:
                known = self._own.setdefault(name, [])
                known.extend([None] * (self.count - len(known)))
                known.extend(column.values(fields))
        self.count += len(kept)

    def table(self) -> bytes:
        """All rows as a stream of Arrow, with the type in its schema."""
        arrays = [pa.array(self._fixed[name], kind) for name, kind in _SPOOLED]
        fields = [pa.field(name, kind) for name, kind in _SPOOLED]
        for name, values in self._own.items():
            field = self._family.schema.field(name)
            values.extend([None] * (self.count - len(values)))
            same = self._family.of_type[self._type_name][name].type == field.type
            arrays.append(pa.array(values if same else texts(values), field.type))
            fields.append(field)
        batch = pa.record_batch(arrays, pa.schema(fields, {_TYPE: self._type_name}))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        content: bytes = sink.getvalue().to_pybytes()
        return content


def _fixed_values(kept: Sequence[Kept]) -> dict[str, Iterable[Any]]:
    events, offsets, recorded, starts, lengths = zip(*kept, strict=True)
    of = dict(zip(DecodedEvent._fields, zip(*events, strict=True), strict=True))
    return {
        "event_id": of["event_id"],
        "source": of["source"],
        "id": of["id"],
        "occurred_at": of["occurred_us"],
        "recorded_at": recorded,
        "revision": of["revision"],
        "direction": map(DIRECTION.__getitem__, of["actor"]),
        "sign_of_life": of["sign_of_life"],
        "channel": of["channel"],
        "anchor_id": [event.anchor_id if event.listed else None for event in events],
        "identifier_ids": [[one[0] for one in found] for found in of["identifiers"]],
        "thing_ids": [[one[0] for one in found] for found in of["things"]],
        "log_offset": offsets,
        "_line_start": starts,
        "_line_length": lengths,
    }


def spooled_tables(path: Path) -> Iterator[tuple[str, Any]]:
    """What was gathered of a partition, table by table: the type, and its rows. Nothing is copied into memory."""
    size = path.stat().st_size
    if size == 0:
        return
    with pa.memory_map(str(path)) as source:
        while source.tell() < size:
            found = pa.ipc.open_stream(source).read_all()
            yield found.schema.metadata[_TYPE].decode(), found
