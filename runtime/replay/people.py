"""Who is who in what a replay writes: by the rules of the live view, over all that was known, whatever is asked for.

Filters leave facts out: that two purchases are one person's may be said by a call. So for an output that tells persons
the first step notes of every record that has a say whom and what it names, a line each, asked for or not. Once it is
decided which records count, these lines are read, and `HistoryIdentity` says who is who.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from sys import intern
from typing import Any, Final, NamedTuple

import orjson

from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.projections.selection import Selection
from customer_timeline.runtime.replay.deciding import Decided, Outdone
from customer_timeline.runtime.replay.spool import names_file
from customer_timeline.schemas.decoded import DecodedEvent, Identifier, Thing, from_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

TELLING: Final = frozenset({"parquet", "duckdb", "postgres"})
"""Outputs that tell whose each event is."""

# As the constructors, which are a Python frame each time.
_event: Final[Callable[[tuple[Any, ...]], DecodedEvent]] = partial(tuple.__new__, DecodedEvent)
_identifier: Final[Callable[[tuple[str, str, str]], Identifier]] = partial(tuple.__new__, Identifier)


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
    pool = ThreadPoolExecutor(1, "persons")
    found = pool.submit(_persons, folder, decided.outdone, selection.occurred_until_us, policy)
    pool.shutdown(wait=False)
    return found.result


def _persons(folder: Path, outdone: Mapping[int, Outdone], until_us: int | None, policy: IdentityPolicy) -> People:
    identity = HistoryIdentity()
    # Millions of small objects, none of them in a cycle: looking for cycles would take half the time.
    gc.disable()
    try:
        for partition, lost in sorted(outdone.items()):
            _gather(identity, folder, partition, lost.by_offset(), until_us)
        return People(identity.customers(policy), identity, policy)
    finally:
        gc.enable()


def _gather(
    identity: HistoryIdentity, folder: Path, partition: int, lost: Mapping[int, int], until_us: int | None
) -> None:
    for offset, event in _names(folder, partition):
        happened_us = lost.get(offset)
        if until_us is not None and (event.occurred_us if happened_us is None else happened_us) >= until_us:
            continue
        if happened_us is None:
            identity.add(event)  # a copy of the record that counts says the same once more, which changes nothing
        else:
            identity.add_superseded(event, happened_us)


def _names(folder: Path, partition: int) -> Iterator[tuple[int, DecodedEvent]]:
    """What `reading` noted of a partition: offsets, and events of which all is left out that identity does not ask."""
    nothing: Any = None
    with names_file(folder, partition).open("rb") as lines:
        for line in lines:
            offset, event_id, type_name, occurred_us, listed, named, things = orjson.loads(line)
            # Most are named again and again: one text for all of them takes a third less memory.
            who = tuple([_identifier((intern(one), intern(kind), "")) for one, kind in named])
            owned = tuple([Thing(one, kind, "") for one, kind in things])
            occurred_at = from_micros(occurred_us) if owned else nothing
            yield (
                offset,
                _event(
                    (
                        event_id,
                        type_name,
                        "",
                        "",
                        occurred_at,
                        occurred_us,
                        nothing,
                        0,
                        "system",
                        False,
                        None,
                        who if listed else (),
                        owned,
                        False,
                        listed,
                        (),
                        nothing,
                        b"",
                        None if listed else who,
                    )
                ),
            )
