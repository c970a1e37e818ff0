"""The last step to Parquet: files by family and month of what happened, typed; and who is who."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.replay.columns import FamilyColumns, Row, columns_of, family_of, table_of
from customer_timeline.runtime.replay.crew import Crew, hand
from customer_timeline.runtime.replay.folding import events_of
from customer_timeline.runtime.replay.people import Persons
from customer_timeline.runtime.replay.spool import Holes

PEOPLE: Final = "people.parquet"
EVENTS: Final = "events"

# Rows that wait to be written, of all families and months together: this bounds the memory of a process.
_WAITING_ROWS: Final = 25_000
_GROUP_ROWS: Final = 8_000


def write_parquet(
    crew: Crew, folder: Path, holes: Mapping[int, Holes], output: Path, persons: Persons
) -> Mapping[str, Any]:
    """Write what won below `output`, which appears when it is whole: `events/family=…/month=…/PARTITION.parquet`, and
    `people.parquet`: the person of every id that an event stands at.
    """
    beside = fresh_folder(folder / "parquet")
    files = size = 0
    for some, bytes_ in crew.each(_write, [(folder, beside, n, found) for n, found in sorted(holes.items())]):
        files += some
        size += bytes_
    people = sorted(persons().items())
    pq.write_table(
        pa.table({"id": [one for one, _ in people], "person_id": [person for _, person in people]}, _PEOPLE_SCHEMA),
        beside / PEOPLE,
        compression="zstd",
    )
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


@cache
def _month(year: int, month: int) -> str:
    return f"{year:04}-{month:02}"


class _Files:
    """The files of one partition: buffers of rows by type and month, and the writers that they go to."""

    def __init__(self, folder: Path, partition: int) -> None:
        self._folder = folder
        self._partition = partition
        self._columns: dict[str, FamilyColumns] = {}
        self._writers: dict[tuple[str, str], Any] = {}
        self._rows: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        self._waiting = 0
        self.size = 0

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._writers)

    def add(self, row: Row) -> None:
        """Put an event where it belongs."""
        event = row[0]
        key = (event.type, _month(event.occurred_at.year, event.occurred_at.month))
        rows = self._rows[key]
        rows.append(row)
        self._waiting += 1
        if len(rows) >= _GROUP_ROWS:
            self._write(key)
        elif self._waiting >= _WAITING_ROWS:
            self._write(max(self._rows, key=lambda one: len(self._rows[one])))

    def close(self) -> None:
        """Write what waits, and end the files."""
        for key in sorted(self._rows):
            self._write(key)
        for (family, month), writer in self._writers.items():
            writer.close()
            self.size += self._path(family, month).stat().st_size

    def _write(self, key: tuple[str, str]) -> None:
        type_name, month = key
        rows = self._rows.pop(key)
        self._waiting -= len(rows)
        family = family_of(type_name)
        columns = self._columns.get(family)
        if columns is None:
            columns = self._columns[family] = columns_of(family)
        writer = self._writers.get((family, month))
        if writer is None:
            path = self._path(family, month)
            path.parent.mkdir(parents=True, exist_ok=True)
            plain = ("event", "event_id")
            writer = self._writers[family, month] = pq.ParquetWriter(
                path,
                columns.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in columns.schema.names if name not in plain],
                write_statistics=["occurred_at", "recorded_at", "type", "channel"],
            )
        writer.write_table(table_of(columns, type_name, rows), row_group_size=len(rows))

    def _path(self, family: str, month: str) -> Path:
        return self._folder / EVENTS / f"family={family}" / f"month={month}" / f"{self._partition}.parquet"


def _write(folder: Path, beside: Path, partition: int, holes: Holes) -> tuple[int, int]:
    # Two processes share the processors already; Arrow's own threads would only take turns with them.
    pa.set_cpu_count(1)
    files = _Files(beside, partition)
    # Tens of thousands of events wait in memory, none of them in a cycle: looking for cycles would take half the time.
    gc.disable()
    try:
        for offset, event in events_of(hand().codec, folder, partition, holes):
            files.add((event, (partition, offset)))
        files.close()
    finally:
        gc.enable()
    return files.count, files.size
