"""Decisions about dead letters: which are meant, what reading them again would give, and the operations to append.

Called by the command line. Nothing here writes: a worker applies the operations.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterPlace,
    DeadLetterReader,
    read_again,
)
from customer_timeline.runtime.confirming import Decider
from customer_timeline.runtime.effects import EffectPlanner, Effects
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros
from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent
from customer_timeline.schemas.operations import Operation, OperationKind, OperationPlace, chunks
from customer_timeline.schemas.storable import refuse_unstorable

PAGE: Final = 500


Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""As `record_progress.shown_records`: what is done, and of how many."""


@contextmanager
def unseen(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show nothing."""
    yield lambda more: None


class NoSuchDeadLetterError(CustomerTimelineError):
    """A record that was named is no dead letter."""

    def __init__(self, place: DeadLetterPlace) -> None:
        self.place = place
        super().__init__(
            f"The record at {place.topic}/{place.partition}/{place.offset} is no dead letter; "
            "`dead-letters list --each` shows those that are."
        )


class RetryPlan(NamedTuple):
    """What reading dead letters again would give. `failing`: how many still are none, by reason; `effects`: what those
    that are accepted would change, all of them.
    """

    places: tuple[DeadLetterPlace, ...]
    accepted: int
    failing: Mapping[str, int]
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
    shown: Progress = unseen,
) -> RetryPlan:
    """What reading the records again with this code would give; their content is never all in memory."""
    accepted: dict[str, list[DeadLetterPlace]] = {}
    count, failing = 0, Counter[str]()

    async def event_at(place: DeadLetterPlace) -> DecodedEvent | None:
        letter = await reader.dead_letter(*place)
        try:
            return None if letter is None else decoded(codec, letter)  # None: removed meanwhile
        except InvalidEvent as error:
            failing[str(error.reason)] += 1
            return None

    async def events(event_ids: Sequence[str]) -> list[DecodedEvent]:
        found = [await event_at(place) for event_id in event_ids for place in accepted[event_id]]
        return [event for event in found if event is not None]

    with shown("reading again", len(places)) as step:
        for place in places:
            event = await event_at(place)
            if event is not None:
                accepted.setdefault(event.event_id, []).append(place)
                count += 1
            step(1)
    still = dict(failing)
    with shown("comparing", len(accepted)) as step:
        effects = await planner.effects_of(list(accepted), events, now=now, step=step)
    return RetryPlan(tuple(places), count, still, effects)


def decoded(codec: Codec, letter: DeadLetter) -> DecodedEvent:
    """The event that a dead letter is by this code. Raises InvalidEvent."""
    event = read_again(codec, letter.value, letter.headers, from_micros(letter.summary.recorded_us))
    # The worker learns it from Postgres; nobody should be promised what that will refuse.
    refuse_unstorable(letter.value or b"", event.type)
    return event


def operations(
    kind: OperationKind, places: Sequence[DeadLetterPlace], who: Decider, *, now: datetime
) -> Iterator[Operation]:
    """The operations to append: as many as the places need."""
    for part in chunks(map(operation_place, places)):
        yield Operation(
            operation_id=uuid.uuid4(),
            kind=kind,
            operator=who.operator,
            reason=who.reason,
            decided_at=now,
            places=tuple(part),
        )


def operation_place(place: DeadLetterPlace) -> OperationPlace:
    """The place as operations name it."""
    return OperationPlace(topic=place.topic, partition=place.partition, offset=place.offset)
