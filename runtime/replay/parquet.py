"""The last step to Parquet: files by family and month of what happened, typed; and who is who."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.replay.arrow import pa, pc, pq
from customer_timeline.runtime.replay.columns import INSTANT, columns_of, family_of
from customer_timeline.runtime.replay.crew import Crew
from customer_timeline.runtime.replay.garbage import uncollected
from customer_timeline.runtime.replay.gathering import LINE, spooled_tables
from customer_timeline.runtime.replay.identity_tables import identity_tables
from customer_timeline.runtime.replay.output import EVENTS, IDENTITY, PEOPLE, check_output
from customer_timeline.runtime.replay.people import People, Persons
from customer_timeline.runtime.replay.spool import Holes, details_file, values_file
from customer_timeline.schemas.catalogue import CATALOGUE

# Rows that wait to be written, of all families and months together: this bounds the memory of a process.
_WAITING_ROWS: Final = 20_000
_GROUP_ROWS: Final = 10_000
_GROUP_BYTES: Final = 64 << 20
# A file is open until its month is over in the log. A history that jumps about in time could need more than a process
# may open; then the file that was written to longest ago ends, and what comes later goes to another beside it.
_OPEN_FILES: Final = 256
_PEOPLE_ROWS: Final = 50_000
_NICE: Final = 10

# Of all others a dictionary would be hardly shorter than they are.
_DICTIONARIES: Final = ("type", "source", "direction", "channel")


def write_parquet(
    crew: Crew, folder: Path, holes: Mapping[int, Holes], output: Path, persons: Persons
) -> Mapping[str, Any]:
    """Write what won below `output`, which appears when it is whole: `events/family=…/month=…/PARTITION.parquet` (and
    `PARTITION-2.parquet` …), and `people.parquet`: the person of every id that an event stands at, and `identity/…`:
    what says so.
    """
    beside = fresh_folder(folder / "parquet")
    # Who is who takes longest, and only this process can work it out: the others take what it leaves.
    crew.refresh(nice=_NICE)
    written = crew.begin(_write, [(folder, beside, number, found) for number, found in sorted(holes.items())])
    found = persons()
    _write_people(found.person_of, beside / PEOPLE)
    _write_identity(found, fresh_folder(beside / IDENTITY))
    parts = written()
    check_output("parquet", output, replace=True)  # once more: hours may have passed
    try:
        if output.exists():  # an empty one, or one that --from-start replaces
            output.rename(fresh_folder(folder / "replaced"))
        beside.rename(output)
    except OSError as exc:
        raise FileUnusable.because("write", output, exc) from exc
    return {
        "files": sum(some for some, _ in parts),
        "bytes": sum(size for _, size in parts),
        "people": len(set(found.person_of.values())),
    }


_PEOPLE_SCHEMA: Final = pa.schema([("id", pa.string()), ("person_id", pa.string())])


def _write_people(people: Mapping[str, str], path: Path) -> None:
    rows = pa.table([list(people), list(people.values())], _PEOPLE_SCHEMA)
    _write_sorted(rows, path, ["id"])


def _write_identity(found: People, folder: Path) -> None:
    with uncollected():
        for name, rows in identity_tables(found.identity, found.policy):
            _write_sorted(rows, folder / f"{name}.parquet", rows.schema.names[:2])


def _write_sorted(rows: Any, path: Path, by: Sequence[str]) -> None:
    # Not `sort_by`, which would load a package of Arrow's for it.
    order = pc.sort_indices(rows, [(name, "ascending") for name in by])
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for at in range(0, len(order), _PEOPLE_ROWS):
            writer.write_table(rows.take(order.slice(at, _PEOPLE_ROWS)))


def remove_folder(path: Path) -> None:
    """Remove the folder and what is in it."""
    import shutil

    shutil.rmtree(path)


def fresh_folder(path: Path) -> Path:
    """An empty folder for the owner's eyes only; what an interrupted run left there goes."""
    if path.exists():
        remove_folder(path)
    path.mkdir(mode=0o700)
    return path


class _Files:
    """The files of one partition: tables that wait by family and month, and the writers that they go to."""

    def __init__(self, folder: Path, partition: int, values: Any) -> None:
        self._folder = folder
        self._partition = partition
        self._values = values
        # Those that are open, the one that was written to longest ago first; and how many files each had.
        self._writers: dict[tuple[str, str], Any] = {}
        self._begun: Counter[tuple[str, str]] = Counter()
        self._waiting: defaultdict[tuple[str, str], list[tuple[str, Any]]] = defaultdict(list)
        self._rows: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self.size = 0

    @property
    def count(self) -> int:
        """How many files there are."""
        return self._begun.total()

    def add(self, type_name: str, rows: Any) -> None:
        """Put rows of one type where they belong."""
        # As the integers that they are: of an instant with its zone Arrow would ask the machine's list of zones.
        occurred = rows["occurred_at"].cast(pa.int64()).cast(pa.timestamp("us"))
        months = pc.add(pc.multiply(pc.year(occurred), 12), pc.subtract(pc.month(occurred), 1))
        found = pc.unique(months).to_pylist()
        for month in found:
            key = (family_of(type_name), f"{month // 12:04}-{month % 12 + 1:02}")
            some = rows if len(found) == 1 else rows.filter(pc.equal(months, month))
            self._waiting[key].append((type_name, some))
            self._rows[key] += len(some)
            self._bytes[key] += _size(some[LINE])
            if self._rows[key] >= _GROUP_ROWS or self._bytes[key] >= _GROUP_BYTES:
                self._write(key)
        while self._rows.total() >= _WAITING_ROWS:
            self._write(self._rows.most_common(1)[0][0])

    def close(self) -> None:
        """Write what waits, and end the files."""
        for key in sorted(self._rows.keys() | self._writers.keys()):
            if key in self._rows or key in self._writers:  # else it had to make room for another
                self._end(key)

    def _write(self, key: tuple[str, str]) -> None:
        schema = columns_of(key[0]).schema
        writer = self._writers.pop(key, None)
        if writer is None:
            if len(self._writers) == _OPEN_FILES:
                self._end(next(iter(self._writers)))
            writer = self._begin(key, schema)
        self._writers[key] = writer
        del self._bytes[key]
        writer.write_table(self._whole(schema, self._waiting.pop(key)), row_group_size=self._rows.pop(key))

    def _begin(self, key: tuple[str, str], schema: Any) -> Any:
        self._begun[key] += 1
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=list(_DICTIONARIES),
            write_statistics=["occurred_at", "recorded_at", "type", "channel"],
        )

    def _end(self, key: tuple[str, str]) -> None:
        if key in self._rows:
            self._write(key)
        self._writers.pop(key).close()
        self.size += self._path(key).stat().st_size

    def _whole(self, schema: Any, tables: Iterable[tuple[str, Any]]) -> Any:
        """Rows of several types with all columns of their family."""
        rows = pa.concat_tables(
            [
                some.append_column("type", _repeated(type_name, pa.string(), some))
                .append_column("listed", _repeated(CATALOGUE[type_name].listed, pa.bool_(), some))
                .append_column("event", lines_at(self._values, some[LINE]))
                for type_name, some in tables
            ],
            promote_options="default",
        )
        rows = rows.append_column("log_partition", _repeated(self._partition, pa.int32(), rows))
        given = set(rows.schema.names)
        arrays = [
            rows[name] if name in given else pa.nulls(len(rows), kind)
            for name, kind in zip(schema.names, schema.types, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _path(self, key: tuple[str, str]) -> Path:
        """The file that is written to now."""
        family, month = key
        name = (
            f"{self._partition}.parquet" if self._begun[key] == 1 else f"{self._partition}-{self._begun[key]}.parquet"
        )
        return self._folder / EVENTS / f"family={family}" / f"month={month}" / name


def _write(folder: Path, beside: Path, partition: int, holes: Holes) -> tuple[int, int]:
    # Two processes share the processors already; Arrow's own threads would only take turns with them.
    pa.set_cpu_count(1)
    values = values_file(folder, partition)
    if values.stat().st_size == 0:
        return 0, 0
    with pa.memory_map(str(values)) as source:
        files = _Files(beside, partition, source.read_buffer())
        for type_name, found in spooled_tables(details_file(folder, partition)):
            files.add(type_name, _won(found, holes))
        files.close()
    return files.count, files.size


def _repeated(value: Any, kind: Any, rows: Any) -> Any:
    return pa.repeat(pa.scalar(value, kind), len(rows))


def _size(places: Any) -> int:
    bytes_: int = pc.sum(pc.subtract(pc.list_element(places, 1), pc.list_element(places, 0))).as_py()
    return bytes_


def lines_at(values: Any, places: Any) -> Any:
    """The texts at `places` (a column of begin and end, ascending) in a buffer.

    Begins and ends in turns are the offsets of an array of those texts and of what lies between them, which is taken
    out again: no text is looked at in Python.
    """
    ends = places.combine_chunks().flatten()
    all_of_it = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends) - 1, [None, ends.buffers()[1], values], offset=ends.offset
    )
    lines = all_of_it.take(pa.array(range(0, len(ends), 2), pa.int64()))
    return lines.cast(pa.binary()).view(pa.string())


def _won(rows: Any, holes: Holes) -> Any:
    """Those of the rows that won, with the time at which the log first took in what they say."""
    starts = pc.list_element(rows[LINE], 0)
    lost = holes.starts[bisect_left(holes.starts, starts[0].as_py()) : bisect_right(holes.starts, starts[-1].as_py())]
    if lost:
        rows = rows.filter(pc.invert(pc.is_in(starts, pa.array(lost, pa.int64()))))
    if holes.recorded_us:
        places = zip(rows["log_offset"].to_pylist(), rows["recorded_at"].cast(pa.int64()).to_pylist(), strict=True)
        recorded = pa.array([holes.recorded_us.get(*place) for place in places], INSTANT)
        rows = rows.set_column(rows.schema.get_field_index("recorded_at"), "recorded_at", recorded)
    return rows
