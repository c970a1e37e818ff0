"""The CDNOW purchases as events: real data for the demo, the tests and the benchmark.

Reads the files that ship beside this module (`data/cdnow`, whose README names the source) and makes CloudEvents of
them. The same row always gives the same event, so publishing twice, or the sample before the master, changes nothing.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date
from importlib import resources
from typing import Any, Final, NamedTuple

SOURCE: Final = "cdnow"
OBSERVED_UNTIL: Final = date(1997, 9, 30)  # the published summary counts up to this day, included


class CdnowPurchase(NamedTuple):
    """One line of the master file. `row` counts from 1 below the heading; `dollars` is the text of the file."""

    row: int
    customer: str  # five digits, as in the master
    day: date
    compact_discs: int
    dollars: str


class CdnowSummary(NamedTuple):
    """One line of the published summary: the master's customer, and text as published (recency and T in weeks)."""

    customer: str
    frequency: str
    recency: str
    age: str


def _lines(name: str) -> Iterator[list[str]]:
    path = resources.files("customer_timeline.runtime") / "data" / "cdnow" / name
    with path.open("rb") as packed, gzip.open(packed, "rt", encoding="ascii") as text:
        for line in text:
            yield line.split()


def cdnow_purchases(*, sample: bool) -> Iterator[CdnowPurchase]:
    """The purchases in the order of the master file; of the sample's customers only where `sample`."""
    wanted = frozenset(_master_ids().values()) if sample else None
    lines = _lines("CDNOW_master.txt.gz")
    next(lines)  # heading
    for row, (customer, day, discs, dollars) in enumerate(lines, start=1):
        if wanted is None or customer in wanted:
            yield CdnowPurchase(row, customer, date.fromisoformat(day), int(discs), dollars)


def cdnow_events(sample: bool) -> Iterator[dict[str, Any]]:
    """The same purchases as CloudEvents, ready for JSON and for the publisher.

    Customers are `member_id` `cdnow:<customer>`, orders `cdnow:<row>`; the time is noon UTC, since the data has days
    only.
    """
    for purchase in cdnow_purchases(sample=sample):
        yield {
            "specversion": "1.0",
            "id": f"{purchase.customer}-{purchase.row}",
            "source": SOURCE,
            "type": "purchase.completed.v1",
            "time": f"{purchase.day.isoformat()}T12:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "identifiers": [{"kind": "member_id", "value": f"cdnow:{purchase.customer}"}],
                "channel": "web",
                "order_id": f"cdnow:{purchase.row}",
                "total": {"amount": purchase.dollars, "currency": "USD"},
            },
        }


def cdnow_summary() -> Iterator[CdnowSummary]:
    """The published frequency, recency and T of the sample's customers, up to OBSERVED_UNTIL."""
    masters = _master_ids()
    path = resources.files("customer_timeline.runtime") / "data" / "cdnow" / "cdnow_customers_summary.csv"
    for line in path.read_text(encoding="ascii").splitlines()[1:]:
        number, frequency, recency, age = line.split(",")
        yield CdnowSummary(masters[int(number)], frequency, recency, age)


def _master_ids() -> dict[int, str]:
    """Number in the sample -> customer in the master."""
    return {int(number): customer for customer, number, *_ in _lines("CDNOW_sample.txt.gz")}
