"""Opening a table: the reader of its format, and the plan that fits its columns. Command and benchmark begin here."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from customer_timeline.producers.tables.cells import Table
from customer_timeline.producers.tables.errors import InvalidMapping
from customer_timeline.producers.tables.json_lines import json_lines_table
from customer_timeline.producers.tables.mapping import Mapping
from customer_timeline.producers.tables.mended import mended_table
from customer_timeline.producers.tables.parquet import parquet_table
from customer_timeline.producers.tables.plan import RowPlan, used_columns
from customer_timeline.producers.tables.report import EventFields, ImportReport
from customer_timeline.producers.tables.targets import problems_with
from customer_timeline.producers.tables.text_tables import text_table
from customer_timeline.schemas.codec import Codec


class OpenedTable(NamedTuple):
    """A table and what is to be made of it."""

    table: Table
    plan: RowPlan
    report: ImportReport


def check_mapping(mapping: Mapping, codec: Codec) -> None:
    """Raise InvalidMapping with everything that would be wrong for any table."""
    problems = problems_with(mapping, codec)
    if problems:
        raise InvalidMapping(problems)


def open_table(stream: BinaryIO, mapping: Mapping, *, mended: bool = False) -> OpenedTable:
    """The table in `stream`, which stays the caller's to close. `mapping` was checked.

    `mended`: the stream is a file of rows that were rejected before. Raises InvalidMapping for columns that are not
    there, TableUnreadable for what is no table.
    """
    used = used_columns(mapping)
    table = mended_table(stream, mapping.source, used) if mended else _table(stream, mapping, used)
    plan = RowPlan(mapping, table.columns)
    fields = [EventFields(event.type, targets) for event, targets in zip(mapping.event, plan.targets, strict=True)]
    unused = [column for column in table.columns if column not in used]
    return OpenedTable(table, plan, ImportReport(fields, unused))


def _table(stream: BinaryIO, mapping: Mapping, used: tuple[str, ...]) -> Table:
    match mapping.source.format:
        case "parquet":
            return parquet_table(stream, used)
        case "jsonl":
            return json_lines_table(stream, mapping.source, used)
        case "csv" | "columns":
            return text_table(stream, mapping.source)
