"""The late-event report: what was recorded after months were closed, and by how much it changed their figures.

Called by the route and by the command line.
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from customer_timeline.api.answers import Answer, content_hash
from customer_timeline.api.lifecycle import Assessment
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.cut_reading import CutReader, Window
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.projections.instants import rfc3339
from customer_timeline.projections.late_events import Figure, late_changes
from customer_timeline.schemas.decoded import EPOCH, from_micros

COLUMNS = ("month", "measure", "key", "change")


class Closing(NamedTuple):
    """What a report is about: what was recorded in a window and happened before a close."""

    recorded: Window
    close_us: int


def closing_of(
    from_us: int | None, until_us: int | None, close_us: int | None, now_us: int, calendar: BusinessCalendar
) -> Closing:
    """Defaults: closed is the previous month with all before it, and the window is from the close until now."""
    if close_us is None:
        today = from_micros(calendar.day(now_us) * 86_400_000_000).date()
        close_us = calendar.midnight_us(today.replace(day=1).toordinal() - EPOCH.toordinal())
    return Closing(Window(close_us if from_us is None else from_us, now_us if until_us is None else until_us), close_us)


async def late_report(reader: CutReader, closing: Closing, by: Assessment) -> tuple[dict[Figure, Decimal], int]:
    """The changed figures and how many customers they come from. Raises TooManyToRestoreError."""
    window = closing.recorded
    before = Past(Cut(None, window.from_us - 1), "current")
    after = Past(Cut(None, window.until_us - 1), "current")
    differences = []
    for customer_id in await reader.changed_customers(window, closing.close_us):
        found = await reader.difference(customer_id, before, after)
        if found is not None and (found.removed or found.added):
            differences.append(found)
    return late_changes(differences, closing.close_us, by.projection, by.rules), len(differences)


async def late_report_answer(reader: CutReader, closing: Closing, by: Assessment) -> Answer:
    """The report as JSON."""
    changes, customers = await late_report(reader, closing, by)
    horizon = await reader.horizon()
    body = orjson.dumps(
        {
            "from": rfc3339(closing.recorded.from_us),
            "until": rfc3339(closing.recorded.until_us),
            "close": rfc3339(closing.close_us),
            "customers": customers,
            "changes": [_row(figure, amount) for figure, amount in changes.items()],
            "identity": "current",
            "complete": horizon.complete(Cut(None, closing.recorded.until_us - 1)),
        }
    )
    return Answer(body, content_hash(body), weak=True)


async def late_report_csv(reader: CutReader, closing: Closing, by: Assessment) -> Answer:
    """The report as CSV (RFC 4180): a line of names, then one a figure."""
    changes, _ = await late_report(reader, closing, by)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(_row(figure, amount) for figure, amount in changes.items())
    body = out.getvalue().encode()
    return Answer(body, content_hash(body))


def _row(figure: Figure, amount: Decimal) -> dict[str, Any]:
    return {"month": figure.month, "measure": figure.measure, "key": figure.key or None, "change": f"{amount:f}"}
