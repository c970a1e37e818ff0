"""Contracts: everything that was signed, renewed and ended, so that the standing of each at t is exact for every t.

`terms_after` says what a contract's terms are once an event is known; the events of a contract are taken in the order
(occurred_at, event_id). What follows from terms at an instant (running, over) is `projections.contract_standing`.
"""

from __future__ import annotations

from bisect import insort
from typing import Any, Literal, NamedTuple

from customer_timeline.projections.instants import rfc3339_or_none
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoints.contract import ContractEnded, ContractRenewed, ContractSigned

Verb = Literal["signed", "renewed", "ended"]

# contract_id -> [occurred_us, event_id, verb, starts_on, ends_on] of each event, ascending; days YYYY-MM-DD or null
ContractFacts = dict[str, list[list[Any]]]


class Terms(NamedTuple):
    """What is known of a contract. `term_*`: the event that set the end; `ended_*`: the one that ended it early.

    The contract starts with the day `starts_on`; where only a renewal is known, with that event's instant `from_us`.
    """

    signed_us: int | None = None
    starts_on: str | None = None
    from_us: int | None = None
    ends_on: str | None = None
    term_us: int | None = None
    term_event_id: str | None = None
    ended_us: int | None = None
    ended_event_id: str | None = None


UNKNOWN = Terms()


def fold_signed(contracts: ContractFacts, event: DecodedEvent, data: ContractSigned) -> None:
    """Keep a signature with the days that were agreed."""
    _keep(contracts, data.contract_id, event, "signed", data.starts_on.isoformat(), data.ends_on.isoformat())


def fold_renewed(contracts: ContractFacts, event: DecodedEvent, data: ContractRenewed) -> None:
    """Keep a renewal with its new end."""
    _keep(contracts, data.contract_id, event, "renewed", None, data.ends_on.isoformat())


def fold_ended(contracts: ContractFacts, event: DecodedEvent, data: ContractEnded) -> None:
    """Keep an end."""
    _keep(contracts, data.contract_id, event, "ended", None, None)


def _keep(
    contracts: ContractFacts,
    contract_id: str,
    event: DecodedEvent,
    verb: Verb,
    starts_on: str | None,
    ends_on: str | None,
) -> None:
    # An event id stands once in a contract, so no comparison ever gets to the days, which may be null.
    insort(contracts.setdefault(contract_id, []), [event.occurred_us, event.event_id, verb, starts_on, ends_on])


def combine(into: ContractFacts, other: ContractFacts) -> None:
    """Add the contract events of other events."""
    for contract_id, theirs in other.items():
        into[contract_id] = sorted(into.get(contract_id, []) + theirs)


def terms_after(terms: Terms, event: list[Any]) -> Terms:
    """The terms once one more event is known: a signature and a renewal also undo an earlier end."""
    at_us, event_id, verb, starts_on, ends_on = event
    if verb == "ended":
        return terms._replace(ended_us=at_us, ended_event_id=event_id) if terms.ended_us is None else terms
    if verb == "signed":
        return Terms(at_us, starts_on, None, ends_on, at_us, event_id)
    from_us = at_us if terms.starts_on is None and terms.from_us is None else terms.from_us
    return Terms(terms.signed_us, terms.starts_on, from_us, ends_on, at_us, event_id)


def describe(contracts: ContractFacts) -> list[dict[str, Any]]:
    """What is known of each contract, by id; `ended_at` only where an event ended it."""
    shown = []
    for contract_id, events in sorted(contracts.items()):
        terms = UNKNOWN
        for event in events:
            terms = terms_after(terms, event)
        shown.append(
            {
                "contract_id": contract_id,
                "signed_at": rfc3339_or_none(terms.signed_us),
                "starts_on": terms.starts_on,
                "ends_on": terms.ends_on,
                "ended_at": rfc3339_or_none(terms.ended_us),
            }
        )
    return shown
