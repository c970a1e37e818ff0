"""The raw component: all that decides who is who around an identifier, as facts.

A reader of the views supplies it, as of now or as of a cut; whatever is shown of identity is worked out from it by
`identity_view`, `identity_why` and `identity_preview`, and by nothing else. Pure types: ids are canonical UUID text,
instants microseconds since 1970-01-01T00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from customer_timeline.projections.identity import Decision, Link, Member, Pair


class ComponentMember(NamedTuple):
    """An identifier. `first_us` and `first_event_id` are None where only decisions or superseded records named it."""

    identifier_id: str
    kind: str
    value: str
    first_us: int | None
    first_event_id: str | None
    shared: bool

    @property
    def for_resolution(self) -> Member:
        """The identifier as the rules see it."""
        return Member(self.identifier_id, self.kind, self.first_us, self.shared)

    @property
    def seen_order(self) -> tuple[bool, int, str]:
        """First seen first; what was never seen comes last; then by id."""
        return (self.first_us is None, self.first_us or 0, self.identifier_id)


class LinkEvidence(NamedTuple):
    """An event that names two identifiers together; `source` and `type` as it was published."""

    occurred_us: int
    event_id: str
    recorded_us: int
    source: str
    type: str


class ComponentLink(NamedTuple):
    """Two identifiers, the stronger first, and the events that named them together, least first: one or more.

    Of many events only those are kept that no other beats on both times, see `evidence`.
    """

    pair: Pair
    evidence: tuple[LinkEvidence, ...]

    @property
    def for_resolution(self) -> Link:
        """The link as the rules see it: by its least evidence."""
        return Link(self.pair, self.evidence[0].occurred_us, self.evidence[0].event_id)


class ComponentDecision(NamedTuple):
    """What an operator said of two identifiers (the lesser id first), and why."""

    event_id: str
    pair: Pair
    verdict: Literal["linked", "unlinked"]
    occurred_us: int
    recorded_us: int
    reason: str
    operator: str

    @property
    def for_resolution(self) -> Decision:
        """The decision as the rules see it."""
        return Decision(self.pair, self.verdict, self.occurred_us, self.event_id)


class Component(NamedTuple):
    """One or more whole raw components.

    `inside`: their identifiers. `ends`: identifiers beyond, to which links or decisions lead that join nobody (shared
    values, kinds that never link, pairs that were parted); what else is known of those is not here. `links` and
    `decisions`: all that name one of `inside`; but of links that leave the component only so many, and then
    `links_left_out` is true.
    """

    inside: tuple[ComponentMember, ...]
    ends: tuple[ComponentMember, ...]
    links: tuple[ComponentLink, ...]
    decisions: tuple[ComponentDecision, ...]
    links_left_out: bool = False


def joined(components: Iterable[Component]) -> Component:
    """Several components as one. Those that overlap must be equal; an end that is inside another is inside."""
    found = tuple(components)
    inside = {member.identifier_id: member for one in found for member in one.inside}
    ends = {member.identifier_id: member for one in found for member in one.ends if member.identifier_id not in inside}
    links = {link.pair: link for one in found for link in one.links}
    decisions = {decision.event_id: decision for one in found for decision in one.decisions}
    return Component(
        tuple(inside[i] for i in sorted(inside)),
        tuple(ends[i] for i in sorted(ends)),
        tuple(links[pair] for pair in sorted(links)),
        tuple(decisions[event_id] for event_id in sorted(decisions)),
        any(one.links_left_out for one in found),
    )
