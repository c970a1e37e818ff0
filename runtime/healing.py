"""Decisions about dead letters: which are meant, what reading them again would give, and the operations to append.

Called by the command line. Nothing here writes: a worker applies the operations.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterPlace,
    DeadLetterReader,
    read_again,
)
from customer_timeline.runtime.effects import EffectPlanner, Effects
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros
from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent
from customer_timeline.schemas.operations import Operation, OperationKind, OperationPlace, chunks

PAGE: Final = 500
MOST_LOOKED_AT: Final = 2_000
"""Records whose effect is worked out before anybody is asked: a few seconds of work."""


class NoSuchDeadLetterError(CustomerTimelineError):
    """A record that was named is no dead letter."""

    def __init__(self, place: DeadLetterPlace) -> None:
        self.place = place
        super().__init__(
            f"The record at {place.topic}/{place.partition}/{place.offset} is no dead letter; "
            "`dead-letters list --each` shows those that are."
        )


class RetryPlan(NamedTuple):
    """What reading dead letters again would give. `failing`: how many still are none, by reason.

    `looked_at`: of how many of the accepted ones `effects` tells.
    """

    places: tuple[DeadLetterPlace, ...]
    accepted: int
    failing: Mapping[str, int]
    looked_at: int
    effects: Effects


async def select(
    reader: DeadLetterReader, wanted: DeadLetterFilter, named: Sequence[DeadLetterPlace]
) -> tuple[DeadLetterPlace, ...]:
    """The places that are meant: those named, else those that the filter finds, in the order of the log."""
    if named:
        for place in named:
            found = await reader.dead_letter(*place)
            if found is None or found.summary.state == "healed":
                raise NoSuchDeadLetterError(place)
        return tuple(sorted(set(named)))
    places: list[DeadLetterPlace] = []
    after = None
    while True:
        page = await reader.dead_letters(wanted, limit=PAGE, after=after)
        places += [one.place for one in page.rows]
        if not page.more:
            return tuple(sorted(places))
        after = places[-1]


async def plan_retry(
    reader: DeadLetterReader,
    codec: Codec,
    planner: EffectPlanner,
    places: Sequence[DeadLetterPlace],
    *,
    now: datetime,
) -> RetryPlan:
    """What reading the records again with this code would give."""
    accepted: list[DecodedEvent] = []
    count, failing = 0, Counter[str]()
    for place in places:
        letter = await reader.dead_letter(*place)
        if letter is None:  # removed meanwhile
            continue
        try:
            event = decoded(codec, letter)
        except InvalidEvent as error:
            failing[str(error.reason)] += 1
            continue
        count += 1
        if len(accepted) < MOST_LOOKED_AT:
            accepted.append(event)
    effects = await planner.effects(accepted, now=now)
    return RetryPlan(tuple(places), count, dict(failing), len(accepted), effects)


def decoded(codec: Codec, letter: DeadLetter) -> DecodedEvent:
    """The event that a dead letter is by this code. Raises InvalidEvent."""
    return read_again(codec, letter.value, letter.headers, from_micros(letter.summary.recorded_us))


def operations(
    kind: OperationKind,
    places: Sequence[DeadLetterPlace],
    *,
    operator: str,
    reason: str,
    now: datetime,
    event_id: str | None = None,
) -> Iterator[Operation]:
    """The operations to append: as many as the places need."""
    named = (OperationPlace(topic=one.topic, partition=one.partition, offset=one.offset) for one in places)
    for part in chunks(named):
        yield Operation(
            operation_id=uuid.uuid4(),
            kind=kind,
            operator=operator,
            reason=reason,
            decided_at=now,
            places=tuple(part),
            event_id=None if event_id is None else uuid.UUID(event_id),
        )
