"""The accounts of a publisher, without any Kafka."""

from __future__ import annotations

import threading

import pytest

from customer_timeline.producers.buffer import DeliveryBuffer
from customer_timeline.producers.errors import BufferFull, FlushTimeout, PublisherClosed


def test_what_does_not_fit_is_refused_after_the_wait() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=0.01)
    buffer.admit(60)

    with pytest.raises(BufferFull) as caught:
        buffer.admit(41)

    assert caught.value.buffered_bytes == 60
    buffer.admit(40)
    assert buffer.counts == (2, 0, 0)


def test_an_event_larger_than_the_buffer_enters_when_it_is_empty() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=0.01)

    buffer.admit(1000)

    with pytest.raises(BufferFull):
        buffer.admit(1)


def test_who_waits_for_room_enters_when_somebody_leaves() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=60)
    first = buffer.admit(100)
    waiting = threading.Thread(target=buffer.admit, args=(100,))
    waiting.start()

    buffer.settle(100, first, 0, 0)

    waiting.join(60)
    assert not waiting.is_alive()
    assert buffer.counts == (2, 1, 0)


def test_who_waits_for_room_is_told_when_the_buffer_closes() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=60)
    buffer.admit(100)
    told: list[BaseException] = []

    def enter() -> None:
        try:
            buffer.admit(1)
        except PublisherClosed as closed:
            told.append(closed)

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert buffer.close()

    waiting.join(60)
    assert len(told) == 1
    assert not buffer.close()


def test_a_flush_does_not_wait_for_what_came_after_it() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=1)
    before = buffer.admit(10)
    flushed = threading.Event()

    def flush() -> None:
        buffer.drain(60)
        flushed.set()

    flushing = threading.Thread(target=flush)
    flushing.start()
    # The flush has begun when a new event belongs to a new round.
    while (after := buffer.admit(1)) == before:
        buffer.withdraw(1, after)
    buffer.settle(10, before, 0, 0)

    assert flushed.wait(60)
    flushing.join()
    with pytest.raises(FlushTimeout, match="1 events"):
        buffer.drain(0)
    buffer.settle(1, after, 0, 1)
    buffer.drain(0)


def test_the_first_failure_is_told_once() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=1)
    rounds = [buffer.admit(1) for _ in range(3)]
    buffer.settle(1, rounds[0], 0, 0)
    buffer.fail(1, rounds[1], LookupError("first"))
    buffer.fail(1, rounds[2], LookupError("second"))

    with pytest.raises(LookupError, match="first"):
        buffer.drain(1)

    buffer.drain(1)
    assert buffer.counts == (3, 1, 2)


def test_what_was_withdrawn_never_counted() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=0.01)
    buffer.withdraw(100, buffer.admit(100))

    buffer.admit(100)

    assert buffer.counts == (1, 0, 0)


def test_what_was_withdrawn_although_the_client_had_taken_it_counts_once_it_is_acknowledged() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=0.01)
    rounds = [buffer.admit(size) for size in (10, 20)]
    buffer.withdraw(20, rounds[1])  # as where a signal is raised just after the client took it
    for offset, (size, round_) in enumerate(zip((10, 20), rounds, strict=True)):
        buffer.settle(size, round_, 0, offset)

    assert buffer.counts == (2, 2, 0)
    buffer.admit(100)  # all its room is free


def test_an_event_is_handed_over_from_its_admission_until_the_caller_says_so() -> None:
    buffer = DeliveryBuffer(limit_bytes=100, block_s=0.01)
    assert not buffer.handing_over
    buffer.admit(1)
    assert buffer.handing_over
