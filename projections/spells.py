"""Spells of life: signs of life less than 48 hours apart, joined into one spell from the first to the last of them.

Called by the fold of activity, read by the rules of silence. The set answers one question exactly, for every t: how
long has the customer been silent, if it is 48 hours or more? Nothing else of single signs is kept, so ten years of
daily life are one record. Two sets merge by union, touching spells join, and the order of events does not matter: a
stretch of 48 hours without a sign lies between two spells, whichever events came first.

Packing (`projections.packing`): one record of 18 bytes a spell, big-endian, oldest first, 24 characters of base64:

    64 bits  first instant  microseconds since 1970-01-01T00:00Z
    64 bits  last instant   the same
    16 bits  zero

The zeros are worth their place: with two whole integers in it, a record is read in a quarter of the time.
"""

from __future__ import annotations

from binascii import a2b_base64
from struct import Struct
from typing import Final

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.packing import SPLICED_RECORDS, position, text_of

EMPTY: Final = ""

# Silence shorter than this is not told apart, so no rule may ask for less: two days, as a local day can last 27 hours.
QUIET_DAYS: Final = 2
QUIET_US: Final = QUIET_DAYS * DAY_US

Spell = tuple[int, int]
"""First and last instant, microseconds since 1970-01-01T00:00Z."""

_RECORD = 24  # characters
_INSTANTS = Struct(">QQxx")


def _text(first_us: int, last_us: int) -> str:
    return text_of(_INSTANTS.pack(first_us, last_us))


def _at(packed: str, index: int) -> Spell:
    return _INSTANTS.unpack(a2b_base64(packed[index * _RECORD : index * _RECORD + _RECORD]))


def count(packed: str) -> int:
    """How many spells the set holds."""
    return len(packed) // _RECORD


def unpack(packed: str) -> list[Spell]:
    """All spells, oldest first; at least 48 hours lie between the end of one and the start of the next."""
    return list(_INSTANTS.iter_unpack(a2b_base64(packed)))


def since(packed: str, us: int) -> list[Spell]:
    """The spells that begin after an instant, oldest first, and before them the last that begins by it, if any does."""
    if not packed:
        return []
    # Nearly every question is about the last spell.
    last = _at(packed, count(packed) - 1)
    if last[0] <= us:
        return [last]
    begun = position(packed, _RECORD, _INSTANTS.pack(us + 1, 0))
    return unpack(packed[max(begun - 1, 0) * _RECORD :])


def with_sign(packed: str, us: int) -> str:
    """The set with one more sign of life."""
    return _with_spell(packed, us, us)


def _with_spell(packed: str, first_us: int, last_us: int) -> str:
    """The set with one more spell, joined with all those that it touches."""
    if not packed:
        return _text(first_us, last_us)
    # Nearly every sign continues the last spell or comes after it.
    first, last = _INSTANTS.unpack(a2b_base64(packed[-_RECORD:]))
    if first_us < first:
        return _spliced(packed, first_us, last_us)
    if last_us <= last:
        return packed
    if first_us - last < QUIET_US:
        return packed[:-_RECORD] + _text(first, last_us)
    return packed + _text(first_us, last_us)


def _spliced(packed: str, first_us: int, last_us: int) -> str:
    start = position(packed, _RECORD, _INSTANTS.pack(first_us, 0))
    if start:
        last = _at(packed, start - 1)[1]
        if last_us <= last:
            return packed
        if first_us - last < QUIET_US:
            start -= 1
    stop = start
    while stop < count(packed):
        first, last = _at(packed, stop)
        if first - last_us >= QUIET_US:
            break
        first_us, last_us = min(first, first_us), max(last, last_us)
        stop += 1
    return packed[: start * _RECORD] + _text(first_us, last_us) + packed[stop * _RECORD :]


def union(packed: str, other: str) -> str:
    """The spells of the signs of both sets."""
    if len(packed) < len(other):
        packed, other = other, packed
    if count(other) <= SPLICED_RECORDS:
        for first, last in unpack(other):
            packed = _with_spell(packed, first, last)
        return packed
    joined: list[Spell] = []
    for first, last in sorted(unpack(packed) + unpack(other)):
        if joined and first - joined[-1][1] < QUIET_US:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return "".join([_text(first, last) for first, last in joined])
