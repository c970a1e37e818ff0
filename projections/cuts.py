"""Two times: what was true at one instant, as it was known at another. Pure; read by whatever answers "as of".

Every event has an instant at which it happened (occurred_at) and one at which the log took it in (recorded_at). A read
may cut at both: the answer is the one that the same functions give for the events as they were recorded by `known_at`
(later corrections and retractions do not count), and of these the ones that happened until `as_of`. See
docs/explanation/two-times.md.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

IdentityAt = Literal["cut", "current"]
"""Who is who: by the facts that the cut leaves, or by all that is known today."""

EVER: Final = (1 << 63) - 1  # later than every instant


class Cut(NamedTuple):
    """The events to look at: those that happened until `as_of_us` as recorded by `known_at_us`; None = no cut.

    Both instants are included. Microseconds since 1970-01-01T00:00Z.
    """

    as_of_us: int | None = None
    known_at_us: int | None = None

    @property
    def until_us(self) -> int:
        """`as_of`, or later than every instant."""
        return EVER if self.as_of_us is None else self.as_of_us

    @property
    def recorded_until_us(self) -> int:
        """`known_at`, or later than every instant."""
        return EVER if self.known_at_us is None else self.known_at_us

    def holds(self, occurred_us: int, recorded_us: int) -> bool:
        """Whether a record that counts today counts at the cut too. False does not say that its event has no other."""
        return occurred_us <= self.until_us and recorded_us <= self.recorded_until_us

    def instant_us(self, now_us: int) -> int:
        """The instant that time-dependent answers (stage, flags) are about.

        `as_of` where given. Else `known_at`, for nobody could know then what came later; but never after the present.
        """
        if self.as_of_us is not None:
            return self.as_of_us
        return now_us if self.known_at_us is None else min(self.known_at_us, now_us)


class Past(NamedTuple):
    """What a read of the past is about: the cut, and by which facts customers are put together there."""

    cut: Cut
    who: IdentityAt


NO_CUT: Final = Cut()
