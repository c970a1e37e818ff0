"""Who is who in what a replay writes: by the rules of the live view, over all that was known, whatever is asked for.

Filters leave facts out: that two purchases are one person's may be said by a call. So for an output that tells persons
the first step notes of every record that has a say whom and what it names, a batch to a line, asked for or
not. Once it is decided which records count, these lines are read, and `HistoryIdentity` says who is who.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.projections.selection import Selection
from customer_timeline.runtime.interrupts import meanwhile
from customer_timeline.runtime.replay.deciding import Decided, Outdone
from customer_timeline.runtime.replay.spool import LINKS, LISTED, names_file
from customer_timeline.schemas.identity_policy import IdentityPolicy

TELLING: Final = frozenset({"parquet", "duckdb", "postgres"})
"""Outputs that tell whose each event is."""


class People(NamedTuple):
    """The person of every id that an event can stand at, and what says so, by which rules."""

    person_of: Mapping[str, str]
    identity: HistoryIdentity
    policy: IdentityPolicy


Persons = Callable[[], People]
"""Waits for it to be worked out."""


def persons_of(folder: Path, decided: Decided, selection: Selection, policy: IdentityPolicy) -> Persons:
    """The persons of what had been recorded, and had happened, by the ends of the cuts.

    Worked out in the background, in this process: the others write meanwhile.
    """
    return meanwhile(lambda: _persons(folder, decided.outdone, selection.occurred_until_us, policy))


def _persons(folder: Path, outdone: Mapping[int, Outdone], until_us: int | None, policy: IdentityPolicy) -> People:
    identity = HistoryIdentity()
    # Millions of small objects, none of them in a cycle: looking for cycles would take half the time.
    gc.disable()
    try:
        for partition, lost in sorted(outdone.items()):
            _gather(identity, folder, partition, lost, until_us)
        return People(identity.customers(policy), identity, policy)
    finally:
        gc.enable()


def _gather(identity: HistoryIdentity, folder: Path, partition: int, lost: Outdone, until_us: int | None) -> None:
    offsets, happened = lost.by_offset()
    next_lost, tell = 0, identity.tell
    for offset, at, event_id, said, who, things in _names(folder, partition):
        while next_lost < len(offsets) and offsets[next_lost] < offset:
            next_lost += 1
        counts = next_lost == len(offsets) or offsets[next_lost] != offset
        if not counts:
            at = happened[next_lost]  # the cut is about the event, so about the record that counts
        if until_us is not None and at >= until_us:
            continue
        # A copy of the record that counts says the same once more, which changes nothing.
        if not counts:
            identity.tell_superseded(at, who, listed=said == LISTED)
        elif said == LISTED:
            tell(at, event_id, who, things)
        else:
            identity.tell_decision(at, event_id, who, linked=said == LINKS)


def _names(folder: Path, partition: int) -> Iterator[Any]:
    """What `reading` noted of a partition, in the order of the log."""
    with names_file(folder, partition).open("rb") as lines:
        for line in lines:
            yield from orjson.loads(line)
