"""The law through real Kafka, workers and Postgres: order, copies, batch sizes and number of workers change nothing."""

from __future__ import annotations

from random import Random

import pytest
from generators import Shape, seeded_log, shuffled
from live_log import anywhere, by_key
from pipeline import Pipeline

SMALL = Shape(events=300, people=40)
LARGE = Shape(events=3000, people=400, crowds=8, decisions=25)

# order seed (None: as generated), percent doubled, batch size, workers, partition by key
VARIANTS = (
    (None, 0, 5000, 1, True),
    (None, 0, 1, 1, False),
    (1, 0, 7, 1, True),
    (2, 50, 100, 2, False),
    (3, 20, 5000, 2, True),
    (4, 20, 23, 3, False),
)


def _run(pipeline: Pipeline, seed: int, shape: Shape, variant: tuple[int | None, int, int, int, bool]) -> None:
    order, doubled, batch, workers, keyed = variant
    log = seeded_log(seed, shape)
    if order is not None:
        log = shuffled(log, order, twice_percent=doubled)
    half = Random(seed).randrange(len(log))
    place = by_key(4) if keyed else anywhere(seed, 4)
    pipeline.append(log[:half], place)
    for number in range(workers):
        pipeline.start(batch, f"w{number}")
    pipeline.append(log[half:], place)  # while they work
    pipeline.settle()
    pipeline.check()


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_tables_equal_the_reference_whatever_the_order_batches_and_workers(
    pipeline: Pipeline, variant: tuple[int | None, int, int, int, bool]
) -> None:
    _run(pipeline, 2024, SMALL, variant)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_tables_equal_the_reference_on_longer_logs(
    pipeline: Pipeline, variant: tuple[int | None, int, int, int, bool], seed: int
) -> None:
    order, doubled, batch, workers, keyed = variant
    _run(pipeline, seed, LARGE, (order, doubled, max(batch, 20), workers, keyed))


def test_a_log_read_twice_changes_nothing(pipeline: Pipeline) -> None:
    """Everything published again, and again from the first position for another worker."""
    log = seeded_log(7, SMALL)
    pipeline.append(log, by_key(4))
    pipeline.start(200)
    pipeline.settle()
    pipeline.check()
    pipeline.append(shuffled(log, 7), anywhere(7, 4))
    pipeline.settle()
    pipeline.check()
