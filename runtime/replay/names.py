"""Whom and what the records of a partition name, noted in the first step, read in the last.

Most events name whom others before them named. So who was named together is written once, and has a number from then
on: its place among those written since numbering began (again).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import intern
from typing import Any, Final, NamedTuple

import orjson

from customer_timeline.projections.cut_graph import LINKED
from customer_timeline.projections.history_identity import Naming
from customer_timeline.runtime.replay.spool import names_file
from customer_timeline.schemas.decoded import DecodedEvent, Identifier

# So many are numbered before numbering begins again: this bounds the memory of who writes and who reads.
_NUMBERED: Final = 1 << 15

LINKS: Final = "linked"
PARTS: Final = "unlinked"

Who = Sequence[Naming]
"""Named together, the strongest first."""

Row = Sequence[Any]
"""A record: its offset, when its event happened, and the number of whom it names. Where it says more than that one
identifier was seen, its event's id and what it is about follow: ids of things, or LINKS or PARTS, where it is a
decision about the two."""


class Names:
    """Notes of one partition, a batch to a line; a run that goes on with it numbers anew."""

    def __init__(self) -> None:
        # By the identity of the tuple: the codec gives the same one each time. Kept, so that no other takes its place.
        self._numbers: dict[int, tuple[int, Sequence[Identifier]]] = {}
        self._written: list[list[Sequence[str]]] = []
        self._rows: list[Row] = []
        self._anew = True

    def add(self, event: DecodedEvent, offset: int) -> None:
        """Take note of a record that has a say, if it names anybody or anything."""
        decides, things = event.decides, event.things
        who = decides or event.identifiers
        known = self._numbers.get(id(who))
        if known is None:
            if not who and not things:
                return
            known = self._numbers[id(who)] = (len(self._numbers), who)
            self._written.append([one[:2] for one in who])
        if decides is None and not things and len(who) <= 1:  # most
            if who:
                self._rows.append((offset, event.occurred_us, known[0]))
            return
        about: object = [one[0] for one in things]
        if decides is not None:
            about = LINKS if event.type == LINKED else PARTS
        self._rows.append((offset, event.occurred_us, known[0], event.event_id, about))

    def line(self) -> bytes:
        """What was noted since the last call."""
        if not self._rows:
            return b""
        line = orjson.dumps((self._anew, self._written, self._rows), option=orjson.OPT_APPEND_NEWLINE)
        self._anew = len(self._numbers) >= _NUMBERED
        if self._anew:
            self._numbers.clear()
        self._written.clear()
        self._rows.clear()
        return line


class Numbered(NamedTuple):
    """Rows of a partition, and whom the numbers in them mean. The same list of `who` grows until it begins again."""

    who: list[Who]
    rows: Sequence[Row]


def numbered(folder: Path, partition: int) -> Iterator[Numbered]:
    """What was noted of a partition, in the order of the log."""
    who: list[Who] = []
    with names_file(folder, partition).open("rb") as lines:
        for line in lines:
            anew, more, rows = orjson.loads(line)
            if anew:
                who = []
            # Named in many lines: one text for all.
            who.extend([(intern(one), intern(kind)) for one, kind in some] for some in more)
            yield Numbered(who, rows)
