"""What the sweeper has to do with a customer: what to announce, what to take back, and when to look again.

Pure. The projector calls `after_fold` with every row that it writes, the sweeper calls `due` and `after_sweep`. A stage
changes by itself (`projections.lifecycle`); what is decided here is only who is told, and that nobody is told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.lifecycle import Flag, Schedule, Stage, StageEntry, as_entry, next_change_us

HISTORIC_DAYS: Final = 7
"""A transition older than this when it is first computed is history: an import announces nothing."""

_NAMESPACE: Final = UUID("5d1c9f0e-6a52-5b8e-8f5f-1f2f5b0c7a44")


class Standing(NamedTuple):
    """Where the sweeper stands with a customer; see the columns of the same names. Instants in microseconds."""

    swept_us: int | None
    sweep_us: int | None
    announce_from_us: int


# As the constructor, which is a Python frame each time.
as_standing: Final[Callable[[tuple[int | None, ...]], Standing]] = partial(tuple.__new__, Standing)


class Announced(NamedTuple):
    """A transition that was announced. `customer_id` is that of the time; `n`: how often it had been before."""

    announcement_id: str
    customer_id: str
    entry: StageEntry
    n: int
    withdrawn: bool


class Transition(NamedTuple):
    """A transition to announce: the entry that began, and the one before it (None: the customer is new)."""

    announcement_id: str
    entry: StageEntry
    previous: StageEntry | None
    n: int


class Due(NamedTuple):
    """What is to be told now."""

    announce: tuple[Transition, ...]
    withdraw: tuple[Announced, ...]


def after_fold(schedule: Schedule, before: Sequence[Standing], earliest_us: int | None, now_us: int) -> Standing:
    """The standing of a customer that was folded at `now_us`.

    `before`: of the rows that became this one, none for a new customer. `earliest_us`: the earliest instant of the
    events that were added; None where they changed otherwise. By the law of the schedule, what holds before it is
    unchanged.
    """
    fresh_from_us = now_us - HISTORIC_DAYS * DAY_US
    announce_from_us = max([standing.announce_from_us for standing in before], default=fresh_from_us)
    appointments = [standing.sweep_us for standing in before if standing.sweep_us is not None]
    if earliest_us is None or not appointments or min(appointments) >= earliest_us:
        # Nothing before the new events waits to be told, and what they bring to light may be long over.
        announce_from_us = max(announce_from_us, fresh_from_us)
    swept = [standing.swept_us for standing in before if standing.swept_us is not None]
    if not swept:
        return Standing(None, _least(_first(schedule, announce_from_us), appointments), announce_from_us)
    swept_us = max(swept)
    if len(before) > 1 or earliest_us is None or earliest_us <= swept_us:
        # What was announced may not hold any more: look at once.
        return Standing(swept_us, swept_us, max(announce_from_us, fresh_from_us))
    return Standing(swept_us, _least(_first(schedule, swept_us + 1), appointments), announce_from_us)


def assessed_at(standing: Standing, now_us: int) -> int:
    """The instant whose entry a row shows in its columns, written at `now_us`: they hold until the sweeper comes.

    Not before what the sweeper has passed, or will never look at. Partitions are caught up at different speeds, so the
    present of one worker may lie before that of another.
    """
    passed_us = standing.announce_from_us if standing.swept_us is None else standing.swept_us
    return max(now_us, passed_us)


def after_sweep(schedule: Schedule, standing: Standing, horizon_us: int) -> Standing:
    """The standing once all until `horizon_us` is told."""
    return Standing(horizon_us, _first(schedule, horizon_us + 1), standing.announce_from_us)


def due(
    customer_id: str, schedule: Schedule, announced: Iterable[Announced], standing: Standing, horizon_us: int
) -> Due:
    """What is to be told of a customer when everything until `horizon_us` is known.

    `announced`: under this and all former ids of the customer.
    """
    told = list(announced)
    holding = {entry for entry in schedule if entry.from_us <= horizon_us}
    withdraw = tuple(one for one in told if not one.withdrawn and one.entry not in holding)
    standing_entries = {one.entry for one in told if not one.withdrawn}
    announce = []
    for index, entry in enumerate(schedule):
        if standing.announce_from_us <= entry.from_us <= horizon_us and entry not in standing_entries:
            n = sum(_same(one, customer_id, entry) for one in told)
            announcement_id = announcement_id_of(customer_id, entry.from_us, entry.stage, n)
            announce.append(Transition(announcement_id, entry, schedule[index - 1] if index else None, n))
    return Due(tuple(announce), withdraw)


def announcement_id_of(customer_id: str, from_us: int, stage: Stage, n: int) -> str:
    """The id of an announcement: the same on every worker and in every replay. `n`: how often it was made before."""
    return str(uuid5(_NAMESPACE, f"{customer_id}\n{from_us}\n{stage}\n{n}"))


def withdrawal_id_of(announcement_id: str) -> str:
    """The id of the announcement that takes one back."""
    return str(uuid5(_NAMESPACE, f"{announcement_id}\nwithdrawn"))


def encoded(schedule: Schedule) -> list[tuple[int, Stage, tuple[Flag, ...]]]:
    """A schedule as the tables hold it, ready for JSON."""
    return [entry[:] for entry in schedule]


def decoded(rows: Sequence[Sequence[Any]]) -> Schedule:
    """The schedule of `encoded`, read from JSON."""
    return tuple([as_entry((from_us, stage, tuple(flags))) for from_us, stage, flags in rows])


def _same(one: Announced, customer_id: str, entry: StageEntry) -> bool:
    return (one.customer_id, one.entry.from_us, one.entry.stage) == (customer_id, entry.from_us, entry.stage)


def _first(schedule: Schedule, from_us: int) -> int | None:
    """When the first entry that begins at `from_us` or later does."""
    return next_change_us(schedule, from_us - 1)


def _least(ahead: int | None, known: Sequence[int]) -> int | None:
    """The earlier of what lies ahead and what was noted before.

    An appointment is only moved forward: nearly every event puts the next change off, and writing that down each time
    would move the row in the index. The sweeper comes once too early instead.
    """
    if ahead is None:
        return min(known, default=None)
    return min(ahead, *known) if known else ahead
