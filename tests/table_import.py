"""Importing small tables into a log in memory: what the tests of tables share."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

from published_log import CODEC

from customer_timeline.producers.memory import MemoryPublisher
from customer_timeline.producers.tables.cells import Row
from customer_timeline.producers.tables.errors import Rejection
from customer_timeline.producers.tables.importer import TableImport
from customer_timeline.producers.tables.mapping import Mapping, parse_mapping
from customer_timeline.producers.tables.opening import check_mapping, open_table
from customer_timeline.producers.tables.rejects import rejected_row
from customer_timeline.runtime.clock import SystemClock

NOW = SystemClock().now()


class Imported(NamedTuple):
    """What became of a table."""

    events: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    report: dict[str, Any]
    side_file: bytes

    @property
    def data(self) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events]


def mapping_of(source: str, *events: str) -> Mapping:
    """A mapping of a table of purchases, unless `events` say otherwise."""
    return parse_mapping("\n".join(('[source]\nuri = "shop"', source, *(f"[[event]]\n{event}" for event in events))))


def imported(content: bytes, mapping: Mapping, *, mended: bool = False, published_before: int = 0) -> Imported:
    check_mapping(mapping, CODEC)
    publisher = MemoryPublisher(CODEC)
    side_file = io.BytesIO()
    table, plan, report = open_table(io.BytesIO(content), mapping, mended=mended)

    def reject(row: Row, error: Rejection) -> None:
        side_file.write(rejected_row(row, table.columns, error))

    with report:
        run = TableImport(
            plan, CODEC, publisher, report, reject=reject, now=lambda: NOW, published_before=published_before
        )
        run.run(table.rows)
        told = report.summary()
    events = [json.loads(record.value) for record in publisher.records]
    rejected = [json.loads(line) for line in side_file.getvalue().splitlines()]
    return Imported(events, rejected, told, side_file.getvalue())
