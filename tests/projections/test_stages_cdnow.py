"""Stages of real customers: CDNOW at the end of 1998-06-30, held to a count in plain loops over the text file.

docs/explanation/stages.md shows the table; the test holds the page to the count too.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

from folding import decoded, folded
from reference.plain_stages import LAST_DAY, counted_in_plain_loops

from customer_timeline.projections.calendar import DAY_US, BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.lifecycle import entry_at, stage_schedule
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.runtime.cdnow import cdnow_events
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted

ROOT = Path(__file__).parents[2]


def test_stages_of_cdnow_are_those_of_a_count_in_plain_loops_and_of_the_page() -> None:
    calendar, rules = BusinessCalendar("UTC"), StageRules()
    projection = CustomerProjection(calendar)
    histories: dict[str, list[DecodedEvent]] = defaultdict(list)
    for number, event in enumerate(cdnow_events(sample=False)):
        who = event["data"]["identifiers"][0]["value"]
        histories[who].append(decoded(PurchaseCompleted, event["time"], event["data"], number=number))
    end_us = (LAST_DAY.toordinal() + 1 - date(1970, 1, 1).toordinal()) * DAY_US - 1
    table: Counter[str] = Counter()
    for history in histories.values():
        entry = entry_at(stage_schedule(folded(projection, history), rules, calendar), end_us)
        assert entry is not None
        table[entry.stage] += 1
    counted = counted_in_plain_loops()
    assert table == counted
    assert sum(counted.values()) == 23_570

    page = (ROOT / "docs" / "explanation" / "stages.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (\w+) \| ([\d,]+) \| [\d.]+ % \|$", page, re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in shown} == counted
