"""The stage of a customer as a schedule: what it was, is, and will be if nothing happens. Pure, from facts alone.

`stage_schedule` gives the whole list of entries; it is stored with the customer and replaced as a whole, and a reader
takes the entry at its time. So a stage changes because time passes, no reader sees one that is out of date, and as-of
needs no history. The law, proved by the tests: the entry at t of the schedule of all facts is the entry at t of the
schedule of the facts until t. docs/explanation/stages.md says the rules in words; ADR 0008 says why a schedule.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, NamedTuple

from customer_timeline.projections.calendar import DAY_US, BusinessCalendar
from customer_timeline.projections.conditions import Conditions, conditions
from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.intervals import NEVER, Interval, union
from customer_timeline.projections.stage_rules import StageRules

Stage = Literal["prospect", "new", "active", "loyal", "at_risk", "churned", "won_back"]
Flag = Literal["complaint_open", "contract_over", "dormant", "silent", "unhappy"]


class StageEntry(NamedTuple):
    """From `from_us` (included) until the next entry, the last one for ever. Flags are sorted."""

    from_us: int
    stage: Stage
    flags: tuple[Flag, ...]


# As the constructor, which is a Python frame each time.
as_entry: Final[Callable[[tuple[int, Stage, tuple[Flag, ...]]], StageEntry]] = partial(tuple.__new__, StageEntry)

Schedule = tuple[StageEntry, ...]
"""Ascending; neighbours differ in stage or flags. The first entry begins with the customer's first event."""

_COMPLAINT_OPEN, _CONTRACT_OVER, _DORMANT, _SILENT, _UNHAPPY = (1 << bit for bit in range(5))
_KNOWN, _CHURNED, _WON_BACK, _LOYAL, _NEW = (1 << bit for bit in range(5, 10))
_FLAG_BITS: Final[tuple[tuple[Flag, int], ...]] = (
    ("complaint_open", _COMPLAINT_OPEN),
    ("contract_over", _CONTRACT_OVER),
    ("dormant", _DORMANT),
    ("silent", _SILENT),
    ("unhappy", _UNHAPPY),
)


def _stage_of(holding: int) -> Stage:
    """The first stage whose rule holds."""
    if not holding & _KNOWN:
        return "prospect"
    if holding & _CHURNED:
        return "churned"
    if holding & _WON_BACK:
        return "won_back"
    if holding & (_COMPLAINT_OPEN | _UNHAPPY) or (holding & _SILENT and not holding & _NEW):
        return "at_risk"
    if holding & _LOYAL:
        return "loyal"
    return "new" if holding & _NEW else "active"


_OUTCOMES: Final[tuple[tuple[Stage, tuple[Flag, ...]], ...]] = tuple(
    (_stage_of(holding), tuple(flag for flag, bit in _FLAG_BITS if holding & bit)) for holding in range(1 << 10)
)
"""Stage and flags of every set of conditions, by the sum of their bits."""


def stage_schedule(facts: CustomerFacts, rules: StageRules, calendar: BusinessCalendar) -> Schedule:
    """The schedule of a customer; () without an event."""
    found = conditions(facts, rules, calendar)
    return () if found is None else schedule_of(found, rules)


def schedule_of(found: Conditions, rules: StageRules) -> Schedule:
    """The schedule of conditions from where they begin: one sweep over the instants at which one begins or ends."""
    entries: list[StageEntry] = []
    at_us, holding, current = found.from_us, 0, None
    for edge_us, bit in _edges(found, rules):
        if edge_us > at_us:
            outcome = _OUTCOMES[holding]
            if outcome is not current:
                # Outcomes of other conditions may be equal without being one.
                if current is None or outcome != current:
                    entries.append(as_entry((at_us, *outcome)))
                current = outcome
            if edge_us >= NEVER:
                return tuple(entries)
            at_us = edge_us
        holding ^= bit
    return tuple(entries)


def _edges(found: Conditions, rules: StageRules) -> list[tuple[int, int]]:
    """(instant, condition that begins or ends there), ascending; the last one at NEVER."""
    edges = [(found.known_us, _KNOWN), (found.loyal_us, _LOYAL), (NEVER, 0)]
    new_until_us = found.new_us + rules.new_days * DAY_US
    if found.from_us < new_until_us:
        edges += ((found.new_us, _NEW), (new_until_us, _NEW))
    for bit, intervals in ((_SILENT, found.silent), (_CHURNED, found.churned)):
        for start, until in intervals:
            edges.append((start, bit))
            if until < NEVER:
                edges.append((until, bit))
    # Few customers have any of these.
    if found.dormant or found.unhappy or found.returns or found.complaint_open or found.contract_over:
        for bit, intervals in (
            (_DORMANT, found.dormant),
            (_CONTRACT_OVER, found.contract_over),
            (_COMPLAINT_OPEN, found.complaint_open),
            (_UNHAPPY, found.unhappy),
            (_WON_BACK, _won_back(found, rules)),
        ):
            for start, until in intervals:
                edges += ((start, bit), (until, bit))
    edges.sort()
    return edges


def _won_back(found: Conditions, rules: StageRules) -> list[Interval]:
    return union((back.at_us, back.at_us + rules.won_back_days * DAY_US) for back in found.returns)


def entry_at(schedule: Schedule, at_us: int) -> StageEntry | None:
    """The entry that holds at an instant; None before the first event."""
    index = _begun(schedule, at_us)
    return schedule[index - 1] if index else None


def next_change_us(schedule: Schedule, at_us: int) -> int | None:
    """When the first entry after an instant begins; None where the one at that instant lasts for ever."""
    index = _begun(schedule, at_us)
    return schedule[index].from_us if index < len(schedule) else None


def stage_since_us(schedule: Schedule, at_us: int) -> int | None:
    """Since when the stage of an instant holds: an entry also begins where nothing but a flag changes."""
    index = _begun(schedule, at_us) - 1
    if index < 0:
        return None
    while index and schedule[index - 1].stage == schedule[index].stage:
        index -= 1
    return schedule[index].from_us


def _begun(schedule: Schedule, at_us: int) -> int:
    """How many entries have begun at an instant."""
    # An entry that begins at an instant is greater than the tuple of it, so no key has to be called.
    return bisect_left(schedule, (at_us + 1,))
