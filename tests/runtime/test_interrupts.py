"""Signals as exceptions: when they are raised, and when they wait."""

from __future__ import annotations

import signal
import threading

import pytest

from customer_timeline.runtime.interrupts import between_events


def test_ctrl_c_waits_while_an_event_is_handed_over() -> None:
    answers = iter((True, True, False))
    reached: list[str] = []

    def publishing() -> None:
        signal.raise_signal(signal.SIGINT)
        reached.append("handed over")
        threading.Event().wait(30)  # as for room in the buffer
        reached.append("never")

    with between_events(lambda: next(answers)), pytest.raises(KeyboardInterrupt):
        publishing()
    assert reached == ["handed over"]
    assert list(answers) == []
