"""Identity: which identifiers are one customer. A pure function of the set of facts, so arrival order cannot matter.

Three layers. *Shared* values and kinds that never link glue nobody. *Decisions* of operators cut a pair or bind it.
*The rest* is decided as if the events had come in the order they happened, with the decisions known from the start. See
docs/explanation/identity.md and ADR 0005.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from customer_timeline.schemas.identity_policy import IdentityPolicy

Pair = tuple[str, str]  # (anchor, other): the stronger identifier first; decisions use any fixed order

NEVER = (1 << 63) - 1  # sorts after every instant: an identifier that no event has named


class Member(NamedTuple):
    """An identifier as identity sees it. `first_us` is None where only decisions named it."""

    identifier_id: str
    kind: str
    first_us: int | None
    shared: bool


class Link(NamedTuple):
    """Two identifiers named by one event, with the least evidence by (occurred_us, event_id)."""

    pair: Pair
    occurred_us: int
    event_id: str


class Decision(NamedTuple):
    """What an operator said of two identifiers. The last per pair by (occurred_us, event_id) counts."""

    pair: Pair
    verdict: Literal["linked", "unlinked"]
    occurred_us: int
    event_id: str


class Resolution(NamedTuple):
    """The customers, why links were refused, and the identifiers among which decisions or limits are at work."""

    customers: Mapping[str, tuple[str, ...]]  # customer_id -> identifier_ids, sorted
    refused: Mapping[Pair, str]
    refused_decisions: Mapping[Pair, str]  # links that were decided and join nobody, by unordered pair
    contested: frozenset[str]


class _Side:
    """A growing customer: its members, and how many values of each limited kind they hold.

    Many are alone, and of one kind; so counts are shared, and never changed where they are.
    """

    __slots__ = ("counts", "members")

    def __init__(self, identifier_id: str, counts: Mapping[str, int]) -> None:
        self.members = [identifier_id]
        self.counts = counts


def unordered(pair: Pair) -> Pair:
    """The pair with the least id first: how decisions and forbidden pairs are compared."""
    return pair if pair[0] < pair[1] else (pair[1], pair[0])


def customer_id_of(members: Iterable[Member]) -> str:
    """The identifier seen first names the customer: least (first sighting, identifier_id)."""
    return min((NEVER if m.first_us is None else m.first_us, m.identifier_id) for m in members)[1]


def limit_of(kind: str, policy: IdentityPolicy) -> int | None:
    """How many values of `kind` one customer may hold through automatic links; None: any number."""
    known = policy.of(kind)
    return known.max_per_customer if known else None


def exceeded_limit(left: Mapping[str, int], right: Mapping[str, int], policy: IdentityPolicy) -> str | None:
    """The kind (strongest first, then by name) of which both sides hold values and together too many, if any."""
    violated = [
        kind for kind in left.keys() & right.keys() if left[kind] + right[kind] > (limit_of(kind, policy) or NEVER)
    ]
    if not violated:
        return None
    return min(violated, key=lambda kind: (-_rank(kind, policy), kind))


def glues(member: Member, policy: IdentityPolicy) -> str | None:
    """Why automatic links of this identifier glue nobody (`shared`, `never_links`), or None where they do."""
    known = policy.of(member.kind)
    if known is not None and not known.links:
        return "never_links"
    return "shared" if member.shared else None


def is_shared(kind: str, partners: Mapping[str, int], policy: IdentityPolicy) -> bool:
    """Layer 1: whether a value was seen with too many stronger identifiers. `partners`: how many, of each kind."""
    known = policy.of(kind)
    if known is None:
        return False
    return any(
        count > known.share_limit
        for other, count in partners.items()
        if (stronger := policy.of(other)) is not None and stronger.rank > known.rank
    )


def last_decisions(decisions: Iterable[Decision]) -> dict[Pair, Decision]:
    """The decision that counts per unordered pair: the last by (occurred_us, event_id)."""
    last: dict[Pair, Decision] = {}
    for decision in decisions:
        pair = unordered(decision.pair)
        known = last.get(pair)
        if known is None or (decision.occurred_us, decision.event_id) > (known.occurred_us, known.event_id):
            last[pair] = decision
    return last


def standing_links(
    members: Mapping[str, Member], links: Iterable[Link], last: Mapping[Pair, Decision], policy: IdentityPolicy
) -> tuple[list[tuple[int, int, str, Pair]], dict[Pair, str]]:
    """Layers 1 and 2: the links left standing in the order of layer 3, and the reasons of those that are not.

    A standing link is (0 for an operator's or 1 for automatic, occurred_us, event_id, pair).
    """
    standing: list[tuple[int, int, str, Pair]] = []
    refused: dict[Pair, str] = {}
    reasons = {m.identifier_id: reason for m in members.values() if (reason := glues(m, policy))}  # of few
    for link in links:
        pair = link.pair
        decided = last.get(unordered(pair)) if last else None
        if decided is not None:
            if decided.verdict == "unlinked":
                refused[pair] = "unlinked"
            continue  # a bound pair stands once, as the operator's link
        found = [reasons[end] for end in pair if end in reasons] if reasons else None
        if found:
            refused[pair] = min(found)
        else:
            standing.append((1, link.occurred_us, link.event_id, pair))
    standing.extend(
        (0, decided.occurred_us, decided.event_id, pair)
        for pair, decided in last.items()
        if decided.verdict == "linked"
    )
    return sorted(standing), refused


def resolve(
    members: Mapping[str, Member],
    links: Sequence[Link],
    decisions: Iterable[Decision],
    policy: IdentityPolicy,
) -> Resolution:
    """Divide `members` into customers by the three layers.

    `members` must be closed: every end of a link or decision is among them. Any superset of raw components gives the
    same answer for each of them.
    """
    last = last_decisions(decisions)
    standing, refused = standing_links(members, links, last, policy)
    refused_operator: dict[Pair, str] = {}
    forbidden = _partners(pair for pair, decided in last.items() if decided.verdict == "unlinked")
    kinds = {m.kind for m in members.values()}
    counts: dict[str, dict[str, int]] = {kind: {kind: 1} if limit_of(kind, policy) else {} for kind in kinds}
    sides = {m.identifier_id: _Side(m.identifier_id, counts[m.kind]) for m in members.values()}
    for automatic, _, _, pair in standing:
        left, right = sides[pair[0]], sides[pair[1]]
        if left is right:
            continue
        reason = _separated(left, right, forbidden)
        if reason is None and automatic:
            kind = exceeded_limit(left.counts, right.counts, policy)
            reason = f"limit:{kind}" if kind else None
        if reason is None:
            _merge(sides, left, right)
        elif automatic:
            refused[pair] = reason
        else:
            refused_operator[pair] = reason
    for link in links:
        operator_reason = refused_operator.get(unordered(link.pair))
        if operator_reason:
            refused[link.pair] = operator_reason
    touched = {end for pair in last for end in pair} | {
        end for pair, reason in refused.items() if reason == "separated" or reason.startswith("limit:") for end in pair
    }
    contested = _beside(touched, members, (pair for _, _, _, pair in standing)) if touched else frozenset()
    return Resolution(_named(sides, members), refused, refused_operator, contested)


def _beside(touched: Iterable[str], members: Iterable[str], standing: Iterable[Pair]) -> frozenset[str]:
    """All in the raw components of those touched."""
    raw = {identifier_id: identifier_id for identifier_id in members}
    for pair in standing:
        _join_raw(raw, pair)
    roots = {_root(raw, end) for end in touched}
    return frozenset(i for i in members if _root(raw, i) in roots)


def _named(sides: Mapping[str, _Side], members: Mapping[str, Member]) -> dict[str, tuple[str, ...]]:
    customers: dict[str, tuple[str, ...]] = {}
    for side in {id(side): side for side in sides.values()}.values():
        customer_id = customer_id_of(members[identifier_id] for identifier_id in side.members)
        customers[customer_id] = tuple(sorted(side.members))
    return customers


def _rank(kind: str, policy: IdentityPolicy) -> int:
    known = policy.of(kind)
    return known.rank if known else 0


def _partners(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    partners: dict[str, set[str]] = {}
    for a, b in pairs:
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    return partners


def _separated(left: _Side, right: _Side, forbidden: Mapping[str, set[str]]) -> str | None:
    if not forbidden:
        return None
    small, large = (left, right) if len(left.members) <= len(right.members) else (right, left)
    others: set[str] | None = None
    for identifier_id in small.members:
        partners = forbidden.get(identifier_id)
        if partners:
            others = others if others is not None else set(large.members)
            if partners & others:
                return "separated"
    return None


def _merge(sides: dict[str, _Side], left: _Side, right: _Side) -> None:
    if len(left.members) < len(right.members):
        left, right = right, left
    left.members.extend(right.members)
    if right.counts:
        more = {kind: left.counts.get(kind, 0) + count for kind, count in right.counts.items()}
        left.counts = {**left.counts, **more}
    for identifier_id in right.members:
        sides[identifier_id] = left


def _root(raw: dict[str, str], identifier_id: str) -> str:
    while raw[identifier_id] != identifier_id:
        raw[identifier_id] = raw[raw[identifier_id]]
        identifier_id = raw[identifier_id]
    return identifier_id


def _join_raw(raw: dict[str, str], pair: Pair) -> None:
    left, right = _root(raw, pair[0]), _root(raw, pair[1])
    if left != right:
        raw[max(left, right)] = min(left, right)
