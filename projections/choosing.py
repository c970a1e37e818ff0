"""Which record is the event, decided for a whole log at once and in little memory. Pure; `runtime.replay` calls it.

The rule is `records.Standing`. What ranks a record is kept as one entry of fixed size, so that millions lie in plain
files; the content's hash, which costs more than everything else, is asked for only where revision and time are equal
and the bytes are not.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from customer_timeline.projections.records import Standing

_FORM: Final = struct.Struct("<16s16sqqqqiIB")
ENTRY_BYTES: Final = _FORM.size
_EVENT_ID: Final = struct.Struct(f"<16s{ENTRY_BYTES - 16}x")
pack_entry: Final = _FORM.pack
"""`Entry` without the partition, as bytes. Bound once: it is called for every record."""

NOWHERE: Final = -1


class Entry(NamedTuple):
    """One record of the log. `start` and `length`: where its bytes lie in the spool; NOWHERE where they do not, because
    it is not asked for."""

    partition: int
    event_id: bytes
    record_hash: bytes
    offset: int
    recorded_us: int
    occurred_us: int
    start: int
    revision: int
    length: int
    retracts: int

    @property
    def place(self) -> tuple[int, int]:
        """Partition and offset."""
        return self.partition, self.offset


class Choice(NamedTuple):
    """What was decided about the records of one event that has several.

    `recorded_us`: when the log first took in what the winner says, in whatever spelling.
    """

    winner: Entry
    losers: tuple[Entry, ...]
    recorded_us: int


ContentHashes = Callable[[Iterable[Entry]], dict[tuple[int, int], bytes]]


def entries_of(data: bytes | memoryview, partition: int) -> Iterator[Entry]:
    """Entries as they were packed."""
    for fields in _FORM.iter_unpack(data):
        yield Entry(partition, *fields)


def contested(parts: Iterable[tuple[int, bytes]]) -> list[list[Entry]]:
    """The entries of events that have several records, by event. `parts`: partition and packed entries; all records of
    an event must be among them. The common case, one record an event, costs no object."""
    kept = [(partition, data, [event_id for (event_id,) in _EVENT_ID.iter_unpack(data)]) for partition, data in parts]
    counts = Counter(chain.from_iterable(ids for _, _, ids in kept))
    several = {event_id for event_id, count in counts.items() if count > 1}
    groups: defaultdict[bytes, list[Entry]] = defaultdict(list)
    for partition, data, ids in kept:
        for number, event_id in enumerate(ids):
            if event_id in several:
                groups[event_id].append(Entry(partition, *_FORM.unpack_from(data, number * ENTRY_BYTES)))
    return list(groups.values())


def unclear(group: list[Entry]) -> list[Entry]:
    """Those whose contents must be compared to choose: equal in revision and time, best in both, other bytes. Empty
    where the choice is clear without."""
    best = _best(group)
    return [] if _is_one(best) else best


def choose(group: list[Entry], content_hash: dict[tuple[int, int], bytes]) -> Choice:
    """The record that counts. `content_hash` by place, for all that `unclear` names. Independent of the order."""
    best = _best(group)
    if not _is_one(best):
        ranks = {one.place: _standing(one, content_hash[one.place]) for one in best}
        top = _top(ranks.values())
        best = [one for one in best if ranks[one.place] == top]
    # One content told several times: the spelling with the least hash, at the place that the log first took it in.
    winner = min(best, key=lambda one: (one.record_hash, one.recorded_us, one.partition, one.offset))
    losers = tuple(one for one in group if one is not winner)
    return Choice(winner, losers, min(one.recorded_us for one in best))


def _is_one(group: list[Entry]) -> bool:
    """One record delivered several times, which is the usual reason for there being several."""
    first = group[0].record_hash
    return all(one.record_hash == first for one in group)


def _best(group: list[Entry]) -> list[Entry]:
    if _is_one(group):
        return group
    top = _top(_standing(one, b"") for one in group)
    return [one for one in group if _standing(one, b"") == top]


def _standing(entry: Entry, content_hash: bytes) -> Standing:
    return Standing(entry.revision, entry.occurred_us, content_hash)


def _top(standings: Iterable[Standing]) -> Standing:
    found: Standing | None = None
    for one in standings:
        if found is None or one.beats(found):
            found = one
    if found is None:
        raise ValueError("an event has at least one record")
    return found
