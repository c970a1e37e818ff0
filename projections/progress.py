"""How far the projector has come, and whether a read that waits for positions may be answered.

The API and the command line ask a `ProgressReader` and judge here. Pure: types and one function of what was read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from customer_timeline.schemas.position_token import EventPosition, PositionToken


class PartitionProgress(NamedTuple):
    """How far one partition is applied.

    `topic_id` is None where the worker that took the partition over could not learn it. `passed_us`: everything that
    the partition had recorded by that instant is applied; None until a worker has said so.
    """

    topic_id: str | None
    next_offset: int
    passed_us: int | None


class DeadPosition(NamedTuple):
    """A record that could not become an event, by its position."""

    partition: int
    offset: int
    reason: str


Progress = Mapping[int, PartitionProgress]
"""By partition; those that no worker has ever taken over are absent."""


class ProgressReader(Protocol):
    """Reads where the projector stands. Raises `ViewsUnavailableError` and `ViewsOutOfDateError` as other reads do."""

    async def progress(self, topic: str) -> Progress:
        """How far every partition of the topic is applied. A read that begins after this sees at least as much."""
        ...

    async def dead_positions(self, topic: str, positions: Collection[EventPosition]) -> tuple[DeadPosition, ...]:
        """Those of the positions that are dead letters; ascending."""
        ...


class Passed(NamedTuple):
    """All positions are applied, and no event of the token is known to be a dead letter."""


class Standing(NamedTuple):
    """A position that a token names, and where the projector stands in that partition.

    `next_offset` and `passed_us` are None where no worker has ever taken the partition over.
    """

    partition: int
    offset: int
    next_offset: int | None
    passed_us: int | None

    @property
    def lag_events(self) -> int:
        """Records up to the position, itself included, that are not applied; 0 where it is passed."""
        return max(0, self.offset + 1 - (self.next_offset or 0))


class NotYet(NamedTuple):
    """Some positions are not applied. `standings`: all that the token names, one a partition, ascending."""

    standings: tuple[Standing, ...]


class BecameDeadLetter(NamedTuple):
    """Events of the token that could not be applied, and never will be as they stand."""

    letters: tuple[DeadPosition, ...]


class OfAnotherLog(NamedTuple):
    """The token's topic is not the one that the views are made from: positions of one mean nothing in the other."""

    topic_id: str


Verdict = Passed | NotYet | BecameDeadLetter | OfAnotherLog


def is_applied(position: EventPosition, progress: Progress) -> bool:
    """Whether the projector has passed the position, as an event or as a dead letter."""
    found = progress.get(position.partition)
    return found is not None and position.offset < found.next_offset


def judge(token: PositionToken, progress: Progress, letters: Collection[DeadPosition]) -> Verdict:
    """What a read after `token` is told. `letters` are the dead letters found among the token's events so far.

    A dead letter counts although other events are still to come: waiting for those would not mend it.
    """
    others = {found.topic_id for found in progress.values()} - {None, token.topic_id}
    if others:
        return OfAnotherLog(token.topic_id)
    if letters:
        return BecameDeadLetter(tuple(sorted(letters)))
    standings = tuple(_standing(*place, progress) for place in token.next_offsets)
    if any(standing.lag_events for standing in standings):
        return NotYet(standings)
    return Passed()


def _standing(partition: int, next_offset: int, progress: Progress) -> Standing:
    found = progress.get(partition)
    stands, passed_us = (None, None) if found is None else (found.next_offset, found.passed_us)
    return Standing(partition, next_offset - 1, stands, passed_us)
