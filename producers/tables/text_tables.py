"""Tables written as text: CSV and columns parted by blanks. Gzip is recognised by itself.

Reads a binary stream and never more of it than a row at a time. What is wrong with one row is a row with a `problem`;
only what leaves no sense in reading on raises `TableUnreadable`.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

from customer_timeline.producers.tables.cells import Cell, Row, Table
from customer_timeline.producers.tables.errors import TableUnreadable
from customer_timeline.producers.tables.mapping import Source
from customer_timeline.schemas.envelope import MAX_EVENT_BYTES

_GZIP = b"\x1f\x8b"


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream, or what is compressed in it with gzip; nothing of it is lost."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream))
    if buffered.peek(2)[:2] == _GZIP:
        return cast(BinaryIO, gzip.open(buffered, "rb"))
    return buffered


def text_table(stream: BinaryIO, source: Source) -> Table:
    """The table of a CSV, or of columns parted by blanks. Raises TableUnreadable where there is no header."""
    # Bytes that are no text in this encoding come as lone surrogates: they spoil their own row, not those after it.
    encoding = "utf-8-sig" if source.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else source.encoding
    lines = io.TextIOWrapper(unpacked(stream), encoding, errors="surrogateescape", newline="")
    records = guarded(_records(lines, source))
    columns = _columns(records, source)
    return Table(columns, _rows(records, len(columns)))


def guarded(records: Iterable[list[str]]) -> Iterator[list[str]]:
    """The same, with the errors of files, codecs and parsers as TableUnreadable."""
    read = 0
    try:
        for record in records:
            yield record
            read += 1
    except UnicodeError as exc:
        raise TableUnreadable(read, f"it is not encoded in {getattr(exc, 'encoding', 'that encoding')}") from exc
    except csv.Error as exc:
        raise TableUnreadable(read, f"{exc}; is the sign around a cell missing somewhere?") from exc
    except (OSError, EOFError, zlib.error) as exc:
        raise TableUnreadable(read, getattr(exc, "strerror", None) or str(exc)) from exc


def _records(lines: io.TextIOWrapper, source: Source) -> Iterator[list[str]]:
    for _ in range(source.skip_lines):
        lines.readline()
    if source.format == "columns":
        return map(str.split, lines)
    csv.field_size_limit(MAX_EVENT_BYTES)
    if not source.quote:
        return csv.reader(lines, delimiter=source.delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=source.delimiter, quotechar=source.quote)


def _columns(records: Iterator[list[str]], source: Source) -> tuple[str, ...]:
    header = next(filter(None, records), None) if source.header else []
    if header is None:
        raise TableUnreadable(0, "it is empty, not even a header is there")
    return source.columns or tuple(name.strip() for name in header)


def _rows(records: Iterator[list[str]], width: int) -> Iterator[Row]:
    number = 0
    for cells in records:
        if not cells:
            continue
        number += 1
        yield Row(number, cast("list[Cell]", cells)) if len(cells) == width else misshapen(number, cells, width)


def misshapen(number: int, cells: list[str], width: int) -> Row:
    """A row with more or fewer cells than there are columns."""
    return Row(number, list(cells), None, f"expected {width} cells, found {len(cells)}")
