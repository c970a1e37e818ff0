"""Who is who, the slow way: the rules of identity written out over plain dictionaries and read from the specification
only.

The tests compare the product with this model, so it shares no code with the product's identity, and prefers the
obvious to the fast: everything is recomputed from the whole set of facts, nothing is cached, nothing depends on the
order of arrival.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from customer_timeline.schemas.decoded import Identifier, Thing
from customer_timeline.schemas.identity_policy import IdentityPolicy

Pair = tuple[str, str]  # identifier ids: the stronger, the other
When = tuple[int, str]  # occurred_us, event_id: the order of facts


class Seen(NamedTuple):
    """A record that names identifiers and things. `counts` is False where another record of the same event won."""

    event_id: str
    occurred_us: int
    identifiers: tuple[Identifier, ...]
    things: tuple[Thing, ...] = ()
    counts: bool = True


class Decided(NamedTuple):
    """An operator's word on two identifiers."""

    event_id: str
    occurred_us: int
    a: Identifier
    b: Identifier
    verdict: str  # linked, unlinked
    counts: bool = True


@dataclass
class Link:
    """Two identifiers named by one event; `least` is None when no record that counts names the pair any more."""

    least: When | None
    refused: str | None


@dataclass
class Owner:
    """Whose a thing is. `own` is the evidence of the thing itself, `owner_id` what follows from all things."""

    own: tuple[When, str] | None = None
    via: tuple[When, str] | None = None
    owner_id: str | None = None


@dataclass
class Identity:
    """The whole answer: identifiers by customer, links with their fate, things with their owners."""

    identifiers: dict[str, Identifier] = field(default_factory=dict)
    first_seen: dict[str, When] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    links: dict[Pair, Link] = field(default_factory=dict)
    customer_of: dict[str, str] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    things: dict[str, Thing] = field(default_factory=dict)

    def members(self) -> dict[str, set[str]]:
        """Customer id to the identifier ids of its members."""
        found: dict[str, set[str]] = defaultdict(set)
        for identifier_id, customer_id in self.customer_of.items():
            found[customer_id].add(identifier_id)
        return dict(found)

    def customer_of_thing(self, thing_id: str) -> str | None:
        """The customer of the thing's owner; None while it has none."""
        owner = self.owners.get(thing_id)
        return self.customer_of[owner.owner_id] if owner and owner.owner_id else None


def identity_of(seen: Iterable[Seen], decided: Iterable[Decided], policy: IdentityPolicy) -> Identity:
    """Apply layers 1 to 3 and the owners of things to a set of facts; the order of the arguments has no effect."""
    seen, decided = list(seen), list(decided)
    out = Identity()
    for record in seen:
        out.identifiers.update({i.identifier_id: i for i in record.identifiers})
        out.things.update({t.thing_id: t for t in record.things})
    for word in decided:
        out.identifiers.update({i.identifier_id: i for i in (word.a, word.b)})
    out.first_seen = _first_sightings(seen)
    partners = _links(seen, policy, out)
    out.shared = _shared(partners, out.identifiers, policy)
    verdicts = _last_verdicts(decided)
    components = _components(out, verdicts, policy)
    for component in components:
        leader = min(component, key=lambda i: (out.first_seen.get(i, (float("inf"), ""))[0], i))
        out.customer_of.update(dict.fromkeys(component, leader))
    _owners(seen, policy, out)
    return out


def strongest_first(identifiers: Iterable[Identifier], policy: IdentityPolicy) -> list[Identifier]:
    """By rank, greatest first; at equal rank the least identifier_id."""
    return sorted(set(identifiers), key=lambda i: (-rank(i, policy), i.identifier_id))


def rank(identifier: Identifier, policy: IdentityPolicy) -> int:
    """The strength of the identifier's kind."""
    kind = policy.of(identifier.kind)
    if kind is None:
        raise LookupError(f"The codec let the unknown kind {identifier.kind!r} through.")
    return kind.rank


def _first_sightings(seen: list[Seen]) -> dict[str, When]:
    first: dict[str, When] = {}
    for record in seen:
        if record.counts:
            for i in record.identifiers:
                when = (record.occurred_us, record.event_id)
                first[i.identifier_id] = min(first.get(i.identifier_id, when), when)
    return first


def _links(seen: list[Seen], policy: IdentityPolicy, out: Identity) -> set[Pair]:
    """Every pair (strongest, other) that any record ever named, and its least evidence among those that count."""
    for record in seen:
        ordered = strongest_first(record.identifiers, policy)
        for other in ordered[1:]:
            link = out.links.setdefault((ordered[0].identifier_id, other.identifier_id), Link(None, None))
            if record.counts:
                when = (record.occurred_us, record.event_id)
                link.least = when if link.least is None else min(link.least, when)
    return set(out.links)


def _shared(pairs: set[Pair], identifiers: Mapping[str, Identifier], policy: IdentityPolicy) -> set[str]:
    """Layer 1: values seen with more than `share_limit` identifiers of one kind that is stronger than their own."""
    partners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for strong, other in pairs:
        if rank(identifiers[strong], policy) > rank(identifiers[other], policy):
            partners[other, identifiers[strong].kind].add(strong)
    limits = {i: _policy(identifiers[i], policy).share_limit for i in identifiers}
    return {other for (other, _), found in partners.items() if len(found) > limits[other]}


def _policy(identifier: Identifier, policy: IdentityPolicy):  # type: ignore[no-untyped-def]
    found = policy.of(identifier.kind)
    if found is None:
        raise LookupError(identifier.kind)
    return found


def _last_verdicts(decided: list[Decided]) -> dict[frozenset[str], tuple[When, str]]:
    """Layer 2: per unordered pair the last decision that counts."""
    last: dict[frozenset[str], tuple[When, str]] = {}
    for word in decided:
        if word.counts and word.a != word.b:
            pair = frozenset((word.a.identifier_id, word.b.identifier_id))
            mine = ((word.occurred_us, word.event_id), word.verdict)
            last[pair] = max(last.get(pair, mine), mine)
    return last


def _components(
    out: Identity, verdicts: Mapping[frozenset[str], tuple[When, str]], policy: IdentityPolicy
) -> list[set[str]]:
    """Layer 3: join in the order in which things happened, operators first, skipping what must not be."""
    forbidden = [pair for pair, (_, verdict) in verdicts.items() if verdict == "unlinked"]
    component = {i: {i} for i in out.identifiers}
    for link in out.links.values():
        link.refused = None
    todo: list[tuple[int, When, Pair]] = []
    for decided, (when, verdict) in verdicts.items():
        if verdict == "linked":
            low, high = sorted(decided)
            todo.append((0, when, (low, high)))
    for pair, link in out.links.items():
        if link.least is None:
            continue
        link.refused = _standing_refusal(pair, out, verdicts, policy)
        if link.refused is None:
            todo.append((1, link.least, pair))
    for automatic, _, (a, b) in sorted(todo):
        left, right = component[a], component[b]
        if left is right:
            continue
        reason = _refusal(left, right, bool(automatic), forbidden, out.identifiers, policy)
        if reason is None:
            left |= right
            for member in right:
                component[member] = left
        else:
            _mark(out, a, b, bool(automatic), reason)
    return [set(members) for members in {frozenset(c) for c in component.values()}]


def _mark(out: Identity, a: str, b: str, automatic: bool, reason: str) -> None:
    if automatic:
        out.links[a, b].refused = reason


def _standing_refusal(
    pair: Pair, out: Identity, verdicts: Mapping[frozenset[str], tuple[When, str]], policy: IdentityPolicy
) -> str | None:
    """Why layers 1 and 2 leave an automatic link out, whatever else happened."""
    verdict = verdicts.get(frozenset(pair), (None, None))[1]
    if verdict == "linked":
        return None  # the operator's own link stands in its place and binds even a shared value
    # The most certain reason is told: what an operator said, then what the settings say, then what was counted.
    if verdict == "unlinked":
        return "unlinked"
    if any(not _policy(out.identifiers[i], policy).links for i in pair):
        return "never_links"
    return "shared" if pair[0] in out.shared or pair[1] in out.shared else None


def _refusal(
    left: set[str],
    right: set[str],
    automatic: bool,
    forbidden: list[frozenset[str]],
    identifiers: Mapping[str, Identifier],
    policy: IdentityPolicy,
) -> str | None:
    """Why two sides must not be joined; None when they may."""
    for pair in forbidden:
        a, b = pair
        if (a in left and b in right) or (b in left and a in right):
            return "separated"
    if not automatic:
        return None
    too_many = []
    for kind in {identifiers[i].kind for i in left} & {identifiers[i].kind for i in right}:
        rule = policy.of(kind)
        count = sum(identifiers[i].kind == kind for i in left | right)
        if rule is not None and rule.max_per_customer is not None and count > rule.max_per_customer:
            too_many.append((-rule.rank, kind))
    return f"limit:{min(too_many)[1]}" if too_many else None


def _owners(seen: list[Seen], policy: IdentityPolicy, out: Identity) -> None:
    """Whose each thing is: by its own earliest evidence, else whose the thing is that it was named after."""
    out.owners = {thing_id: Owner() for thing_id in out.things}
    for record in seen:
        if not record.counts:
            continue
        when = (record.occurred_us, record.event_id)
        for place, thing in enumerate(record.things):
            owner = out.owners[thing.thing_id]
            if record.identifiers:
                found = (when, strongest_first(record.identifiers, policy)[0].identifier_id)
                owner.own = found if owner.own is None else min(owner.own, found)
            if place > 0:
                behind = (when, record.things[0].thing_id)
                owner.via = behind if owner.via is None else min(owner.via, behind)
    for thing_id, owner in out.owners.items():
        owner.owner_id = _resolve(thing_id, out.owners, ())


def _resolve(thing_id: str, owners: Mapping[str, Owner], trail: tuple[str, ...]) -> str | None:
    owner = owners[thing_id]
    if owner.own is not None:
        return owner.own[1]
    if owner.via is None or thing_id in trail:
        return None
    return _resolve(owner.via[1], owners, (*trail, thing_id))
