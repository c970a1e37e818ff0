"""Identity as answers: who belongs together and by what, and why two identifiers are one customer or not.

Called by the routes and by the command line. Worked out from the raw component by the pure functions of `projections`;
lists that could be long are capped, and the answer says how much it left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

import orjson

from customer_timeline.api.answers import Answer, content_hash
from customer_timeline.projections.component import (
    Component,
    ComponentDecision,
    ComponentMember,
    LinkEvidence,
    joined,
)
from customer_timeline.projections.identity_view import Judged, Resolved, Tie, customer_identity
from customer_timeline.projections.identity_why import Why, why
from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.identity_policy import IdentityPolicy

MOST_IDENTIFIERS: Final = 1_000
MOST_LINKS: Final = 1_000
MOST_REFUSED: Final = 200
MOST_DECISIONS: Final = 200
MOST_EVIDENCE: Final = 10
MOST_VALUES: Final = 20

# Two components are two reads. Where a merge came between, both are read again.
_READS: Final = 3


class ComponentReader(Protocol):
    """Where raw components are read: as they are, or as they were at a cut."""

    async def identity(self, identifier_id: str) -> Component | None:
        """The raw component that holds the identifier; None where nobody had named it."""
        ...


class UnknownIdentifierError(CustomerTimelineError):
    """Nobody ever named it, or no event that was applied yet. `name`: which of those asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"No event named the identifier {name}, or none that was applied yet.")


class NotOfThisCustomerError(CustomerTimelineError):
    """A question about two identifiers of others."""

    def __init__(self) -> None:
        super().__init__("Neither a nor b is an identifier of this customer.")


async def identity_answer(reader: ComponentReader, identifier_id: str, policy: IdentityPolicy) -> Answer | None:
    """The identity of the customer that holds an identifier; None where nobody ever named it."""
    component = await reader.identity(identifier_id)
    if component is None:
        return None
    resolved = Resolved.of(component, policy)
    shown = customer_identity(resolved, identifier_id)
    return _answer(
        {
            "customer_id": shown.customer_id,
            "former_ids": shown.former_ids[:MOST_IDENTIFIERS],
            "identifiers": [_member(one) for one in shown.members[:MOST_IDENTIFIERS]],
            "links": [_tie(one, resolved) for one in shown.ties[:MOST_LINKS]],
            "refused_links": [_tie(one, resolved) for one in shown.refused[:MOST_REFUSED]],
            "decisions": [_judged(one, resolved) for one in shown.decisions[:MOST_DECISIONS]],
            "left_out": {
                "identifiers": max(0, len(shown.members) - MOST_IDENTIFIERS),
                "links": max(0, len(shown.ties) - MOST_LINKS),
                "refused_links": max(0, len(shown.refused) - MOST_REFUSED),
                "decisions": max(0, len(shown.decisions) - MOST_DECISIONS),
                "uncounted_links": shown.refused_left_out,
            },
        }
    )


async def why_answer(reader: ComponentReader, ref: str, a: str, b: str, policy: IdentityPolicy) -> Answer:
    """Why `a` and `b` are one customer, or what keeps them apart; one of them must be of the customer of `ref`.

    All are identifier ids. Raises UnknownIdentifierError and NotOfThisCustomerError.
    """
    resolved = Resolved.of(await around(reader, {"a": a, "b": b}), policy)
    if resolved.customer_of.get(ref) not in (resolved.customer_of[a], resolved.customer_of[b]):
        raise NotOfThisCustomerError
    found = why(resolved, a, b)
    return _answer(
        {
            "a": _end(a, resolved),
            "b": _end(b, resolved),
            "together": found.together,
            "chain": _chain(found, resolved),
            "kept_apart_by": [_decision(one) for one in found.vetoes[:MOST_DECISIONS]],
            "left_out": {
                "chain": max(0, len(found.chain) - MOST_LINKS),
                "kept_apart_by": max(0, len(found.vetoes) - MOST_DECISIONS),
            },
        }
    )


async def around(
    reader: ComponentReader,
    named: Mapping[str, str],
    *,
    unseen: Mapping[str, ComponentMember] = MappingProxyType({}),
    reads: int = _READS,
) -> Component:
    """The raw components of identifiers, as one. `named`: id by what it is called in UnknownIdentifierError.

    Those in `unseen` (by id) may be unknown: then they stand alone.
    """
    components: list[Component] = []
    for name, identifier_id in named.items():
        if any(_holds(one, identifier_id) for one in components):
            continue
        component = await reader.identity(identifier_id)
        if component is None and identifier_id in unseen:
            component = Component((unseen[identifier_id],), (), (), ())
        if component is None:
            raise UnknownIdentifierError(name)
        if reads > 1 and any(_holds(component, m.identifier_id) for one in components for m in one.inside):
            return await around(reader, named, unseen=unseen, reads=reads - 1)
        components.append(component)
    return joined(components)


def _holds(component: Component, identifier_id: str) -> bool:
    return any(member.identifier_id == identifier_id for member in component.inside)


def _answer(content: dict[str, Any]) -> Answer:
    body = orjson.dumps({**content, "cut": None})
    return Answer(body, content_hash(body))


def _chain(found: Why, resolved: Resolved) -> list[dict[str, Any]]:
    """Each link with `a` nearer to where the chain begins."""
    shown, here = [], found.a
    for tie in found.chain[:MOST_LINKS]:
        a, b = tie.pair if tie.pair[0] == here else tie.pair[::-1]
        shown.append({**_tie(tie, resolved), "a": _name(a, resolved), "b": _name(b, resolved)})
        here = b
    return shown


def _member(member: ComponentMember) -> dict[str, Any]:
    return {
        "identifier_id": member.identifier_id,
        "kind": member.kind,
        "value": member.value,
        "first_seen_at": rfc3339_or_none(member.first_us),
        "first_event_id": member.first_event_id,
        "shared": member.shared,
    }


def _name(identifier_id: str, resolved: Resolved) -> dict[str, str]:
    member = resolved.known[identifier_id]
    return {"identifier_id": identifier_id, "kind": member.kind, "value": member.value}


def _end(identifier_id: str, resolved: Resolved) -> dict[str, str]:
    return {**_name(identifier_id, resolved), "customer_id": resolved.customer_of[identifier_id]}


def _tie(tie: Tie, resolved: Resolved) -> dict[str, Any]:
    return {
        "a": _name(tie.pair[0], resolved),
        "b": _name(tie.pair[1], resolved),
        "evidence": [_evidence(one) for one in tie.evidence[:MOST_EVIDENCE]],
        "evidence_left_out": max(0, len(tie.evidence) - MOST_EVIDENCE),
        "decision": tie.decision and _decision(tie.decision),
        "refused": tie.refused and _refusal(tie, resolved),
    }


def _refusal(tie: Tie, resolved: Resolved) -> dict[str, Any]:
    return {
        "reason": tie.refused,
        "decisions": [_decision(one) for one in tie.vetoes[:MOST_VALUES]],
        "identifiers": [_name(one, resolved) for one in tie.values[:MOST_VALUES]],
    }


def _evidence(one: LinkEvidence) -> dict[str, Any]:
    return {
        "event_id": one.event_id,
        "occurred_at": rfc3339(one.occurred_us),
        "recorded_at": rfc3339(one.recorded_us),
        "source": one.source,
        "type": one.type,
    }


def _decision(decision: ComponentDecision) -> dict[str, Any]:
    return {
        "event_id": decision.event_id,
        "verdict": decision.verdict,
        "occurred_at": rfc3339(decision.occurred_us),
        "recorded_at": rfc3339(decision.recorded_us),
        "operator": decision.operator,
        "reason": decision.reason,
    }


def _judged(judged: Judged, resolved: Resolved) -> dict[str, Any]:
    a, b = judged.decision.pair
    return {
        **_decision(judged.decision),
        "a": _name(a, resolved),
        "b": _name(b, resolved),
        "counts": judged.counts,
        "refused": judged.refused,
    }
