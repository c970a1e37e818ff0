"""What a decision about two identifiers would do, before it is taken. Pure functions of their raw components."""

from __future__ import annotations

from typing import NamedTuple

from customer_timeline.projections.component import Component, ComponentDecision, ComponentMember
from customer_timeline.projections.identity import Pair
from customer_timeline.projections.identity_view import Judged, Resolved, Tie
from customer_timeline.schemas.identity_policy import IdentityPolicy


class Side(NamedTuple):
    """A customer before or after the decision: its id and its identifiers, first seen first."""

    customer_id: str
    members: tuple[ComponentMember, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Its identifiers."""
        return frozenset(member.identifier_id for member in self.members)


class Preview(NamedTuple):
    """`before` and `after`: the customers that hold one of the two, and all others that change.

    `refused`: what held before and would be refused, the pair's own events included; `restored`: what was refused and
    would hold. `judged` says whether the decision counts: one dated later stands, whenever it is recorded.
    """

    before: tuple[Side, ...]
    after: tuple[Side, ...]
    refused: tuple[Tie, ...]
    restored: tuple[Tie, ...]
    judged: Judged

    @property
    def changes(self) -> bool:
        """Whether any customer would be another than before."""
        return {side.ids for side in self.before} != {side.ids for side in self.after}


def preview(component: Component, decision: ComponentDecision, policy: IdentityPolicy) -> Preview:
    """Decide as if `decision` had been recorded. `component` holds the raw components of both its identifiers."""
    before = Resolved.of(component, policy)
    decided = component._replace(decisions=(*component.decisions, decision))
    after = Resolved.of(decided, policy)
    held = {tie.pair: tie for tie in before.ties()}
    holding = {tie.pair: tie for tie in after.ties()}
    return Preview(
        _sides(before, after, decision.pair),
        _sides(after, before, decision.pair),
        tuple(tie for pair, tie in holding.items() if tie.refused and pair in held and not held[pair].refused),
        tuple(tie for pair, tie in holding.items() if not tie.refused and pair in held and held[pair].refused),
        after.judged(decision),
    )


def _sides(one: Resolved, other: Resolved, pair: Pair) -> tuple[Side, ...]:
    """Customers of `one` that hold one of the pair or are not the same in `other`; who was seen first comes first."""
    same = {frozenset(members) for members in other.resolution.customers.values()}
    inside = {member.identifier_id for member in one.component.inside}
    sides = [
        Side(customer_id, one.members_of(customer_id))
        for customer_id, members in one.resolution.customers.items()
        if not inside.isdisjoint(members) and (frozenset(members) not in same or not set(pair).isdisjoint(members))
    ]
    return tuple(sorted(sides, key=lambda side: side.members[0].seen_order))
