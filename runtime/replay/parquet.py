"""The last step to Parquet: files by family and month of what happened, typed; and who is who."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.replay.arrow import pa, pc, pq
from customer_timeline.runtime.replay.columns import INSTANT, columns_of, family_of
from customer_timeline.runtime.replay.crew import Crew
from customer_timeline.runtime.replay.gathering import spooled_tables
from customer_timeline.runtime.replay.identity_tables import identity_tables, uncollected
from customer_timeline.runtime.replay.people import Persons
from customer_timeline.runtime.replay.spool import Holes, details_file, mapped, values_file
from customer_timeline.schemas.catalogue import CATALOGUE

PEOPLE: Final = "people.parquet"
EVENTS: Final = "events"
IDENTITY: Final = "identity"

# Rows that wait to be written, of all families and months together: this bounds the memory of a process.
_WAITING_ROWS: Final = 100_000
_GROUP_ROWS: Final = 20_000


def write_parquet(
    crew: Crew, folder: Path, holes: Mapping[int, Holes], output: Path, persons: Persons
) -> Mapping[str, Any]:
    """Write what won below `output`, which appears when it is whole: `events/family=…/month=…/PARTITION.parquet`, and
    `people.parquet`: the person of every id that an event stands at, and `identity/…`: what says so.
    """
    beside = fresh_folder(folder / "parquet")
    files = size = 0
    for some, bytes_ in crew.each(_write, [(folder, beside, n, found) for n, found in sorted(holes.items())]):
        files += some
        size += bytes_
    found = persons()
    people = sorted(found.person_of.items())
    pq.write_table(
        pa.table({"id": [one for one, _ in people], "person_id": [person for _, person in people]}, _PEOPLE_SCHEMA),
        beside / PEOPLE,
        compression="zstd",
    )
    told = fresh_folder(beside / IDENTITY)
    with uncollected():
        for name, table in identity_tables(found.identity, found.policy):
            pq.write_table(table, told / f"{name}.parquet", compression="zstd")
    try:
        if output.is_dir():  # an empty one, or one that --from-start replaces
            remove_folder(output)
        beside.rename(output)
    except OSError as exc:
        raise FileUnusable.because("write", output, exc) from exc
    return {"files": files, "bytes": size, "people": len({person for _, person in people})}


_PEOPLE_SCHEMA: Final = pa.schema([("id", pa.string()), ("person_id", pa.string())])


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
        self._writers: dict[tuple[str, str], Any] = {}
        self._waiting: defaultdict[tuple[str, str], list[tuple[str, Any]]] = defaultdict(list)
        self._rows: Counter[tuple[str, str]] = Counter()
        self.size = 0

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._writers)

    def add(self, type_name: str, rows: Any) -> None:
        """Put rows of one type where they belong."""
        # As the integers that they are: of an instant with its zone Arrow would ask the machine's list of zones.
        occurred = rows["occurred_at"].cast(pa.int64()).cast(pa.timestamp("us"))
        months = pc.add(pc.multiply(pc.year(occurred), 12), pc.subtract(pc.month(occurred), 1))
        for month in pc.unique(months).to_pylist():
            key = (family_of(type_name), f"{month // 12:04}-{month % 12 + 1:02}")
            some = rows.filter(pc.equal(months, month))
            self._waiting[key].append((type_name, some))
            self._rows[key] += len(some)
            if self._rows[key] >= _GROUP_ROWS:
                self._write(key)
        while self._rows.total() >= _WAITING_ROWS:
            self._write(self._rows.most_common(1)[0][0])

    def close(self) -> None:
        """Write what waits, and end the files."""
        for key in sorted(self._rows):
            self._write(key)
        for (family, month), writer in self._writers.items():
            writer.close()
            self.size += self._path(family, month).stat().st_size

    def _write(self, key: tuple[str, str]) -> None:
        family, month = key
        schema = columns_of(family).schema
        writer = self._writers.get(key)
        if writer is None:
            path = self._path(family, month)
            path.parent.mkdir(parents=True, exist_ok=True)
            plain = ("event", "event_id")
            writer = self._writers[key] = pq.ParquetWriter(
                path,
                schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in schema.names if name not in plain],
                write_statistics=["occurred_at", "recorded_at", "type", "channel"],
            )
        tables = [self._whole(schema, *some) for some in self._waiting.pop(key)]
        writer.write_table(pa.concat_tables(tables), row_group_size=self._rows.pop(key))

    def _whole(self, schema: Any, type_name: str, rows: Any) -> Any:
        """Rows with all columns of the family."""
        alike = {"type": type_name, "listed": CATALOGUE[type_name].listed, "log_partition": self._partition}
        arrays = []
        for name, kind in zip(schema.names, schema.types, strict=True):
            if name in alike:
                arrays.append(pa.repeat(pa.scalar(alike[name], kind), len(rows)))
            elif name == "event":
                places = zip(rows["_line_start"].to_pylist(), rows["_line_length"].to_pylist(), strict=True)
                lines = [self._values[start : start + length - 1] for start, length in places]
                arrays.append(pa.array(lines, pa.binary()).view(kind))
            else:
                arrays.append(rows[name] if name in rows.schema.names else pa.nulls(len(rows), kind))
        return pa.Table.from_arrays(arrays, schema=schema)

    def _path(self, family: str, month: str) -> Path:
        return self._folder / EVENTS / f"family={family}" / f"month={month}" / f"{self._partition}.parquet"


def _write(folder: Path, beside: Path, partition: int, holes: Holes) -> tuple[int, int]:
    # Two processes share the processors already; Arrow's own threads would only take turns with them.
    pa.set_cpu_count(1)
    with mapped(values_file(folder, partition)) as values:
        files = _Files(beside, partition, values)
        for type_name, found in spooled_tables(details_file(folder, partition)):
            files.add(type_name, _won(found, holes))
        files.close()
    return files.count, files.size


def _won(rows: Any, holes: Holes) -> Any:
    """Those of the rows that won, with the time at which the log first took in what they say."""
    starts = rows["_line_start"]
    lost = holes.starts[bisect_left(holes.starts, starts[0].as_py()) : bisect_right(holes.starts, starts[-1].as_py())]
    if lost:
        rows = rows.filter(pc.invert(pc.is_in(starts, pa.array(lost, pa.int64()))))
    if holes.recorded_us:
        places = zip(rows["log_offset"].to_pylist(), rows["recorded_at"].cast(pa.int64()).to_pylist(), strict=True)
        recorded = pa.array([holes.recorded_us.get(*place) for place in places], INSTANT)
        rows = rows.set_column(rows.schema.get_field_index("recorded_at"), "recorded_at", recorded)
    return rows
