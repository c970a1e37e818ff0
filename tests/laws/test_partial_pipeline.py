"""Partial states through real Kafka, workers and Postgres: the sweeper builds and mends them, and no answer changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from generators import Sent
from live_log import anywhere, read_back
from memory_cut_reader import MemoryCutReader
from pipeline import POLICY, SCHEMA, SECRET, ZONE, Pipeline
from reference.log_model import Record
from worker_farm import until

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.projections.postgres.cut_reader import PostgresCutReader
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import Identifier, to_micros

PROJECTION = CustomerProjection(BusinessCalendar(ZONE))
RULES = StageRules()
CODEC = Codec(POLICY, SECRET.encode())
BEGAN = datetime(2025, 1, 1, 12, tzinfo=UTC)
EVENTS = 1_600  # more than a history and an anchor need to count as long
MONTHS = 4
BUSY = {"kind": "member_id", "value": "M-busy"}


def record(
    number: int, at: datetime, *, revision: int = 0, cents: int = 1_000, kind: str = "purchase.completed"
) -> Sent:
    """One telling of the event of a number; every four hundredth purchase also brings an address."""
    event = {"specversion": "1.0", "id": f"e{number}", "source": "shop", "type": f"{kind}.v1", "time": at.isoformat()}
    data: dict[str, Any] = {"reason": "never happened", "operator": "ops"}
    if kind == "purchase.completed":
        address = [{"kind": "email", "value": f"busy{number}@example.com"}] if number % 400 == 0 else []
        total = {"amount": f"{cents / 100:.2f}", "currency": "USD"}
        data = {"channel": "web", "identifiers": [BUSY, *address], "order_id": f"o-{number}", "total": total}
    return Sent(json.dumps({**event, "revision": revision, "data": data}).encode(), f"k{number % 7}".encode())


def instant(number: int) -> datetime:
    """Events lie evenly in the months."""
    return BEGAN + timedelta(days=30 * MONTHS * number / EVENTS)


def answers(pipeline: Pipeline, records: Sequence[Record], cuts: Sequence[Cut]) -> list[tuple[object, object]]:
    """What the reader of the past says of the busy customer at each cut, and what the slow reference does."""
    found = CODEC.space.normalise(BUSY["kind"], BUSY["value"])
    assert isinstance(found, Identifier)

    async def ask() -> list[tuple[object, object]]:
        reader = PostgresCutReader(pipeline.url, SCHEMA, CODEC, POLICY, PROJECTION, RULES)
        slow = MemoryCutReader(lambda: records, codec=CODEC, policy=POLICY, projection=PROJECTION, rules=RULES)
        try:
            return [
                (await reader.customer(found.identifier_id, past), await slow.customer(found.identifier_id, past))
                for past in (Past(cut, "cut") for cut in cuts)
            ]
        finally:
            await reader.aclose()

    return asyncio.run(ask())


def built(pipeline: Pipeline) -> bool:
    """Every span that was watched is folded, and there are some."""
    rows = pipeline.query("SELECT count(*) FILTER (WHERE facts IS NULL), count(*) FROM partial_state")
    return bool(rows[0][0] == 0 and rows[0][1] >= MONTHS - 1)


def test_the_sweeper_of_a_worker_builds_partial_states_and_mends_them_and_no_answer_changes(pipeline: Pipeline) -> None:
    random = Random(5)
    pipeline.append([record(number, instant(number)) for number in range(EVENTS)], anywhere(5, 4))
    pipeline.start(batch_events=200, name="w0")
    pipeline.start(batch_events=700, name="w1")
    pipeline.settle()
    cuts = [Cut(to_micros(instant(random.randrange(EVENTS))) - shift, None) for shift in (0, 1)]
    until(lambda: built(pipeline), "the months of the busy customer are folded")
    records = read_back(pipeline.bootstrap, pipeline.topic)
    for said, expected in answers(pipeline, records, [Cut(None, None), *cuts]):
        assert said == expected

    before = to_micros(max(one.appended_at for one in records))
    folded = dict(pipeline.query("SELECT begins_at, gen FROM partial_state WHERE span = 'month'"))
    number = EVENTS // 2
    late = [
        record(EVENTS + 1, instant(number)),
        record(number, instant(number), revision=1, cents=99),
        record(number + 1, instant(number + 1), revision=1, kind="event.retracted"),
    ]
    pipeline.append(late, anywhere(6, 4))
    pipeline.settle()
    records = read_back(pipeline.bootstrap, pipeline.topic)
    asked = [Cut(None, None), *cuts, Cut(None, before), *(Cut(cut.as_of_us, before) for cut in cuts)]
    for said, expected in answers(pipeline, records, asked):
        assert said == expected

    until(lambda: built(pipeline), "the holes that late events made are mended")
    renewed = dict(pipeline.query("SELECT begins_at, gen FROM partial_state WHERE span = 'month'"))
    assert {month for month in folded if renewed[month] != folded[month]}
    for said, expected in answers(pipeline, records, asked):
        assert said == expected
    pipeline.check()
