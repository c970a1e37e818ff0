"""Workers that die or freeze between two named steps: the next start ends with the tables of an undisturbed run.

The steps are those that the projector reports to its observer; a trap in the worker itself strikes at one of them.
"""

from __future__ import annotations

import signal
import time

import pytest
from generators import Shape, seeded_log
from live_log import anywhere, applied_offsets, caught_up, end_offsets
from pipeline import Pipeline
from worker_farm import Trap, Worker, until

from customer_timeline.streams.steps import STEPS

SHAPE = Shape(events=250, people=30)
BATCH = 40
CARRIES_ON_S = 10

BEFORE, INSIDE, AFTER = ("decoded",), ("inserted", "locked", "fenced"), ("committed",)
# Which transaction is hit: the first one (nothing is there yet), and one in the middle.
TWICE = (1, 4)
FIFTY = tuple((nth, seed) for nth in range(1, 6) for seed in range(10))


def _log(pipeline: Pipeline, seed: int) -> None:
    pipeline.append(seeded_log(seed, SHAPE), anywhere(seed, 4))


def _kill_at(pipeline: Pipeline, step: str, nth: int, seed: int) -> None:
    _log(pipeline, seed)
    first = pipeline.start(BATCH, trap=Trap(step, nth, signal.SIGKILL))
    assert first.wait() == -signal.SIGKILL
    before = applied_offsets(pipeline.url, pipeline.topic)
    began = time.monotonic()
    pipeline.start(BATCH)
    until(
        lambda: applied_offsets(pipeline.url, pipeline.topic) != before,
        f"the worker carries on within {CARRIES_ON_S} s",
        CARRIES_ON_S - (time.monotonic() - began),
    )
    pipeline.settle()
    pipeline.check()


@pytest.mark.parametrize("nth", TWICE)
@pytest.mark.parametrize("step", [*BEFORE, *INSIDE, *AFTER])
def test_a_worker_killed_at_a_step_loses_nothing_and_doubles_nothing(pipeline: Pipeline, step: str, nth: int) -> None:
    _kill_at(pipeline, step, nth, seed=nth)


@pytest.mark.soak
@pytest.mark.parametrize(("nth", "seed"), FIFTY)
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_a_step_fifty_times(pipeline: Pipeline, step: str, nth: int, seed: int) -> None:
    _kill_at(pipeline, step, nth, seed)


def _freeze_at(pipeline: Pipeline, step: str, nth: int, seed: int, successor: str) -> None:
    """Freeze a worker, let another take its partitions and finish, wake the first: it must not spoil anything."""
    _log(pipeline, seed)
    frozen = pipeline.start(BATCH, "w0", trap=Trap(step, nth, signal.SIGSTOP))
    until(frozen.is_stopped, f"the worker is frozen at {step}")
    pipeline.start(BATCH, successor)
    pipeline.settle()
    pipeline.check()
    frozen.send(signal.SIGCONT)
    _log(pipeline, seed + 1)  # work for both, if the first finds its way back
    pipeline.settle()
    pipeline.check()


@pytest.mark.parametrize("successor", ["w0", "w1"])  # at once under the same name; after the session time-out
@pytest.mark.parametrize("step", ["locked", "committed"])
def test_a_worker_frozen_while_its_partitions_move_spoils_nothing(
    pipeline: Pipeline, step: str, successor: str
) -> None:
    _freeze_at(pipeline, step, 2, 11, successor)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("step", ["inserted", "locked", "fenced", "decoded", "committed"])
def test_a_worker_frozen_while_its_partitions_move_fifty_times(pipeline: Pipeline, step: str, seed: int) -> None:
    _freeze_at(pipeline, step, 1 + seed % 5, seed, "w0" if seed % 4 else "w1")


def _epochs(pipeline: Pipeline) -> dict[int, int]:
    return {part: row[0] for part, row in _offsets(pipeline, "epoch").items()}


def _offsets(pipeline: Pipeline, columns: str) -> dict[int, tuple[int, ...]]:
    rows = pipeline.query(f"SELECT part, {columns} FROM projector_offset WHERE topic = %s", pipeline.topic)
    return {part: tuple(rest) for part, *rest in rows}


def test_a_replaced_worker_writes_nothing_although_its_position_is_still_the_right_one(pipeline: Pipeline) -> None:
    """The epoch alone tells: the successor has the partitions, and has written nothing yet."""
    _log(pipeline, 21)
    frozen = pipeline.start(BATCH, trap=Trap("decoded", 2, signal.SIGSTOP))
    until(frozen.is_stopped, "the first worker is frozen")
    epochs = _epochs(pipeline)
    successor = pipeline.start(BATCH, trap=Trap("decoded", 1, signal.SIGSTOP))
    until(successor.is_stopped, "the successor is frozen before its first transaction")
    assert all(epoch > epochs.get(part, 0) for part, epoch in _epochs(pipeline).items())
    before = _offsets(pipeline, "epoch, next_offset")
    frozen.send(signal.SIGCONT)
    # It may come back to its partitions the right way, with an epoch of its own; until then it must write nothing.
    until(lambda: _gave_up(frozen) or _offsets(pipeline, "epoch, next_offset") != before, "the first worker tried")
    after = _offsets(pipeline, "epoch, next_offset")
    assert all(after[part] == row or after[part][0] > row[0] for part, row in before.items())
    frozen.kill()
    successor.send(signal.SIGCONT)
    pipeline.settle()
    pipeline.check()


def _gave_up(worker: Worker) -> bool:
    return worker.poll() is not None or "worker_was_replaced" in worker.log()


def test_a_worker_whose_position_is_no_longer_the_stored_one_goes_back_to_it(pipeline: Pipeline) -> None:
    """Postgres was set back to an older state under a running worker: what it then skips would be lost for ever."""
    _log(pipeline, 31)
    worker = pipeline.start(BATCH, trap=Trap("committed", 3, signal.SIGSTOP))
    until(worker.is_stopped, "the worker is frozen between two batches")
    pipeline.forget_everything()
    worker.send(signal.SIGCONT)
    pipeline.settle()
    if worker.poll() is not None:
        pipeline.start(BATCH)
        pipeline.settle()
    pipeline.check()


def test_nothing_is_applied_twice_when_kafka_forgets_where_the_group_was(pipeline: Pipeline) -> None:
    """Offsets live in Postgres: a group without any offset of its own starts where Postgres says."""
    _log(pipeline, 41)
    pipeline.start(BATCH)
    pipeline.settle()
    pipeline.close()
    pipeline.group += "-renamed"
    _log(pipeline, 42)
    pipeline.start(BATCH)
    pipeline.settle()
    assert caught_up(pipeline.url, pipeline.topic, end_offsets(pipeline.bootstrap, pipeline.topic))
    pipeline.check()


def test_of_two_workers_under_one_name_the_newcomer_gets_the_work_done_and_the_other_says_why_it_stops(
    pipeline: Pipeline,
) -> None:
    _log(pipeline, 43)
    older = pipeline.start(3, "w0")
    until(lambda: sum(applied_offsets(pipeline.url, pipeline.topic).values()) > 0, "the first one works")
    newcomer = pipeline.start(3, "w0")
    assert older.wait() == 1
    assert "Another worker was started under the name of this one, w0" in older.log()
    pipeline.settle()
    pipeline.check()
    assert newcomer.poll() is None
    # Taken once, and perhaps once more each because Kafka let the other one in before it stopped.
    assert max(_epochs(pipeline).values()) <= 5


@pytest.mark.parametrize("topic", [1], indirect=True)
def test_of_two_workers_under_one_name_that_have_no_partition_one_stops_as_well(pipeline: Pipeline) -> None:
    pipeline.append(seeded_log(44, SHAPE), lambda _: 0)
    pipeline.start(BATCH, "w0")
    pipeline.settle()
    reserve = [pipeline.start(BATCH, "w1"), pipeline.start(BATCH, "w1")]
    until(lambda: any(worker.poll() is not None for worker in reserve), "one of the two has stopped")
    (stopped,) = (worker for worker in reserve if worker.poll() is not None)
    assert stopped.wait() == 1
    assert "Another worker was started under the name of this one, w1" in stopped.log()
