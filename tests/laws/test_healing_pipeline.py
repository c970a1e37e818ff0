"""The law of healing through the real pipeline: a log, workers of two versions, and an operator between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from random import Random
from typing import Any

import live_log
from generators import Sent, seeded_log, shuffled
from log_shapes import CROWDED
from pipeline import POLICY, SECRET, ZONE, Pipeline
from reference.log_model import reference
from worker_farm import until

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import PREFIX, Settings
from customer_timeline.schemas.codec import Codec

KIOSK = frozenset({"kiosk"})
RETRY = (sys.executable, "-m", "customer_timeline.runtime.cli.main", "dead-letters", "retry", "--yes", "--json")


def by_a_new_channel(sent: Sent, random: Random) -> Sent:
    """A third of the records come by a channel that the code of before does not know."""
    try:
        record = json.loads(sent.value or b"")
    except ValueError:
        return sent
    if random.random() > 1 / 3 or not isinstance(record, dict) or "channel" not in (record.get("data") or {}):
        return sent
    record["data"]["channel"] = "kiosk"
    return Sent(json.dumps(record).encode(), sent.key, sent.headers)


def test_a_log_that_failed_in_part_and_was_retried_says_what_one_says_that_never_failed(pipeline: Pipeline) -> None:
    random = Random(7)
    log = [by_a_new_channel(sent, random) for sent in shuffled(seeded_log(7, CROWDED), 7, twice_percent=5)]
    half = len(log) // 2
    pipeline.append(log[:half], live_log.anywhere(7, 4))
    pipeline.start(60)
    pipeline.settle()
    pipeline.workers[-1].kill()
    failed = pipeline.query("SELECT count(*) FROM dead_letter")[0][0]
    # The channel is known from here on. It changes no row that is there, so the tables go on under the new name.
    today = {**pipeline.settings(60, "w0"), "extra_channels": '["kiosk"]'}
    pipeline.execute("UPDATE projection_meta SET projection_version = %s", _version(today))
    pipeline.workers.append(pipeline.farm.start(today))
    pipeline.append(log[half:], live_log.anywhere(8, 4))
    told = _retry(today)
    assert 0 < told["accepted"] <= told["records"] <= failed + len(log) - half
    until(lambda: bool(pipeline.query("SELECT FROM operation")), "the retry is applied")
    pipeline.settle()
    codec = Codec(POLICY, SECRET.encode(), extra_channels=KIOSK)
    records = live_log.read_back(pipeline.bootstrap, pipeline.topic)
    expected = reference(records, codec, POLICY, CustomerProjection(BusinessCalendar(ZONE)))
    pipeline.check(expected)
    healed = pipeline.digests()
    pipeline.workers[-1].kill()
    pipeline.forget_everything()
    pipeline.workers.append(pipeline.farm.start(today))
    pipeline.settle()
    until(lambda: bool(pipeline.query("SELECT FROM operation")), "the operation is applied again")
    pipeline.check(expected)
    assert pipeline.digests() == healed


def _retry(settings: dict[str, str]) -> dict[str, Any]:
    named = {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(RETRY, env={**os.environ, **named}, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _version(settings: dict[str, str]) -> str:
    return wiring.projection_version(
        Settings(
            identity_secret=settings["identity_secret"],
            business_time_zone=settings["business_time_zone"],
            extra_channels=KIOSK,
        )
    )
