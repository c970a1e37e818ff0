"""Who is who in a history that somebody has whole in hand: the rules of `identity` over everything that was told.

For replays and for own code. What the live view keeps in tables (sightings, links with their least evidence, decisions,
things) is gathered here in dictionaries, and the same functions decide. Pure; what was gathered in parts is combined in
any order. Everything is kept with the least instant at which it was told, so what had been told by an earlier one is
a part of it (`as_of`): an answer about the past needs no second look at the events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from sys import intern
from typing import Final, NamedTuple, Self

from customer_timeline.projections.component import Component
from customer_timeline.projections.cut_graph import LINKED
from customer_timeline.projections.cuts import EVER
from customer_timeline.projections.identity import Decision, Link, Member, Pair, Resolution, is_shared, resolve
from customer_timeline.projections.things import least, owner_of, said_of
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy

Named = tuple[str, int | None]
"""An identifier's kind, and when it was first seen; None where only decisions or superseded records named it."""


Naming = tuple[str, str]
"""What an event names somebody by: the identifier's id and kind."""


class NameFact(NamedTuple):
    """An identifier: when an event that counts first named it, and when a decision or a record that lost first did."""

    identifier_id: str
    kind: str
    first_us: int | None
    mentioned_us: int | None


class Told(NamedTuple):
    """What a thing was first named with, by which event. Compares as the `Evidence` of `things` does."""

    occurred_us: int
    event_id: str
    target_id: str


class ThingFact(NamedTuple):
    """What is known of a thing: who owns it, and which thing it follows."""

    owner: Told | None
    via: Told | None


# As the constructors, which are a Python frame each time.
_name: Final[Callable[[tuple[str, str, int | None, int | None]], NameFact]] = partial(tuple.__new__, NameFact)
_link: Final[Callable[[tuple[Pair, int, str]], Link]] = partial(tuple.__new__, Link)
_told: Final[Callable[[tuple[int, str, str]], Told]] = partial(tuple.__new__, Told)
_thing: Final[Callable[[tuple[Told | None, Told | None]], ThingFact]] = partial(tuple.__new__, ThingFact)


class IdentityFacts(NamedTuple):
    """All that a `HistoryIdentity` knows, in rows. `mentions`: pairs that records which lost named together, and since
    when they count for sharing.
    """

    names: Iterable[NameFact]
    links: Iterable[Link]
    mentions: Iterable[tuple[Pair, int]]
    decisions: Iterable[Decision]
    things: Iterable[tuple[str, ThingFact]]


class HistoryIdentity:
    """What has been told of identifiers and things. The accumulator of a fold: mutable, and private to it."""

    __slots__ = ("_decisions", "_known_shared", "_links", "_mentioned", "_named", "_things", "_unseen")

    def __init__(self) -> None:
        self._named: dict[str, Named] = {}
        self._links: dict[Pair, tuple[int, str]] = {}
        self._mentioned: dict[Pair, int] = {}
        self._unseen: dict[str, int] = {}  # few: what decisions and superseded records named, and when first
        self._known_shared: set[str] = set()
        self._decisions: dict[str, Decision] = {}
        self._things: dict[str, ThingFact] = {}

    def add(self, event: DecodedEvent) -> None:
        """Take note of the record that counts of an event; each event once."""
        who = [one[:2] for one in event.identifiers]
        if event.listed:
            self.tell(event.occurred_us, event.event_id, who, [one.thing_id for one in event.things])
        elif event.decides is not None:
            pair = [one[:2] for one in event.decides]
            self.tell_decision(event.occurred_us, event.event_id, pair, linked=event.type == LINKED)

    def add_superseded(self, event: DecodedEvent, happened_us: int) -> None:
        """Take note of a record that lost to another of its event, or whose event was retracted: its identifiers are
        known, and whom they were named with counts for sharing. Nothing else of it does.

        `happened_us`: when the event happened by the record that counts, for that is when it is about.
        """
        who = [one[:2] for one in event.decides or event.identifiers]
        self.tell_superseded(happened_us, who, listed=event.listed)

    def add_component(self, known: Component, *, without: Collection[str] = ()) -> None:
        """Take note of what the views know of identifiers, beyond the events at hand: when they were first seen, what
        links them, which are shared, and what operators decided; but for what the events `without` say.

        The views tell of now: afterwards there is no `as_of`.
        """
        for member in (*known.inside, *known.ends):
            first_us = None if member.first_event_id in without else member.first_us
            self._see(member.identifier_id, member.kind, first_us)
            if member.shared:
                self._known_shared.add(member.identifier_id)
        for pair, evidence in known.links:
            for one in evidence:
                if one.event_id not in without:
                    self._link(pair, (one.occurred_us, one.event_id))
        for decision in known.decisions:
            if decision.event_id not in without:
                self._decisions[decision.event_id] = decision.for_resolution

    def tell(self, occurred_us: int, event_id: str, who: Sequence[Naming], things: Sequence[str]) -> None:
        """`add` for whoever has of a listed event no more than whom it names, strongest first, and which things.

        Replays do this for all of the log.
        """
        for identifier_id, kind in who:
            known = self._named.get(identifier_id)
            # Nearly all were named before, and earlier: they are not worth a call.
            if known is None or known[1] is None or occurred_us < known[1]:
                self._see(identifier_id, kind, occurred_us)
        if len(who) > 1:
            first = who[0][0]
            for other, _ in who[1:]:
                told = self._links.get((first, other))
                if told is None or occurred_us <= told[0]:
                    self._link((first, other), (occurred_us, event_id))
        if things:
            strongest = intern(who[0][0]) if who else None
            for thing_id in things:
                owner, via = said_of(thing_id, things[0], strongest)
                self._own(
                    thing_id,
                    _thing(
                        (
                            _told((occurred_us, event_id, owner)) if owner else None,
                            _told((occurred_us, event_id, via)) if via else None,
                        )
                    ),
                )

    def tell_decision(self, occurred_us: int, event_id: str, pair: Sequence[Naming], *, linked: bool) -> None:
        """`add` for whoever has of a decision no more than its two identifiers, stronger first, and the verdict."""
        self._mention(pair, occurred_us)
        (a, _), (b, _) = pair
        self._decisions[event_id] = Decision((a, b), "linked" if linked else "unlinked", occurred_us, event_id)

    def tell_superseded(self, happened_us: int, who: Sequence[Naming], *, listed: bool) -> None:
        """`add_superseded` for whoever has of the record no more than whom it names; `listed`: not by a decision."""
        self._mention(who, happened_us)
        if listed and len(who) > 1:
            self._count_for_sharing(((who[0][0], other), happened_us) for other, _ in who[1:])

    def combine(self, other: HistoryIdentity) -> None:
        """Add what `other` gathered of other events."""
        for identifier_id, named in other._named.items():
            self._see(identifier_id, *named)
        for pair, evidence in other._links.items():
            self._link(pair, evidence)
        self._known_shared |= other._known_shared
        self._count_for_sharing(other._mentioned.items())
        for identifier_id, at_us in other._unseen.items():
            self._unseen[identifier_id] = min(at_us, self._unseen.get(identifier_id, EVER))
        self._decisions.update(other._decisions)
        for thing_id, fact in other._things.items():
            self._own(thing_id, fact)

    def customers(self, policy: IdentityPolicy) -> dict[str, str]:
        """The customer of every id that an event can stand at: of identifiers, and of things that are somebody's.

        What the live view gives as `customer_id` once it has seen the same records.
        """
        customers = self._resolution(policy).customers  # before all else, for it takes memory that is free afterwards
        found = {one: one for one in self._named}  # whoever was named alone is a customer alone
        for customer_id, ones in customers.items():
            found.update(dict.fromkeys(ones, customer_id))
        for thing_id in self._things:
            owner = owner_of(thing_id, self._things)
            if owner is not None:
                found[thing_id] = found[owner]
        return found

    def as_of(self, until_us: int) -> HistoryIdentity:
        """What had been told by then, that instant included: the same as if no later event had been taken note of."""
        past = HistoryIdentity()
        for identifier_id, (kind, at) in self._named.items():
            if at is not None and at <= until_us:
                past._named[identifier_id] = (kind, at)
            elif self._unseen.get(identifier_id, EVER) <= until_us:
                past._named[identifier_id] = (kind, None)
        past._links = {pair: least for pair, least in self._links.items() if least[0] <= until_us}
        past._mentioned = {pair: at for pair, at in self._mentioned.items() if at <= until_us}
        past._unseen = {one: at for one, at in self._unseen.items() if at <= until_us}
        past._decisions = {one: told for one, told in self._decisions.items() if told.occurred_us <= until_us}
        for thing_id, fact in self._things.items():
            owner, via = _by_then(fact.owner, until_us), _by_then(fact.via, until_us)
            if owner or via:
                past._things[thing_id] = ThingFact(owner, via)
        return past

    def facts(self) -> IdentityFacts:
        """All of it in rows, to be stored: in any order, made as they are asked for."""
        unseen = self._unseen.get
        return IdentityFacts(
            (_name((one, kind, first_us, unseen(one))) for one, (kind, first_us) in self._named.items()),
            (_link((pair, at_us, event_id)) for pair, (at_us, event_id) in self._links.items()),
            self._mentioned.items(),
            self._decisions.values(),
            self._things.items(),
        )

    @classmethod
    def of(cls, facts: IdentityFacts) -> Self:
        """What these are the facts of."""
        found = cls()
        for one in facts.names:
            found._named[one.identifier_id] = (one.kind, one.first_us)
            if one.mentioned_us is not None:
                found._unseen[one.identifier_id] = one.mentioned_us
        found._links = {link.pair: (link.occurred_us, link.event_id) for link in facts.links}
        found._mentioned = dict(facts.mentions)
        found._decisions = {one.event_id: one for one in facts.decisions}
        found._things = dict(facts.things)
        return found

    def _resolution(self, policy: IdentityPolicy) -> Resolution:
        """The customers among the identifiers that a link or decision names."""
        decisions = self._decisions.values()
        shared = self._known_shared.union(self._shared(policy))
        ends = {end for pair in chain(self._links, (one.pair for one in decisions)) for end in pair}
        members = {i: Member(i, *self._named[i], i in shared) for i in ends}
        return resolve(members, list(self.facts().links), decisions, policy)

    def _see(self, identifier_id: str, kind: str, at_us: int | None) -> None:
        known = self._named.get(identifier_id)
        if known is None:
            # Named again and again, in pairs too: one text for all of them.
            self._named[intern(identifier_id)] = (intern(kind), at_us)
        elif at_us is not None and (known[1] is None or at_us < known[1]):
            self._named[identifier_id] = (known[0], at_us)

    def _mention(self, who: Iterable[Naming], at_us: int) -> None:
        for identifier_id, kind in who:
            self._named.setdefault(identifier_id, (kind, None))
            self._unseen[identifier_id] = min(at_us, self._unseen.get(identifier_id, EVER))

    def _count_for_sharing(self, pairs: Iterable[tuple[Pair, int]]) -> None:
        for pair, at_us in pairs:
            self._mentioned[pair] = min(at_us, self._mentioned.get(pair, EVER))

    def _link(self, pair: Pair, evidence: tuple[int, str]) -> None:
        known = self._links.get(pair)
        if known is None:
            self._links[(intern(pair[0]), intern(pair[1]))] = evidence
        elif evidence < known:
            self._links[pair] = evidence

    def _own(self, thing_id: str, fact: ThingFact) -> None:
        known = self._things.get(thing_id)
        self._things[thing_id] = (
            fact if known is None else ThingFact(least(known.owner, fact.owner), least(known.via, fact.via))
        )

    def _shared(self, policy: IdentityPolicy) -> Iterator[str]:
        """Values that glue nobody, because too many were named with them. Most were named with few, so count first."""
        pairs = list(chain(self._links, self._mentioned.keys() - self._links.keys()))
        few = min(kind.share_limit for kind in policy.kinds.values())
        many = {other for other, count in Counter(other for _, other in pairs).items() if count > few}
        partners: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for anchor, other in pairs:
            if other in many:
                partners[other][self._named[anchor][0]] += 1
        return (other for other, found in partners.items() if is_shared(self._named[other][0], found, policy))


def _by_then(told: Told | None, until_us: int) -> Told | None:
    return told if told is not None and told.occurred_us <= until_us else None
