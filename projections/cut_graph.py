"""Who is who at a cut in two times: a raw component, learnt ring by ring and divided by the layers of `identity`. Pure.

The reader asks a component which identifiers it still wants to know about (`wanted`), brings what the tables say of
them at the cut, and ends when nothing more is wanted. What was brought is facts; every judgement (shared, refused,
whose) is made here, from `identity`, as the projector makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, cast

from customer_timeline.projections.component import Component, ComponentDecision, ComponentLink, ComponentMember
from customer_timeline.projections.evidence import Evidence
from customer_timeline.projections.identity import (
    Decision,
    Link,
    Member,
    Pair,
    Resolution,
    glues,
    is_shared,
    last_decisions,
    resolve,
    standing_links,
)
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.touchpoint import IdentityDecision

LINKED: Final = "identity.linked.v1"


class Named(NamedTuple):
    """An identifier as the tables know it today. `first_us`: its first sighting by all that is known."""

    identifier_id: str
    kind: str
    value: str
    shared: bool
    customer_id: str
    first_us: int | None
    first_event_id: str | None


class CutGraph:
    """One raw component at a cut, around one identifier, while it is learnt."""

    def __init__(self, seed: str, policy: IdentityPolicy) -> None:
        self.seed = seed
        self.named: dict[str, Named] = {}
        self.links: dict[Pair, Evidence] = {}
        self.decisions: dict[str, ComponentDecision] = {}
        self._policy = policy
        self._inside: set[str] = set()
        self._shared: set[str] = set()
        self._partners: dict[str, dict[str, set[str]]] = {}
        self._asked: set[str] = set()
        self._mentioned: set[str] = set()

    # -- what the reader brings ------------------------------------------------------------------------------------

    def learn(self, named: Iterable[Named]) -> None:
        """What the tables say of identifiers today."""
        self.named.update({one.identifier_id: one for one in named})

    def learn_link(self, pair: Pair, evidence: Evidence) -> None:
        """One event that names a pair at the cut; the least is kept."""
        known = self.links.get(pair)
        self.links[pair] = evidence if known is None else min(known, evidence)

    def learn_decision(self, decision: ComponentDecision) -> None:
        """One decision at the cut."""
        self.decisions[decision.event_id] = decision

    def learn_partners(self, identifier_id: str, kind: str, partners: Iterable[str]) -> None:
        """With which identifiers of one kind a value was seen as the weaker one (all of them, or too many)."""
        self._partners.setdefault(identifier_id, {}).setdefault(kind, set()).update(partners)

    def learn_event(self, event: DecodedEvent, recorded_us: int) -> None:
        """The record that counts at the cut of an event that another record stands for today."""
        if event.decides is not None:
            a, b = (identifier.identifier_id for identifier in event.decides)
            verdict: Literal["linked", "unlinked"] = "linked" if event.type == LINKED else "unlinked"
            said = cast(IdentityDecision, event.data)
            pair = (min(a, b), max(a, b))
            self.learn_decision(
                ComponentDecision(
                    event.event_id, pair, verdict, event.occurred_us, recorded_us, said.reason, said.operator
                )
            )
        for pair in pairs_of(event):
            self.learn_link(pair, Evidence(event.occurred_us, event.event_id, recorded_us))

    def learn_mention(self, event: DecodedEvent) -> None:
        """A record that had lost by the cut: its identifiers are known, and its pairs count for sharing."""
        for identifier in event.decides or event.identifiers:
            self._mentioned.add(identifier.identifier_id)
        kinds = {i.identifier_id: i.kind for i in event.identifiers}
        for anchor_id, other_id in pairs_of(event):
            self.learn_partners(other_id, kinds[anchor_id], (anchor_id,))

    # -- what the reader asks --------------------------------------------------------------------------------------

    @property
    def inside(self) -> frozenset[str]:
        """The identifiers reached so far."""
        return frozenset(self._inside)

    def ends(self) -> set[str]:
        """Ends of links and decisions that are not learnt yet."""
        found = {end for pair in self.links for end in pair}
        found.update(end for decision in self.decisions.values() for end in decision.pair)
        return found - self.named.keys()

    def maybe_shared(self) -> set[str]:
        """Identifiers that are shared today, so maybe at the cut: bring their partners. Each is named once."""
        found = {i for i, one in self.named.items() if one.shared} - self._asked
        self._asked |= found
        return found

    def next_ring(self) -> set[str]:
        """Identifiers to go on with: joined to those inside by links left standing; none: the component is whole."""
        if not self._inside:
            ring = {self.seed}
        else:
            standing, _ = standing_links(
                self._members(), self._as_links(), last_decisions(self._as_decisions()), self._policy
            )
            ring = {end for _, _, _, pair in standing for end in pair} - self._inside
        self._inside |= ring
        return ring

    def glues_nobody(self, identifier_id: str) -> bool:
        """Whether automatic links of an identifier need not be looked at, however many they are."""
        return glues(self._member(self.named[identifier_id]), self._policy) is not None

    def resolution(self) -> Resolution:
        """The customers of the component."""
        return resolve(self._members(), self._as_links(), self._as_decisions(), self._policy)

    def mine(self, resolution: Resolution) -> tuple[str, ...]:
        """The identifiers that are one customer with the seed, sorted."""
        return next(members for members in resolution.customers.values() if self.seed in members)

    def is_mentioned(self, identifier_id: str) -> bool:
        """Whether a decision, or a record that lost, names the identifier at the cut."""
        return identifier_id in self._mentioned or any(
            identifier_id in decision.pair for decision in self.decisions.values()
        )

    # -- inside ----------------------------------------------------------------------------------------------------

    def shown(self, sightings: Mapping[str, tuple[int, str] | None], links: Iterable[ComponentLink]) -> Component:
        """The component as others read it, with first sightings at the cut and the evidence of its links."""

        def member(one: Named) -> ComponentMember:
            first_us, first_event_id = sightings.get(one.identifier_id) or (None, None)
            shared = self._member(one).shared
            return ComponentMember(one.identifier_id, one.kind, one.value, first_us, first_event_id, shared)

        known = [member(self.named[i]) for i in sorted(self.named)]
        return Component(
            tuple(one for one in known if one.identifier_id in self._inside),
            tuple(one for one in known if one.identifier_id not in self._inside),
            tuple(sorted(links)),
            tuple(self.decisions[i] for i in sorted(self.decisions)),
            any(self.glues_nobody(i) for i in self._inside),
        )

    def _as_decisions(self) -> list[Decision]:
        return [decision.for_resolution for decision in self.decisions.values()]

    def _as_links(self) -> list[Link]:
        return [Link(pair, one.occurred_us, one.event_id) for pair, one in self.links.items()]

    def _members(self) -> Mapping[str, Member]:
        return {i: self._member(one) for i, one in self.named.items()}

    def _member(self, one: Named) -> Member:
        # Sightings name the customer and join nobody: the reader asks for them once it knows whose they are.
        return Member(one.identifier_id, one.kind, None, one.shared and self._is_shared(one))

    def _is_shared(self, one: Named) -> bool:
        if one.identifier_id in self._shared:
            return True
        partners = self._partners.get(one.identifier_id, {})
        shared = is_shared(one.kind, {kind: len(found) for kind, found in partners.items()}, self._policy)
        if shared:
            self._shared.add(one.identifier_id)
        return shared


def pairs_of(event: DecodedEvent) -> list[Pair]:
    """The pairs that an event names together: its strongest identifier with each of the others."""
    if not event.listed or len(event.identifiers) < 2:
        return []
    strongest = event.identifiers[0].identifier_id
    return [(strongest, other.identifier_id) for other in event.identifiers[1:]]
