"""What is shown of identity: who belongs together, by what, and what was refused. Pure functions of the raw component.

The rules of `identity` are applied again to the facts, not read from what a worker wrote: so the answer is the same as
of any cut, and a decision can be tried before it is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple, Self

from customer_timeline.projections.component import Component, ComponentDecision, ComponentMember, LinkEvidence
from customer_timeline.projections.identity import Pair, Resolution, glues, last_decisions, resolve, unordered
from customer_timeline.schemas.identity_policy import IdentityPolicy

LIMIT = "limit:"


class Tie(NamedTuple):
    """What ties two identifiers: events that name both, an operator's word, or both of these.

    `refused` says why it joins nobody; then `vetoes` are the decisions that part the two customers, and `values` the
    identifiers that the reason is about: those over the limit, the shared ones, those of kinds that never link.
    """

    pair: Pair
    evidence: tuple[LinkEvidence, ...]
    decision: ComponentDecision | None
    refused: str | None = None
    vetoes: tuple[ComponentDecision, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, str, Pair]:
        """By its first event or decision."""
        facts = [(one.occurred_us, one.event_id) for one in (*self.evidence[:1], self.decision) if one is not None]
        return (*min(facts), self.pair)


class Judged(NamedTuple):
    """A decision and what became of it. `counts`: no later one is about the same pair. `refused`: a link that joins
    nobody.
    """

    decision: ComponentDecision
    counts: bool
    refused: str | None


class CustomerIdentity(NamedTuple):
    """One customer: its identifiers, first seen first; what holds them together; what was refused; what was decided."""

    customer_id: str
    members: tuple[ComponentMember, ...]
    ties: tuple[Tie, ...]
    refused: tuple[Tie, ...]
    decisions: tuple[Judged, ...]
    refused_left_out: bool

    @property
    def former_ids(self) -> tuple[str, ...]:
        """The ids of all other members; each still leads here."""
        return tuple(m.identifier_id for m in self.members if m.identifier_id != self.customer_id)


class Resolved(NamedTuple):
    """A component and what the rules make of it."""

    component: Component
    policy: IdentityPolicy
    known: Mapping[str, ComponentMember]
    resolution: Resolution
    customer_of: Mapping[str, str]
    last: Mapping[Pair, ComponentDecision]

    @classmethod
    def of(cls, component: Component, policy: IdentityPolicy) -> Self:
        """Apply the rules."""
        known = {member.identifier_id: member for member in (*component.inside, *component.ends)}
        decisions = [decision.for_resolution for decision in component.decisions]
        resolution = resolve(
            {identifier_id: member.for_resolution for identifier_id, member in known.items()},
            [link.for_resolution for link in component.links],
            decisions,
            policy,
        )
        by_event = {decision.event_id: decision for decision in component.decisions}
        return cls(
            component,
            policy,
            known,
            resolution,
            {member: customer_id for customer_id, members in resolution.customers.items() for member in members},
            {pair: by_event[decision.event_id] for pair, decision in last_decisions(decisions).items()},
        )

    def members_of(self, customer_id: str) -> tuple[ComponentMember, ...]:
        """The identifiers of a customer, first seen first."""
        found = (self.known[i] for i in self.resolution.customers[customer_id])
        return tuple(sorted(found, key=lambda member: member.seen_order))

    def ties(self) -> list[Tie]:
        """Every pair that events or operators tie, by time, with the reason where it joins nobody."""
        bound = {pair: decision for pair, decision in self.last.items() if decision.verdict == "linked"}
        found = []
        for link in self.component.links:
            decision = bound.pop(unordered(link.pair), None)
            found.append(Tie(link.pair, link.evidence, decision, self.resolution.refused.get(link.pair)))
        for pair, decision in bound.items():
            found.append(Tie(pair, (), decision, self.resolution.refused_decisions.get(pair)))
        explain = _Explain(self)
        return sorted((explain(tie) if tie.refused else tie for tie in found), key=lambda tie: tie.order)

    def vetoes(self) -> dict[Pair, list[ComponentDecision]]:
        """The decisions that part two customers, by the two (unordered), in the order in which they were taken."""
        found: defaultdict[Pair, list[ComponentDecision]] = defaultdict(list)
        for pair, decision in self.last.items():
            if decision.verdict == "unlinked":
                a, b = (self.customer_of[end] for end in pair)
                found[unordered((a, b))].append(decision)
        for decisions in found.values():
            decisions.sort(key=lambda decision: (decision.occurred_us, decision.event_id))
        return dict(found)

    def judged(self, decision: ComponentDecision) -> Judged:
        """What became of a decision."""
        pair = unordered(decision.pair)
        counts = self.last[pair].event_id == decision.event_id
        refused = self.resolution.refused_decisions.get(pair) if counts else None
        return Judged(decision, counts, refused)


class _Explain:
    """What stands behind a refusal. Customers only grow while links are taken in their order, so whatever kept two
    sides apart then can be read from the two customers that came out.
    """

    def __init__(self, resolved: Resolved) -> None:
        self._resolved = resolved
        self._vetoes = resolved.vetoes()
        self._by_kind: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for identifier_id, customer_id in resolved.customer_of.items():
            self._by_kind[customer_id, resolved.known[identifier_id].kind].append(identifier_id)

    def __call__(self, tie: Tie) -> Tie:
        resolved, refused = self._resolved, tie.refused or ""
        a, b = (resolved.customer_of[end] for end in tie.pair)
        if refused in ("unlinked", "separated"):
            return tie._replace(vetoes=tuple(self._vetoes.get(unordered((a, b)), ())))
        if refused.startswith(LIMIT):
            kind = refused.removeprefix(LIMIT)
            return tie._replace(values=tuple(sorted(self._by_kind[a, kind] + self._by_kind[b, kind])))
        guilty = (end for end in tie.pair if glues(resolved.known[end].for_resolution, resolved.policy) == refused)
        return tie._replace(values=tuple(guilty))


def customer_identity(resolved: Resolved, identifier_id: str) -> CustomerIdentity:
    """The customer that holds an identifier of the component."""
    customer_id = resolved.customer_of[identifier_id]
    members = resolved.members_of(customer_id)
    theirs = {member.identifier_id for member in members}
    near = [tie for tie in resolved.ties() if not theirs.isdisjoint(tie.pair)]
    decisions = sorted(
        (one for one in resolved.component.decisions if not theirs.isdisjoint(one.pair)),
        key=lambda one: (one.occurred_us, one.event_id),
    )
    return CustomerIdentity(
        customer_id,
        members,
        tuple(tie for tie in near if tie.refused is None),
        tuple(tie for tie in near if tie.refused is not None),
        tuple(resolved.judged(decision) for decision in decisions),
        resolved.component.links_left_out,
    )
