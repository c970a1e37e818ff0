"""A Kafka that takes connections, keeps those that it has, and answers nobody."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker_farm import until

from customer_timeline.runtime.embedded import EmbeddedKafka


@contextmanager
def silent(broker: EmbeddedKafka) -> Iterator[None]:
    """The broker answers nobody: its process is stopped, its connections stay."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        # The signal is on its way; until it has reached every thread, one of them may answer once more.
        until(lambda: stopped(broker.pid), "the broker stands still")
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def stopped(pid: int) -> bool:
    """Whether every thread of the process stands still."""
    states = [task.read_text().rsplit(")", 1)[1].split()[0] for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) <= {"T", "t"}
