"""A second set of tables as `rebuild start` makes it, without the log being read: for tests of what comes after."""

from __future__ import annotations

import time

from customer_timeline.runtime.rebuild import making
from customer_timeline.runtime.rebuild.indexing import indexing, mark_filled
from customer_timeline.runtime.settings import Settings


def silent(message: str) -> None:
    """Nobody listens."""


def made(settings: Settings, *, force: bool = False) -> None:
    """A rebuild of nothing, with its indexes."""
    making.make(settings, force=force, told=silent)
    make_indexes(settings)


def make_indexes(settings: Settings) -> None:
    """All that were left out, as when the end of the log is reached."""
    with indexing(settings) as indexes:
        indexes.begin()
        while indexes.running():
            time.sleep(0.01)
    mark_filled(settings)
