"""An adapter: the call records of a phone system, exported as CSV, become touchpoints.

    python phone_system.py calls.csv

Run it again after every export: a call that was published before changes nothing, because its event carries the id that
the phone system gave it.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from customer_timeline.producers.protocol import Publisher
from customer_timeline.producers.touchpoints import (
    CustomerFields,
    Event,
    Staff,
    call_completed,
    call_missed,
    phone,
)
from customer_timeline.runtime.settings import load_settings
from customer_timeline.runtime.wiring import publisher
from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent

SOURCE = "/phone-system/berlin"
CLOCK = ZoneInfo("Europe/Berlin")  # the export writes local time without saying so
Row = dict[str, str]


def event(row: Row) -> Event[Any]:
    """What one line of the export tells of. Raises KeyError, ValueError or InvalidEvent where that is nothing."""
    inbound = row["direction"] == "in"
    direction: Literal["inbound", "outbound"] = "inbound" if inbound else "outbound"
    shared: CustomerFields = {
        "source": SOURCE,
        "id": row["call_id"],
        "time": datetime.fromisoformat(row["started_at"]).replace(tzinfo=CLOCK),
        "identifiers": [phone(row["caller"] if inbound else row["callee"])],
        "channel": "phone",
        "staff": Staff(id=row["agent"]) if row["agent"] else None,
    }
    if row["status"] == "missed":
        return call_missed(direction=direction, **shared)
    result: Literal["answered", "voicemail"] = "voicemail" if row["status"] == "voicemail" else "answered"
    return call_completed(direction=direction, duration_s=int(row["duration_s"]), result=result, **shared)


def publish_calls(rows: Iterator[tuple[int, Row]], to: Publisher) -> tuple[int, int]:
    """Publish what can be used and say which lines cannot; returns how many of each. All is in the log on return."""
    published = unusable = 0
    for number, row in rows:
        try:
            to.publish(event(row))
            published += 1
        except InvalidEvent as error:  # says what is wrong and where, never with whom
            print(f"line {number}: {error}", file=sys.stderr)
            unusable += 1
        except (KeyError, ValueError) as error:
            print(f"line {number}: {type(error).__name__} in what the phone system wrote", file=sys.stderr)
            unusable += 1
    to.flush()  # raises where Kafka did not take everything: then run it again
    return published, unusable


def main(path: str) -> int:
    with open(path, encoding="utf-8", newline="") as file, publisher(load_settings()) as to:
        rows = csv.DictReader(file)
        published, unusable = publish_calls(((rows.line_num, row) for row in rows), to)
    print(f"{published} calls published, {unusable} lines not usable")
    return 1 if unusable else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except CustomerTimelineError as error:
        sys.exit(f"phone_system: {error}")
