"""The law through real Kafka, workers and Postgres: order, copies, batch sizes, workers and their deaths change
nothing.

Every variant of a log is held to the reference model, and its digests, as the product takes them, to those of the
other variants.
"""

from __future__ import annotations

import time
from functools import cache
from random import Random
from typing import Any, NamedTuple

import pytest
from generators import Sent, Shape, nearly_in_time, seeded_log, shuffled
from live_log import anywhere, applied_offsets, by_key, end_offsets
from pipeline import Pipeline, random_batch
from reference.log_model import Digest
from worker_farm import until

from customer_timeline.schemas.catalogue import CATALOGUE

PARTITIONS = 4
SMALL = Shape(events=300, people=40, days=800, any_type_percent=50)
LARGE = Shape(events=3000, people=400, crowds=8, decisions=25)
VOLUME = Shape(events=20_000, people=2_500, days=800, crowds=40, decisions=150, any_type_percent=60)
MORE = range(100, 114)
SETTLED_S = 3600  # 30,000 records, one a transaction, on a machine that others use too


class Variant(NamedTuple):
    """One way of the same facts through the log and the workers. `order` is drawn from the seed of that number."""

    order: int | None
    in_time: bool  # nearly, with some late by up to 400 days; else at random
    doubled_percent: int
    batch: int | None  # None: each worker another
    workers: int
    keyed: bool
    kills: int

    def __str__(self) -> str:
        order = "as generated" if self.order is None else f"{'in time' if self.in_time else 'shuffled'} {self.order}"
        batch, place = self.batch or "any", "by key" if self.keyed else "anywhere"
        return f"{order}, {self.doubled_percent}% twice, {place}, {self.workers}x{batch}, {self.kills} killed"

    def arranged(self, log: list[Sent]) -> list[Sent]:
        """The log in the order of this variant, with some records once more."""
        if self.order is None:
            return log
        copied = shuffled(log, self.order, twice_percent=self.doubled_percent)
        return nearly_in_time(copied, self.order) if self.in_time else copied


# The ends of every range.
VARIANTS = (
    Variant(None, False, 0, 5000, 1, True, 0),
    Variant(None, False, 0, 1, 1, False, 0),
    Variant(1, True, 0, 7, 1, True, 1),
    Variant(2, False, 50, 100, 2, False, 0),
    Variant(3, True, 20, 5000, 2, True, 0),
    Variant(4, False, 30, None, 4, False, 3),
)


def drawn(number: int) -> Variant:
    """A variant of its number: 30 % once more, batches of 1 to 5,000, one to four workers, up to six of them killed."""
    r = Random(number)
    batch = r.choice((1, 20, 150, 1000, 5000, None, None))
    return Variant(number, r.random() < 0.4, 30, batch, r.randint(1, 4), r.random() < 0.5, r.choice((0, 1, 3, 6)))


log_of = cache(seeded_log)
_expected: dict[tuple[int, Shape], Digest] = {}
_digests: dict[tuple[int, Shape], Any] = {}


def _run(pipeline: Pipeline, seed: int, shape: Shape, variant: Variant) -> None:
    random = Random(seed)
    log = variant.arranged(log_of(seed, shape))
    half = random.randrange(len(log))
    place = by_key(PARTITIONS) if variant.keyed else anywhere(seed, PARTITIONS)
    pipeline.append(log[:half], place)
    batches = [variant.batch or random_batch(random) for _ in range(variant.workers)]
    workers = [pipeline.start(batch, f"w{number}") for number, batch in enumerate(batches)]
    pipeline.append(log[half:], place)  # while they work
    for _ in range(variant.kills):
        slot = random.randrange(len(workers))
        _let_work(pipeline, random)
        workers[slot].kill()
        workers[slot] = pipeline.start(batches[slot], f"w{slot}")
    pipeline.settle(SETTLED_S)
    _check(pipeline, (seed, shape))


def _let_work(pipeline: Pipeline, random: Random) -> None:
    """Until some more is applied, or all is: a blow before the first batch of a worker proves little."""
    ends = sum(end_offsets(pipeline.bootstrap, pipeline.topic).values())

    def applied() -> int:
        return sum(applied_offsets(pipeline.url, pipeline.topic).values())

    wanted = min(ends, applied() + 1 + random.randrange(ends // 8 + 1))
    until(lambda: applied() >= wanted, "the workers go on", SETTLED_S)
    time.sleep(random.uniform(0, 0.05))  # not a wait for anything: the moment of the blow


def _check(pipeline: Pipeline, log: tuple[int, Shape]) -> None:
    """The tables equal the reference, and their digests those of the other variants of the log."""
    if log[1] is not VOLUME:
        pipeline.check()
    elif log in _expected:  # half a minute to work out, and the same but for when the log took each event in
        pipeline.check(_expected[log], recorded=False)
    else:
        _expected[log] = pipeline.expected()
        pipeline.check(_expected[log])
    found = pipeline.digests()
    assert found == _digests.setdefault(log, found)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_tables_equal_the_reference_whatever_the_order_batches_and_workers(
    pipeline: Pipeline, variant: Variant
) -> None:
    _run(pipeline, 2024, SMALL, variant)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_tables_equal_the_reference_on_longer_logs(pipeline: Pipeline, variant: Variant, seed: int) -> None:
    _run(pipeline, seed, LARGE, variant._replace(batch=variant.batch and max(variant.batch, 20)))


@pytest.mark.verify
@pytest.mark.parametrize("variant", [*VARIANTS, *map(drawn, MORE)], ids=str)
def test_twenty_variants_of_twenty_thousand_events_leave_the_same_tables(pipeline: Pipeline, variant: Variant) -> None:
    _run(pipeline, 20_000, VOLUME, variant)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(1000, 1200))
def test_two_hundred_variants_of_twenty_thousand_events_leave_the_same_tables(pipeline: Pipeline, number: int) -> None:
    _run(pipeline, 20_001, VOLUME, drawn(number))


def test_a_log_read_twice_changes_nothing(pipeline: Pipeline) -> None:
    """Everything published again, and again from the first position for another worker."""
    log = seeded_log(7, SMALL)
    pipeline.append(log, by_key(PARTITIONS))
    pipeline.start(200)
    pipeline.settle()
    pipeline.check()
    before = pipeline.digests()
    pipeline.append(shuffled(log, 7), anywhere(7, PARTITIONS))
    pipeline.settle()
    pipeline.check()
    assert pipeline.digests() == before


@pytest.mark.verify
def test_the_log_of_twenty_thousand_events_is_of_every_type() -> None:
    types = {word for sent in log_of(20_000, VOLUME) for word in sent.value.split(b'"') if word.endswith(b".v1")}
    assert {name.encode() for name in CATALOGUE} <= types


def test_the_twenty_variants_are_of_every_kind() -> None:
    ways = [*VARIANTS, *map(drawn, MORE)]
    assert len(set(ways)) == 20
    assert {way.workers for way in ways} == {1, 2, 3, 4}
    assert {1, 5000, None} <= {way.batch for way in ways}
    assert {True, False} == {way.in_time for way in ways} == {way.keyed for way in ways}
    assert sum(way.kills > 0 for way in ways) >= 8
