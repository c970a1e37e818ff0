"""The one place that reads the clock. Everything else gets a time, or a `Clock`, as an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present, aware, UTC."""
        ...


class SystemClock:
    """The machine's clock. It may jump; nothing that must be exact may depend on it."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is set: for tests, and for assessing a past moment."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self.at
