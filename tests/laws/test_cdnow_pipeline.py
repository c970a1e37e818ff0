"""Real purchases through real Kafka, workers and Postgres, held to figures that others published.

Frequency, recency and T are computed by SQL over the timeline, so nothing of the product's folds takes part. The stages
at the end of 1998-06-30 are held to a count in plain loops over the text file, read from the schedules and as the API
lists them.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import orjson
import pytest
from generators import Sent
from live_log import anywhere
from pipeline import SCHEMA, Pipeline
from reference.plain_stages import counted_in_plain_loops

from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.reading import CustomerFilter, CustomerPage
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.runtime.cdnow import cdnow_events, cdnow_summary
from customer_timeline.schemas.decoded import to_micros

# Counted independently of this code; the README beside the data names the source.
PURCHASES, CUSTOMERS, DOLLARS = 69_659, 23_570, Decimal("2500315.63")

_TOTALS = """
    SELECT count(*), count(DISTINCT anchor_id), sum((event #>> '{data,total,amount}')::numeric)
    FROM timeline WHERE type = 'purchase.completed.v1'
"""
_SUMMARY = """
    SELECT substr(i.value, 7), count(DISTINCT t.day) - 1, max(t.day) - min(t.day), DATE '1997-09-30' - min(t.day)
    FROM (SELECT anchor_id, (occurred_at AT TIME ZONE 'UTC')::date AS day FROM timeline) t
    JOIN identifier i ON i.identifier_id = t.anchor_id
    WHERE t.day <= DATE '1997-09-30' GROUP BY 1
"""
_CUSTOMERS = """
    SELECT count(*), sum(purchases), sum((facts #>> '{purchases,by_currency,USD,gross}')::numeric) FROM customer
"""
_STAGES = """
    SELECT stage_entry(schedule, (extract(epoch FROM timestamptz '1998-07-01Z') * 1000000)::bigint - 1) ->> 1, count(*)
    FROM customer GROUP BY 1
"""


def _log() -> list[Sent]:
    return [
        Sent(orjson.dumps(event), event["data"]["identifiers"][0]["value"].encode())
        for event in cdnow_events(sample=False)
    ]


async def _listed(url: str) -> CustomerPage:
    """The list at that instant, decades before the rows were written: none of their columns is of use to it."""
    # Every schedule is read; a machine that is busy with other tests takes its time.
    reader = PostgresReader(url, SCHEMA, timeout_s=60)
    at_us = to_micros(datetime(1998, 7, 1, tzinfo=UTC)) - 1
    try:
        return await reader.customers(CustomerFilter("loyal"), rules=StageRules().version, at_us=at_us, limit=1)
    finally:
        await reader.aclose()


def _check(pipeline: Pipeline) -> None:
    assert pipeline.query(_TOTALS) == [(PURCHASES, CUSTOMERS, DOLLARS)]
    assert pipeline.query(_CUSTOMERS) == [(CUSTOMERS, PURCHASES, DOLLARS)]
    stages = counted_in_plain_loops()
    assert dict(pipeline.query(_STAGES)) == stages
    assert asyncio.run(_listed(pipeline.url)).counts == stages
    found = {customer: figures for customer, *figures in pipeline.query(_SUMMARY)}
    for published in cdnow_summary():
        frequency, recency_days, age_days = found[published.customer]
        weeks = [str(round(days / 7, 2)) for days in (recency_days, age_days)]
        assert (published.frequency, published.recency, published.age) == (str(frequency), *weeks), published.customer


@pytest.mark.parametrize("order", ["as published", "shuffled, twice, two workers"])
def test_purchases_of_a_real_shop_end_in_the_published_figures(pipeline: Pipeline, order: str) -> None:
    log = _log()
    workers = 1
    if order != "as published":
        workers = 2
        log = [*log, *log]
        Random(1997).shuffle(log)
    pipeline.append(log, anywhere(1997, 4))
    for number in range(workers):
        pipeline.start(5000, f"w{number}")
    pipeline.settle(deadline_s=240)
    _check(pipeline)
