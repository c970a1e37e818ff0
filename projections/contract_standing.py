"""Where contracts stand: when one was running, and when all of them were over. Derived from facts and a calendar.

A contract runs from the local midnight of `starts_on` to the one after `ends_on`, unless an event ends it earlier. One
that has not begun is neither running nor over. What is known at an instant comes from the events until then alone: a
signature that dates a contract back changes nothing about the time before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final, NamedTuple

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.contracts import UNKNOWN, ContractFacts, Terms, terms_after
from customer_timeline.projections.intervals import NEVER, Interval, extend
from customer_timeline.schemas.decoded import EPOCH

_EPOCH_ORDINAL: Final = EPOCH.toordinal()


class AllOver(NamedTuple):
    """From `from_us` until `until_us` it was known that every contract is over, the last one since `last_end_us`."""

    from_us: int
    until_us: int
    last_end_us: int


class Standing(NamedTuple):
    """Over all contracts: `known_us` first event of any, `signed_us` all signatures; both ascending where lists."""

    known_us: int
    signed_us: list[int]
    running: list[Interval]
    all_over: list[AllOver]


NO_CONTRACT: Final = Standing(NEVER, [], [], [])


def runs_from_us(terms: Terms, calendar: BusinessCalendar) -> int:
    """When the contract starts; NEVER where only its end is known."""
    if terms.starts_on is not None:
        return calendar.midnight_us(_day(terms.starts_on))
    return NEVER if terms.from_us is None else terms.from_us


def over_from_us(terms: Terms, calendar: BusinessCalendar) -> int:
    """When the contract is over: as it was agreed, or ended before that; NEVER for neither."""
    agreed = NEVER if terms.ends_on is None else calendar.midnight_us(_day(terms.ends_on) + 1)
    return agreed if terms.ended_us is None else min(agreed, terms.ended_us)


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL


class _State(NamedTuple):
    """A contract from `from_us` on: running, over since an instant, or neither."""

    from_us: int
    contract_id: str
    running: bool
    over_since_us: int | None


def standing(contracts: ContractFacts, calendar: BusinessCalendar) -> Standing:
    """Where the contracts stood at every instant, from the first event of one on."""
    if not contracts:
        return NO_CONTRACT
    states = sorted(
        (state for contract_id, events in contracts.items() for state in _states(contract_id, events, calendar)),
        key=lambda state: state.from_us,
    )
    signed = sorted(event[0] for events in contracts.values() for event in events if event[2] == "signed")
    running: set[str] = set()
    over: dict[str, int] = {}
    known: set[str] = set()
    whole = Standing(states[0].from_us, signed, [], [])
    for state, until in zip(states, [*(later.from_us for later in states[1:]), NEVER], strict=True):
        known.add(state.contract_id)
        running.discard(state.contract_id)
        over.pop(state.contract_id, None)
        if state.running:
            running.add(state.contract_id)
        elif state.over_since_us is not None:
            over[state.contract_id] = state.over_since_us
        if state.from_us < until:
            if running:
                extend(whole.running, state.from_us, until)
            elif len(over) == len(known):
                whole.all_over.append(AllOver(state.from_us, until, max(over.values())))
    return whole


def _states(contract_id: str, events: list[list[Any]], calendar: BusinessCalendar) -> Iterator[_State]:
    """The states of one contract, ascending."""
    terms = UNKNOWN
    for event, next_us in zip(events, [*(later[0] for later in events[1:]), NEVER], strict=True):
        terms = terms_after(terms, event)
        at_us: int = event[0]
        starts, over = runs_from_us(terms, calendar), over_from_us(terms, calendar)
        for from_us in sorted({at_us, starts, over}):
            if at_us <= from_us < next_us:
                yield _State(from_us, contract_id, starts <= from_us < over, over if over <= from_us else None)
