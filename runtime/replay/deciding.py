"""The second step: from the index of all partitions, what of each spool lost. Each process works on one bucket of the
index at a time.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from customer_timeline.projections.choosing import NOWHERE, Choice, Entry, choose, contested, unclear
from customer_timeline.projections.selection import Selection
from customer_timeline.runtime.replay.crew import Crew, hand
from customer_timeline.runtime.replay.spool import Holes, Lost, entries_in, read_note, values_file


class Outdone:
    """Records of a partition that lost to one that says something else: they still tell who was named with whom.

    Sixteen bytes each, for there may be many.
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found = array("q")

    def add(self, loser: Entry, winner: Entry) -> None:
        """Take note of a loser, in the spool or not."""
        self._found.extend((loser.offset, winner.occurred_us))

    def merge(self, other: Outdone) -> None:
        """Add what was found in another bucket."""
        self._found.extend(other._found)

    def by_offset(self) -> tuple[array[int], array[int]]:
        """Offsets of those that lost, ascending, and when their events happened by the records that count."""
        found = sorted(zip(self._found[::2], self._found[1::2], strict=True))
        return array("q", (offset for offset, _ in found)), array("q", (at for _, at in found))


@dataclass
class Decided:
    """What lost, by partition; and of how many records that is, and how many events were taken back."""

    holes: dict[int, Holes]
    outdone: dict[int, Outdone]
    superseded: int = 0
    retracted: int = 0


def decide(crew: Crew, folder: Path, partitions: Iterable[int], buckets: int, selection: Selection) -> Decided:
    """Choose among the records of every event that has several."""
    numbers = list(partitions)
    whole = _Bucket.of(numbers)
    tasks = [(folder, numbers, selection, bucket, buckets) for bucket in range(buckets)]
    for part in crew.each(_decide, tasks):
        for number in numbers:
            whole.lost[number].merge(part.lost[number])
            whole.outdone[number].merge(part.outdone[number])
        whole.superseded += part.superseded
        whole.retracted += part.retracted
    holes = {number: found.holes() for number, found in whole.lost.items()}
    return Decided(holes, whole.outdone, whole.superseded, whole.retracted)


@dataclass
class _Bucket:
    lost: dict[int, Lost]
    outdone: dict[int, Outdone]
    superseded: int = 0
    retracted: int = 0

    @classmethod
    def of(cls, partitions: Iterable[int]) -> Self:
        numbers = list(partitions)
        return cls({number: Lost() for number in numbers}, {number: Outdone() for number in numbers})


def _decide(folder: Path, partitions: Sequence[int], selection: Selection, bucket: int, buckets: int) -> _Bucket:
    decided = _Bucket.of(partitions)
    groups = contested((number, entries_in(folder, number, bucket, buckets)) for number in partitions)
    hashes = Contents(folder).hashes(entry for group in groups for entry in unclear(group))
    for group in groups:
        choice = choose(group, hashes)
        decided.superseded += len(choice.losers)
        decided.retracted += choice.winner.retracts
        _settle(choice, selection, decided.lost)
        for loser in choice.losers:
            if loser.record_hash != choice.winner.record_hash:
                decided.outdone[loser.partition].add(loser, choice.winner)
    return decided


def _settle(choice: Choice, selection: Selection, lost: Mapping[int, Lost]) -> None:
    winner = choice.winner
    out = choice.losers
    if winner.retracts or not selection.recorded_within(choice.recorded_us):
        out = (*choice.losers, winner)
    elif choice.recorded_us < winner.recorded_us:
        lost[winner.partition].recorded(winner, choice.recorded_us)
    for entry in out:
        if entry.start != NOWHERE:
            lost[entry.partition].add(entry)


class Contents:
    """The canonical content of records, from the spool where they are in it, else from the log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hashes(self, entries: Iterable[Entry]) -> dict[tuple[int, int], bytes]:
        """The hash of each entry's content, by its place."""
        wanted: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            wanted[entry.partition].append(entry)
        found: dict[tuple[int, int], bytes] = {}
        for partition, some in wanted.items():
            with values_file(self._folder, partition).open("rb") as values:
                for entry in sorted(some, key=lambda one: one.offset):
                    if entry.start == NOWHERE:
                        value = self._from_log(entry)
                    else:
                        values.seek(entry.start)
                        value = values.read(entry.length - 1)
                    found[entry.place] = hand().codec.canonical_hash(value)
        return found

    def _from_log(self, entry: Entry) -> bytes:
        for batch in hand().reader.read(entry.partition, entry.offset, entry.offset + 1):
            return batch[0].value or b""
        raise LookupError(f"the record at {entry.place} is no longer in the log")


def events_left(folder: Path, decided: Decided) -> int:
    """How many events go to the output."""
    notes = [read_note(folder, number) for number in decided.holes]
    return sum(note.events for note in notes if note) - sum(len(holes.starts) for holes in decided.holes.values())
