"""The interpreter of a worker: when it collects garbage, and how often its threads change places."""

from __future__ import annotations

import gc
import sys
from typing import Final

_SWITCH_S: Final = 0.0005
_COLLECTION_EVERY, _FULL_COLLECTION_EVERY = 500_000, 5_000_000  # records
_IDLE_EVERY_S: Final = 60.0


def settle() -> None:
    """Once, at the start of a worker."""
    # A thread that comes back from Postgres would wait 5 ms for the one that decodes, after every statement.
    sys.setswitchinterval(_SWITCH_S)
    # What is loaded at start never becomes garbage; scanning it again and again cost a quarter of the throughput.
    gc.collect()
    gc.freeze()
    gc.disable()


class Collector:
    """Collects seldom: hardly anything that a batch leaves behind is a cycle, and a collection walks all that lives.

    Records are counted, not batches: a worker that keeps up has many small ones, and events that wait behind a
    collection each time.
    """

    def __init__(self) -> None:
        self._records = 0
        self._idle_at = 0.0

    def passed(self, records: int) -> None:
        """A batch of `records` is applied."""
        before, self._records = self._records, self._records + records
        if before // _FULL_COLLECTION_EVERY < self._records // _FULL_COLLECTION_EVERY:
            gc.collect()
        elif before // _COLLECTION_EVERY < self._records // _COLLECTION_EVERY:
            gc.collect(0)

    def idle(self, now_s: float) -> None:
        """Nothing is to be done at `now_s` (monotonic): what polling leaves behind goes now, once a minute."""
        if now_s - self._idle_at > _IDLE_EVERY_S:
            self._idle_at = now_s
            gc.collect(1)
