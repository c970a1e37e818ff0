"""How a command that is stopped leaves its publisher: it waits for answers, and not for silence."""

from __future__ import annotations

import pytest

from customer_timeline.producers.errors import FlushTimeout
from customer_timeline.producers.protocol import PublisherCounts
from customer_timeline.runtime.giving_up import close_without_patience


class _Publisher:
    """Ten events are on the way; each flush sees as many acknowledged as it is told to, and waits in vain for more."""

    def __init__(self, *answers: int, again: bool = False) -> None:
        self._answers = iter(answers)
        self._again = again
        self.counts = PublisherCounts(10, 0, 0)
        self.calls: list[str] = []

    def flush(self, timeout_s: float) -> None:
        self.calls.append("flush")
        if self._again:
            raise KeyboardInterrupt
        self.counts = self.counts._replace(acknowledged=self.counts.acknowledged + next(self._answers))
        left = self.counts.accepted - self.counts.acknowledged
        if left:
            raise FlushTimeout(left, timeout_s)

    def close(self, timeout_s: float) -> None:
        self.calls.append(f"close {timeout_s:g}")
        if self.counts.accepted > self.counts.acknowledged:
            raise FlushTimeout(1, timeout_s)


def test_silence_is_waited_for_once() -> None:
    publisher = _Publisher(0)
    close_without_patience(publisher)  # type: ignore[arg-type]
    assert publisher.calls == ["flush", "close 0"]


def test_what_kafka_still_answers_is_waited_for() -> None:
    publisher = _Publisher(4, 5, 1)
    close_without_patience(publisher)  # type: ignore[arg-type]
    assert publisher.calls == ["flush", "flush", "flush", "close 0"]
    assert publisher.counts == (10, 10, 0)


def test_an_answer_that_is_followed_by_silence_is_waited_for_no_longer() -> None:
    publisher = _Publisher(9, 0)
    close_without_patience(publisher)  # type: ignore[arg-type]
    assert publisher.calls == ["flush", "flush", "close 0"]


def test_a_second_ctrl_c_gives_up_at_once() -> None:
    publisher = _Publisher(again=True)
    with pytest.raises(KeyboardInterrupt):
        close_without_patience(publisher)  # type: ignore[arg-type]
    assert publisher.calls == ["flush", "close 0"]
