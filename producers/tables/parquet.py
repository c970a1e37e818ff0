"""Tables written as Parquet, batch by batch. Needs the extra `parquet` (pyarrow), which is imported only here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from customer_timeline.producers.errors import PackageMissing
from customer_timeline.producers.tables.cells import Cell, Row, Table, text_of
from customer_timeline.producers.tables.errors import TableUnreadable, Unconvertible

BATCH_ROWS: Final = 4096


def parquet_table(stream: BinaryIO, used: Sequence[str]) -> Table:
    """The table of a Parquet file, with the columns that are `used`; no others are read.

    Raises PackageMissing without pyarrow, and TableUnreadable for what is no Parquet file.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as exc:
        raise PackageMissing("Reading Parquet needs pyarrow", "parquet") from exc
    try:
        file = pyarrow.parquet.ParquetFile(stream)
    except (pyarrow.ArrowInvalid, OSError) as exc:
        raise TableUnreadable(0, "it is no Parquet file") from exc
    names = file.schema_arrow.names
    columns = tuple(column for column in used if column in names)
    rows = _rows(file, columns, pyarrow.ArrowException)
    return Table(columns, rows, file.metadata.num_rows)


def _rows(file: Any, columns: tuple[str, ...], failure: type[Exception]) -> Iterator[Row]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
            # Values of one row side by side; without a column there are still rows.
            values = [_values(batch.column(column)) for column in columns]
            for cells in zip(*values, strict=True) if values else ((),) * batch.num_rows:
                number += 1
                yield typed_row(number, columns, cells)
    except (failure, OSError) as exc:
        raise TableUnreadable(number, "the file is damaged") from exc


def _values(column: Any) -> list[Any]:
    import pyarrow

    if pyarrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's instants end at microseconds; so do those of the log.
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    found: list[Any] = column.to_pylist()
    return found


def typed_row(number: int, columns: Sequence[str], values: Sequence[Any]) -> Row:
    """The row of values of a typed format."""
    cells: list[Cell] = []
    for column, value in zip(columns, values, strict=True):
        try:
            cells.append(value if type(value) is str else text_of(value))
        except Unconvertible as exc:
            return Row(number, [], None, f"column {column}: {exc}")
    return Row(number, cells)
