"""Components for tests of what is shown of identity: short names, times in seconds, no deployment."""

from __future__ import annotations

from customer_timeline.projections.component import (
    Component,
    ComponentDecision,
    ComponentLink,
    ComponentMember,
    LinkEvidence,
)
from customer_timeline.projections.identity import unordered
from customer_timeline.projections.identity_view import Resolved
from customer_timeline.schemas.identity_policy import IdentityPolicy, KindPolicy

POLICY = IdentityPolicy(
    kinds={
        "member": KindPolicy(rank=90, max_per_customer=1),
        "email": KindPolicy(rank=50, share_limit=2),
        "phone": KindPolicy(rank=40, share_limit=2),
        "device": KindPolicy(rank=20, links=False),
    }
)
SECOND = 1_000_000


def link(text: str, at: int, *more: int) -> ComponentLink:
    """`member:m email:ann` at 1 s, and named again at later times; events are called e<time>."""
    a, b = text.split()
    times = (at, *more)
    evidence = tuple(LinkEvidence(t * SECOND, f"e{t}", t * SECOND, "/shop", "page.viewed.v1") for t in times)
    return ComponentLink((a, b), evidence)


def linked(text: str, at: int) -> ComponentDecision:
    """An operator linked the two; the event is called d<time>."""
    a, b = text.split()
    return ComponentDecision(f"d{at}", unordered((a, b)), "linked", at * SECOND, at * SECOND, "asked", "op-1")


def unlinked(text: str, at: int) -> ComponentDecision:
    """An operator parted the two."""
    return linked(text, at)._replace(verdict="unlinked")


def component(*facts: ComponentLink | ComponentDecision, shared: str = "", also: str = "", ends: str = "") -> Component:
    """All of it in one component; identifiers are called by kind and value. `ends` are beyond it."""
    links = tuple(one for one in facts if isinstance(one, ComponentLink))
    decisions = tuple(one for one in facts if isinstance(one, ComponentDecision))
    first: dict[str, tuple[int, str]] = {}
    for one in links:
        for end in one.pair:
            first[end] = min(first.get(end, one.evidence[0][:2]), one.evidence[0][:2])
    pairs = [one.pair for one in links] + [one.pair for one in decisions]
    named = sorted({end for pair in pairs for end in pair} | set(also.split()))
    members = []
    for name in named:
        kind, _, value = name.partition(":")
        first_us, event_id = first.get(name, (None, None))
        members.append(ComponentMember(name, kind, value, first_us, event_id, name in shared.split()))
    return Component(
        tuple(m for m in members if m.identifier_id not in ends.split()),
        tuple(m for m in members if m.identifier_id in ends.split()),
        links,
        decisions,
    )


def resolved(*facts: ComponentLink | ComponentDecision, shared: str = "", also: str = "", ends: str = "") -> Resolved:
    """The same, with the rules applied."""
    return Resolved.of(component(*facts, shared=shared, also=also, ends=ends), POLICY)
