"""Broken records among good ones: good events land, broken ones are dead letters with their reason, nothing stalls."""

from __future__ import annotations

import contextlib
import hashlib
from random import Random

import psycopg2
import pytest
from digest import digest_of
from generators import Sent, Shape, seeded_log
from live_log import anywhere
from pipeline import Pipeline
from poison.poisons import POISONS

CLEAN = Shape(events=200, people=30, broken_percent=0)


def test_there_are_at_least_forty_kinds_with_every_reason() -> None:
    assert len({poison.name for poison in POISONS}) == len(POISONS) >= 40
    assert {poison.reason for poison in POISONS} == {
        "not_json",
        "too_large",
        "invalid_envelope",
        "unknown_type",
        "invalid_field",
        "future",
        "before_1970",
        "no_usable_identifier",
        "recorded_ahead",
        "unstorable",
    }


@pytest.mark.parametrize("batch", [1, 13, 5000])
def test_poison_among_good_events_stops_nothing_and_is_told_by_its_reason(pipeline: Pipeline, batch: int) -> None:
    random = Random(batch)
    log = seeded_log(5, CLEAN)
    for poison in POISONS:
        # The value None is a tombstone, which Kafka takes with a key only; the generator's type is for good records.
        sent = Sent(poison.value, b"poison", poison.headers)  # type: ignore[arg-type]
        log.insert(random.randrange(len(log)), sent)
    pipeline.append(log, anywhere(batch, 4))
    worker = pipeline.start(batch)
    pipeline.settle()
    assert worker.poll() is None
    found = digest_of(pipeline.url)["dead_letters"]
    expected = {(hashlib.sha256(p.value or b"").hexdigest(), p.reason): p.name for p in POISONS}
    assert {expected.get(key, key) for key in found} == set(expected.values())
    pipeline.check()


def test_dead_letters_keep_the_record_byte_for_byte(pipeline: Pipeline) -> None:
    sent = [Sent(p.value, b"key-1", (("recordedtime", b"x"), ("b", b"\xff"))) for p in POISONS]  # type: ignore[arg-type]
    pipeline.append(sent, lambda _: 2)
    pipeline.start()
    pipeline.settle()
    with contextlib.closing(psycopg2.connect(pipeline.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT position, part, topic, value, key FROM customer_timeline.dead_letter ORDER BY position")
        rows = [
            (position, part, topic, None if value is None else bytes(value), bytes(key))
            for position, part, topic, value, key in cursor
        ]
    assert rows == [(n, 2, pipeline.topic, p.value, b"key-1") for n, p in enumerate(POISONS)]
