"""What a read that waits for positions is told, from where the projector stands."""

from __future__ import annotations

from customer_timeline.projections.progress import (
    BecameDeadLetter,
    DeadPosition,
    NotYet,
    OfAnotherLog,
    PartitionProgress,
    Passed,
    Standing,
    is_applied,
    judge,
)
from customer_timeline.schemas.position_token import EventPosition, PositionToken

TOPIC = "0b8f6a52-3c9f-4a0e-9d0c-7e1d5b2f4a61"
OTHER = "11111111-2222-4333-8444-555555555555"
TWO = PositionToken.of_events(TOPIC, [EventPosition(0, 4), EventPosition(1, 9)])


def at(next_offset: int, topic_id: str | None = TOPIC) -> PartitionProgress:
    return PartitionProgress(topic_id, next_offset, 1_000_000)


def test_positions_are_passed_when_the_next_offset_of_every_partition_is_beyond_them() -> None:
    assert judge(TWO, {0: at(5), 1: at(10), 2: at(0)}, ()) == Passed()
    assert isinstance(judge(TWO, {0: at(5), 1: at(9)}, ()), NotYet)
    assert isinstance(judge(TWO, {0: at(4), 1: at(10)}, ()), NotYet)


def test_what_is_not_passed_says_where_the_projector_stands_in_every_partition_asked_for() -> None:
    verdict = judge(TWO, {0: at(2), 1: at(10)}, ())
    assert verdict == NotYet((Standing(0, 4, 2, 1_000_000), Standing(1, 9, 10, 1_000_000)))
    assert [standing.lag_events for standing in verdict.standings] == [3, 0]  # 2, 3 and 4 are to come


def test_a_partition_that_no_worker_ever_took_over_is_not_passed() -> None:
    verdict = judge(TWO, {0: at(5)}, ())
    assert verdict == NotYet((Standing(0, 4, 5, 1_000_000), Standing(1, 9, None, None)))
    assert verdict.standings[1].lag_events == 10
    assert isinstance(judge(TWO, {}, ()), NotYet)


def test_a_dead_letter_is_told_although_other_events_are_still_to_come() -> None:
    letters = [DeadPosition(1, 9, "not_json")]
    assert judge(TWO, {0: at(0), 1: at(10)}, letters) == BecameDeadLetter((DeadPosition(1, 9, "not_json"),))


def test_positions_of_another_topic_are_refused_whatever_the_numbers_say() -> None:
    assert judge(TWO, {0: at(100, OTHER), 1: at(100, OTHER)}, ()) == OfAnotherLog(TOPIC)


def test_a_topic_id_that_no_worker_could_learn_refuses_nothing() -> None:
    assert judge(TWO, {0: at(5, None), 1: at(10, TOPIC)}, ()) == Passed()


def test_a_position_is_applied_when_the_next_offset_is_beyond_it() -> None:
    assert is_applied(EventPosition(0, 4), {0: at(5)})
    assert not is_applied(EventPosition(0, 5), {0: at(5)})
    assert not is_applied(EventPosition(1, 0), {0: at(5)})
