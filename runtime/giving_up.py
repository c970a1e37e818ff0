"""The end of a publisher whose command was stopped: what Kafka still answers is waited for, silence is not."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from customer_timeline.schemas.errors import CustomerTimelineError

if TYPE_CHECKING:
    from customer_timeline.producers.protocol import Publisher

_SILENCE_S: Final = 1.0
_MOST_S: Final = 10.0


def close_without_patience(publisher: Publisher) -> None:
    """Close it once everything is decided, nothing was for a second, or ten seconds are over. Raises nothing of it.

    Afterwards its counts say what Kafka acknowledged; of the other events that were accepted nobody knows whether they
    are in the log.
    """
    until = time.monotonic() + _MOST_S
    try:
        while _decides(publisher) and time.monotonic() < until:
            pass
    finally:  # also where Ctrl-C comes again
        with contextlib.suppress(CustomerTimelineError):  # whoever stops tells the counts
            publisher.close(0)


def _decides(publisher: Publisher) -> bool:
    """Whether there is more to wait for, and something of it was decided meanwhile."""
    before = publisher.counts
    with contextlib.suppress(CustomerTimelineError):
        publisher.flush(_SILENCE_S)
    now = publisher.counts
    return now.accepted > now.acknowledged + now.failed and now != before
