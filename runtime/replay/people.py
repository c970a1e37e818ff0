"""Who is who in what a replay writes: by the rules of the live view, over all that was known, whatever is asked for.

Filters leave facts out: that two purchases are one person's may be said by a call. So for an output that tells persons
the first step notes of every record that has a say whom and what it names, asked for or not (`names`). Once it is
decided which records count, these notes are read, and `HistoryIdentity` says who is who.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from customer_timeline.projections.cuts import EVER
from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.projections.selection import Selection
from customer_timeline.runtime.interrupts import meanwhile
from customer_timeline.runtime.replay.deciding import Decided, Outdone
from customer_timeline.runtime.replay.garbage import uncollected
from customer_timeline.runtime.replay.names import LINKS, Who, numbered
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
    with uncollected():
        for partition, lost in sorted(outdone.items()):
            _gather(identity, folder, partition, lost, until_us)
        return People(identity.customers(policy), identity, policy)


def _gather(identity: HistoryIdentity, folder: Path, partition: int, lost: Outdone, until_us: int | None) -> None:
    offsets, happened = lost.by_offset()
    next_lost = 0
    everybody: Sequence[Who] = ()
    least: list[int] = []  # when whom a number means was first told of together
    for who, rows in numbered(folder, partition):
        if who is not everybody:
            everybody, least = who, []
        least.extend([EVER] * (len(who) - len(least)))
        for row in rows:
            offset, number = row[0], row[2]
            while next_lost < len(offsets) and offsets[next_lost] < offset:
                next_lost += 1
            counts = next_lost == len(offsets) or offsets[next_lost] != offset
            # The cut is about the event, so about the record that counts.
            at = row[1] if counts else happened[next_lost]
            if until_us is not None and at >= until_us:
                continue
            event_id, about = row[3:] if len(row) > 3 else ("", ())
            if isinstance(about, str):
                _decided(identity, at, event_id, who[number], about if counts else None)
            elif not counts:
                # A copy of the record that counts says the same once more, which changes nothing.
                identity.tell_superseded(at, who[number], listed=True)
            elif about or at <= least[number]:  # else all of it was told
                least[number] = min(at, least[number])
                identity.tell(at, event_id, who[number], about)


def _decided(identity: HistoryIdentity, at: int, event_id: str, pair: Who, verdict: str | None) -> None:
    if verdict is None:
        identity.tell_superseded(at, pair, listed=False)
    else:
        identity.tell_decision(at, event_id, pair, linked=verdict == LINKS)
