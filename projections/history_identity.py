"""Who is who in a history that somebody has whole in hand: the rules of `identity` over everything that was told.

For replays and for own code. What the live view keeps in tables (sightings, links with their least evidence, decisions,
things) is gathered here in dictionaries, and the same functions decide. Pure; what was gathered in parts is combined in
any order. Everything is kept with the least instant at which it was told, so what had been told by an earlier one is
a part of it (`as_of`): an answer about the past needs no second look at the events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Literal, NamedTuple, Self

from customer_timeline.projections.component import Component
from customer_timeline.projections.cut_graph import LINKED, pairs_of
from customer_timeline.projections.cuts import EVER
from customer_timeline.projections.identity import Decision, Link, Member, Pair, Resolution, is_shared, resolve
from customer_timeline.projections.things import Evidence, ThingRow, combined, named_things, owner_of
from customer_timeline.schemas.decoded import DecodedEvent, Identifier, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

Named = tuple[str, int | None]
"""An identifier's kind, and when it was first seen; None where only decisions or superseded records named it."""


class NameFact(NamedTuple):
    """An identifier: when an event that counts first named it, and when a decision or a record that lost first did."""

    identifier_id: str
    kind: str
    first_us: int | None
    mentioned_us: int | None


class IdentityFacts(NamedTuple):
    """All that a `HistoryIdentity` knows, in rows. `mentions`: pairs that records which lost named together, and since
    when they count for sharing.
    """

    names: Iterable[NameFact]
    links: Iterable[Link]
    mentions: Iterable[tuple[Pair, int]]
    decisions: Iterable[Decision]
    things: Iterable[ThingRow]


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
        self._things: dict[str, ThingRow] = {}

    def add(self, event: DecodedEvent) -> None:
        """Take note of the record that counts of an event; each event once. Replays do this for all of the log."""
        at = event.occurred_us
        if not event.listed:
            self._decide(event)
            return
        known_to_us = self._named
        for identifier_id, kind, _ in event.identifiers:
            known = known_to_us.get(identifier_id)
            if known is None or known[1] is None or at < known[1]:
                known_to_us[identifier_id] = (kind, at)
        if len(event.identifiers) > 1:
            self._link((pair, (at, event.event_id)) for pair in pairs_of(event))
        if event.things:
            self._own(named_things((event,)))

    def add_superseded(self, event: DecodedEvent, happened_us: int) -> None:
        """Take note of a record that lost to another of its event, or whose event was retracted: its identifiers are
        known, and whom they were named with counts for sharing. Nothing else of it does.

        `happened_us`: when the event happened by the record that counts, for that is when it is about.
        """
        self._mention(event.decides or event.identifiers, happened_us)
        self._count_for_sharing((pair, happened_us) for pair in pairs_of(event))

    def add_component(self, known: Component, *, without: Collection[str] = ()) -> None:
        """Take note of what the views know of identifiers, beyond the events at hand: when they were first seen, what
        links them, which are shared, and what operators decided; but for what the events `without` say.

        The views tell of now: afterwards there is no `as_of`.
        """
        for member in (*known.inside, *known.ends):
            first_us = None if member.first_event_id in without else member.first_us
            self._see(member.identifier_id, (member.kind, first_us))
            if member.shared:
                self._known_shared.add(member.identifier_id)
        for pair, evidence in known.links:
            self._link((pair, (one.occurred_us, one.event_id)) for one in evidence if one.event_id not in without)
        for decision in known.decisions:
            if decision.event_id not in without:
                self._decisions[decision.event_id] = decision.for_resolution

    def combine(self, other: HistoryIdentity) -> None:
        """Add what `other` gathered of other events."""
        for identifier_id, named in other._named.items():
            self._see(identifier_id, named)
        self._link(other._links.items())
        self._known_shared |= other._known_shared
        self._count_for_sharing(other._mentioned.items())
        for identifier_id, at_us in other._unseen.items():
            self._unseen[identifier_id] = min(at_us, self._unseen.get(identifier_id, EVER))
        self._decisions.update(other._decisions)
        self._own(other._things)

    def customers(self, policy: IdentityPolicy) -> dict[str, str]:
        """The customer of every id that an event can stand at: of identifiers, and of things that are somebody's.

        What the live view gives as `customer_id` once it has seen the same records.
        """
        found = {one: one for one in self._named}  # whoever was named alone is a customer alone
        for customer_id, ones in self._resolution(policy).customers.items():
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
        for thing_id, row in self._things.items():
            owner, via = _by_then(row.owner, until_us), _by_then(row.via, until_us)
            if owner or via:
                past._things[thing_id] = row._replace(owner=owner, via=via)
        return past

    def facts(self) -> IdentityFacts:
        """All of it in rows, in no particular order, to be stored."""
        return IdentityFacts(
            (NameFact(one, *named, self._unseen.get(one)) for one, named in self._named.items()),
            (Link(pair, *least) for pair, least in self._links.items()),
            self._mentioned.items(),
            self._decisions.values(),
            self._things.values(),
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
        found._things = {row.thing.thing_id: row for row in facts.things}
        return found

    def _resolution(self, policy: IdentityPolicy) -> Resolution:
        """The customers among the identifiers that a link or decision names."""
        decisions = self._decisions.values()
        shared = self._known_shared.union(self._shared(policy))
        ends = {end for pair in chain(self._links, (one.pair for one in decisions)) for end in pair}
        members = {i: Member(i, *self._named[i], i in shared) for i in ends}
        return resolve(members, [Link(pair, *least) for pair, least in self._links.items()], decisions, policy)

    def _see(self, identifier_id: str, named: Named) -> None:
        kind, at = named
        known = self._named.get(identifier_id)
        if known is None or known[1] is None or (at is not None and at < known[1]):
            self._named[identifier_id] = (kind, at)

    def _decide(self, event: DecodedEvent) -> None:
        if event.decides is None:
            return
        a, b = event.decides
        self._mention(event.decides, event.occurred_us)
        verdict: Literal["linked", "unlinked"] = "linked" if event.type == LINKED else "unlinked"
        pair = (a.identifier_id, b.identifier_id)
        self._decisions[event.event_id] = Decision(pair, verdict, event.occurred_us, event.event_id)

    def _mention(self, identifiers: Iterable[Identifier], at_us: int) -> None:
        for identifier_id, kind, _ in identifiers:
            self._named.setdefault(identifier_id, (kind, None))
            self._unseen[identifier_id] = min(at_us, self._unseen.get(identifier_id, EVER))

    def _count_for_sharing(self, pairs: Iterable[tuple[Pair, int]]) -> None:
        for pair, at_us in pairs:
            self._mentioned[pair] = min(at_us, self._mentioned.get(pair, EVER))

    def _link(self, links: Iterable[tuple[Pair, tuple[int, str]]]) -> None:
        known_to_us = self._links
        for pair, evidence in links:
            known = known_to_us.get(pair)
            if known is None or evidence < known:
                known_to_us[pair] = evidence

    def _own(self, rows: Mapping[str, ThingRow]) -> None:
        for thing_id, row in rows.items():
            known = self._things.get(thing_id)
            self._things[thing_id] = row if known is None else combined(known, row)

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


def _by_then(told: Evidence | None, until_us: int) -> Evidence | None:
    return told if told is not None and to_micros(told.occurred_at) <= until_us else None
