"""From events to columns as they are read, spooled as Arrow tables by type.

Of an event only its values are kept, and at once: a decoded event takes ten kilobytes, and what is decoded next fits
where it was, within the processor's cache. For the same reason values are packed into columns soon, a few at a time:
what all events have for all types together (`_Common`), the fields of a type's own when there are enough (`_Own`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from customer_timeline.runtime.replay.arrow import pa, pc
from customer_timeline.runtime.replay.columns import FIXED, PLACE, columns_of, family_of, texts
from customer_timeline.schemas.decoded import DIRECTION, DecodedEvent, anchor_of

# Rows that wait packed: this bounds the memory of a process. They are written, too, where their events lie over so much
# of the spool: their texts are looked at together.
_WAITING_ROWS: Final = 16_000
_WAITING_SPAN: Final = 64 << 20
# So many values wait as Python has them.
_PACKED_ROWS: Final = 256

_TYPE: Final = b"type"
# Where the event's bytes begin and end in the spool. Fields of events do not begin with a line.
LINE: Final = "_line"
_NUMBER: Final = "_type"
# What every event of a type or partition has in common is added at the end.
_ALIKE: Final = frozenset({"type", "listed", "log_partition"})
# An event's fields before its data and the notes on it.
_DATA: Final = DecodedEvent._fields.index("data_quality")
_GATHERED: Final = (*DecodedEvent._fields[:_DATA], "number", "offset", "recorded_us", "start", "length")
_SPOOLED: Final = tuple((name, kind) for name, kind in (*FIXED, *PLACE) if name not in _ALIKE)
_COLUMNS: Final = (*_SPOOLED, (_NUMBER, pa.int64()), (LINE, pa.list_(pa.int64(), 2)))
_ROWS: Final = pa.schema(_COLUMNS)


class Gathering:
    """A `Keeper` of columns."""

    def __init__(self) -> None:
        self._common = _Common()
        self._own: dict[str, _Own] = {}

    def add(self, event: DecodedEvent, offset: int, recorded_us: int, start: int, length: int) -> None:
        """Take the event's values."""
        own = self._own.get(event.type)
        if own is None:
            own = self._own[event.type] = _Own(event.type, len(self._own))
        own.values.append(own.pick(event.data.__dict__))
        if len(own.values) == _PACKED_ROWS:
            own.pack()
        self._common.events.append((*event[:_DATA], own.number, offset, recorded_us, start, length))

    def ready(self) -> Iterable[memoryview]:
        """Tables of all types, once enough rows wait."""
        if len(self._common.events) >= _PACKED_ROWS:
            self._common.pack()
        if self._common.rows >= _WAITING_ROWS or self._common.span >= _WAITING_SPAN:
            return self.rest()
        return ()

    def rest(self) -> Iterable[memoryview]:
        """Tables of all that waits."""
        common, of_type = self._common, self._own
        self._common, self._own = _Common(), {}
        if of_type:
            whole = common.table()
            for own in of_type.values():
                yield _as_stream(own, whole.filter(pc.equal(whole[_NUMBER], own.number)).drop_columns([_NUMBER]))


def _as_stream(own: _Own, rows: Any) -> memoryview:
    """Rows of one type, with their own columns, as a stream of Arrow with the type in its schema."""
    columns = own.table()
    for name in columns.schema.names:
        rows = rows.append_column(name, columns[name])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema.with_metadata({_TYPE: own.type_name})) as stream:
        stream.write_table(rows.combine_chunks())
    return memoryview(sink.getvalue())


class _Common:
    """What every event has, in the order of the spool. `events`: those that are not packed yet, without their data."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._packed: list[Any] = []
        self._first = 0
        self.rows = 0
        self.span = 0

    def pack(self) -> None:
        """Make columns of the events at hand."""
        told = dict(zip(_GATHERED, zip(*self.events, strict=True), strict=True))
        who, things = told["identifiers"], told["things"]
        anchors = map(anchor_of, who, things, told["continues_thing"])
        lines = array("q")
        for start, length in zip(told["start"], told["length"], strict=True):
            lines.extend((start, start + length - 1))  # without its line break
        values: dict[str, Any] = {
            **told,
            "occurred_at": _integers(told["occurred_us"]),
            "recorded_at": _integers(told["recorded_us"]),
            "direction": [DIRECTION[actor] for actor in told["actor"]],
            "anchor_id": [one if listed else None for one, listed in zip(anchors, told["listed"], strict=True)],
            "identifier_ids": _ids(who),
            "thing_ids": _ids(things),
            "log_offset": _integers(told["offset"]),
            _NUMBER: _integers(told["number"]),
            LINE: pa.FixedSizeListArray.from_arrays(_integers(lines), 2),
        }
        columns = [_column(values[name], kind) for name, kind in _COLUMNS]
        if not self._packed:
            self._first = lines[0]
        self._packed.append(pa.RecordBatch.from_arrays(columns, schema=_ROWS))
        self.rows += len(self.events)
        self.span = lines[-1] - self._first
        self.events.clear()

    def table(self) -> Any:
        """All rows."""
        if self.events:
            self.pack()
        return pa.Table.from_batches(self._packed, _ROWS).combine_chunks()


def _integers(numbers: Sequence[int]) -> Any:
    """A column of them."""
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(array("q", numbers))])


def _ids(named: Iterable[Sequence[tuple[str, ...]]]) -> Any:
    """A column of the ids of what each event names."""
    ends = accumulate(map(len, named), initial=0)
    return pa.ListArray.from_arrays(array("i", ends), pa.array([one[0] for some in named for one in some], pa.string()))


def _column(values: Any, kind: Any) -> Any:
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.view(kind)
    return pa.array(values, kind)


class _Own:
    """The columns of one type's own: values of its fields, as `pick` takes them, that are not packed yet. `number`: by
    which `_Common` knows the type."""

    def __init__(self, type_name: str, number: int) -> None:
        self.type_name = type_name
        self.number = number
        family = columns_of(family_of(type_name))
        self._columns = [(one, family.schema.field(one.name).type) for one in family.of_type[type_name].values()]
        self._fields = list(dict.fromkeys(one.field for one, _ in self._columns))
        self._packed: list[Any] = []
        self.pick = _picking(self._fields)
        self.values: list[tuple[Any, ...]] = []

    def pack(self) -> None:
        """Make columns of the values at hand: of those fields that any event gives, for most leave most of them out."""
        rows = len(self.values)
        by_field = zip(self._fields, zip(*self.values, strict=True), strict=True)
        given = {name: values for name, values in by_field if values.count(None) < rows}
        columns = {}
        for column, kind in self._columns:
            if column.field in given:
                values = column.values(given[column.field])
                columns[column.name] = pa.array(values if column.type == kind else texts(values), kind)
        columns[_NUMBER] = pa.nulls(rows)  # so that a table without columns has its rows
        self._packed.append(pa.table(columns))
        self.values.clear()

    def table(self) -> Any:
        """All rows."""
        if self.values:
            self.pack()
        return pa.concat_tables(self._packed, promote_options="default").drop_columns([_NUMBER])


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
