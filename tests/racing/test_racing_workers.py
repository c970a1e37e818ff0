"""Four workers on overlapping identifiers, killed, stopped and replaced at random: the tables equal the reference.

The logs are made to collide: 60 people with four identifiers each, events that glue neighbours, copies, corrections and
retractions of one event in different partitions. What varies is drawn from the seed; the interleaving is the machine's.
"""

from __future__ import annotations

import signal
import threading
import time
from random import Random

import pytest
from generators import Shape, seeded_log
from live_log import anywhere
from pipeline import Pipeline, random_batch
from worker_farm import Worker

WORKERS = 4
ADVERSARIAL = Shape(
    events=400, people=60, glue_percent=25, thing_percent=30, correction_percent=8, retraction_percent=6, decisions=8
)


def _shape(random: Random) -> Shape:
    """Mostly the adversarial one; some runs on few people, where everything meets everything."""
    if random.random() < 0.3:
        return Shape(events=150, people=12, glue_percent=40, thing_percent=50, decisions=6, crowds=1)
    if random.random() < 0.3:
        return Shape(events=400, people=60, glue_percent=25, decisions=0, crowds=0, member_percent=0)
    return ADVERSARIAL


def _disturb(pipeline: Pipeline, workers: list[Worker], random: Random, times: int) -> None:
    """Kill and start again, stop and let go on, or replace one that is stopped and then let it go on."""
    for _ in range(times):
        time.sleep(random.uniform(0.0, 0.4))  # not a wait for anything: the moment of the blow
        slot = random.randrange(len(workers))
        victim = workers[slot]
        blow = random.choice(("kill", "stop", "replace"))
        if blow == "kill":
            victim.kill()
            workers[slot] = pipeline.start(random_batch(random), f"w{slot}")
        elif blow == "stop":
            victim.send(signal.SIGSTOP)
            time.sleep(random.uniform(0.05, 1.0))
            victim.send(signal.SIGCONT)
        else:
            victim.send(signal.SIGSTOP)
            workers[slot] = pipeline.start(random_batch(random), f"w{slot}")
            time.sleep(random.uniform(0.2, 1.0))
            victim.send(signal.SIGCONT)


def race(pipeline: Pipeline, seed: int, blows: int) -> None:
    """One run: append while four workers work and are disturbed; then the tables must equal the reference."""
    random = Random(seed)
    log = seeded_log(seed, _shape(random))
    half = random.randrange(len(log))
    place = anywhere(seed, 4)
    pipeline.append(log[:half], place)
    workers = [pipeline.start(random_batch(random), f"w{slot}") for slot in range(WORKERS)]
    rest = threading.Thread(target=pipeline.append, args=(log[half:], place))
    rest.start()
    _disturb(pipeline, workers, random, blows)
    rest.join()
    for slot, worker in enumerate(workers):
        if worker.poll() is not None:  # a worker that was replaced in the middle may have given up its name
            workers[slot] = pipeline.start(random_batch(random), f"w{slot}")
    pipeline.settle()
    pipeline.check()


@pytest.mark.parametrize("seed", range(3))
def test_racing_workers_that_are_disturbed_leave_what_one_would(pipeline: Pipeline, seed: int) -> None:
    race(pipeline, seed, blows=5)


@pytest.mark.parametrize("seed", range(100, 102))
def test_racing_workers_left_in_peace_leave_what_one_would(pipeline: Pipeline, seed: int) -> None:
    race(pipeline, seed, blows=0)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_racing_workers_two_hundred_times(pipeline: Pipeline, seed: int) -> None:
    race(pipeline, seed, blows=Random(seed).choice((0, 2, 4, 6)))
