"""What a log says of customers, in lists and loops: written from the rules in words, with nothing of the product in it.

Identifiers, events and orders are opaque words to it; times are whole numbers. Everything is worked out again from all
records at every question.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

STRENGTH = {"member_id": 4, "email": 3, "phone": 2, "device_id": 1}
AT_MOST = {"member_id": 1}  # values of a kind that links may give one customer
SHARED_ABOVE = {"email": 2, "phone": 1, "device_id": 1}  # a value seen with more of one stronger kind means nobody
FOR_EVER = 10**18

Name = tuple[str, str]  # identifier, its kind


class Told(NamedTuple):
    """One record: what is told of an event, and when that was recorded."""

    event: str
    revision: int
    at: int
    recorded: int
    kind: str  # viewed, bought, delivered; linked, unlinked; retracted
    names: tuple[Name, ...] = ()
    order: str = ""
    cents: int = 0


class Customer(NamedTuple):
    """Who belongs together, and what is theirs."""

    members: frozenset[str]
    events: frozenset[str]
    purchases: int
    cents: int


def customers(log: list[Told], as_of: int = FOR_EVER, known_at: int = FOR_EVER) -> dict[str, Customer]:
    """Customers by the id of the member seen first, as true at `as_of` and recorded by `known_at`."""
    known = [told for told in log if told.recorded <= known_at]
    last = {told.event: told for told in sorted(known, key=lambda told: told.revision)}
    counting = [told for told in last.values() if told.at <= as_of]
    told_of = [told for told in known if last[told.event].at <= as_of]
    groups = together(told_of, counting)
    holder = {name: group for group in groups for name in group}
    first = first_seen(counting)
    leader = {id(group): min(group, key=lambda name: (first.get(name, FOR_EVER), name)) for group in groups}
    theirs: dict[str, list[Told]] = {leader[id(group)]: [] for group in groups}
    for told in counting:
        name = stands_at(told, counting)
        if name:
            theirs[leader[id(holder[name])]].append(told)
    return {
        leader[id(group)]: Customer(
            frozenset(group),
            frozenset(told.event for told in theirs[leader[id(group)]]),
            sum(told.kind == "bought" for told in theirs[leader[id(group)]]),
            sum(told.cents for told in theirs[leader[id(group)]] if told.kind == "bought"),
        )
        for group in groups
    }


def touches(told: Told) -> bool:
    return told.kind in ("viewed", "bought", "delivered")


def strongest(told: Told) -> Name:
    return min(told.names, key=lambda name: (-STRENGTH[name[1]], name))


def first_seen(counting: list[Told]) -> dict[str, int]:
    seen: dict[str, int] = {}
    for told in counting:
        for name, _ in told.names if touches(told) else ():
            seen[name] = min(seen.get(name, told.at), told.at)
    return seen


def stands_at(told: Told, counting: list[Told]) -> str | None:
    """The identifier at which an event counts: its own, or that of the earliest event that tells whose the order is."""
    if not touches(told):
        return None
    if told.kind == "delivered" or not told.names:
        owners = [(one.at, one.event, strongest(one)) for one in counting if one.order == told.order and one.names]
        return min(owners)[2][0] if owners else None
    return strongest(told)[0]


def shared(told_of: list[Told]) -> set[str]:
    """Whatever became of the records since: who was seen with too many stays so."""
    seen_with: dict[tuple[Name, str], set[Name]] = defaultdict(set)
    for told in filter(touches, told_of):
        for name in told.names:
            if STRENGTH[strongest(told)[1]] > STRENGTH[name[1]]:
                seen_with[name, strongest(told)[1]].add(strongest(told))
    return {name for ((name, kind), _), others in seen_with.items() if len(others) > SHARED_ABOVE[kind]}


def together(told_of: list[Told], counting: list[Told]) -> list[set[str]]:
    """Operators first, then events in the order in which they happened; what must not be joined is not."""
    kinds = {name: kind for told in told_of for name, kind in told.names}
    nobody = shared(told_of)
    verdicts: dict[frozenset[str], str] = {}
    for told in sorted(counting, key=lambda told: (told.at, told.event)):
        if told.kind in ("linked", "unlinked"):
            verdicts[frozenset(name for name, _ in told.names)] = told.kind
    apart = [pair for pair, verdict in verdicts.items() if verdict == "unlinked"]
    groups = [{name} for name in kinds]
    for _, by_event, (a, b) in sorted(_joints(counting, verdicts, nobody)):
        left, right = (next(group for group in groups if name in group) for name in (a, b))
        both = left | right
        torn = any(pair <= both for pair in apart)
        if left is right or torn or (by_event and _too_many(left, right, kinds)):
            continue
        groups = [group for group in groups if group not in (left, right)] + [both]
    return groups


def _joints(
    counting: list[Told], verdicts: dict[frozenset[str], str], nobody: set[str]
) -> list[tuple[tuple[bool, int, str], bool, tuple[str, str]]]:
    """(by an event, when, event), by an event, pair: of every pair the last decision, or each event that names it."""
    found = []
    for told in counting:
        if touches(told) and told.names:
            pairs = [(strongest(told)[0], name) for name, _ in told.names if name != strongest(told)[0]]
            free = [(a, b) for a, b in pairs if frozenset((a, b)) not in verdicts and not {a, b} & nobody]
            found += [((True, told.at, told.event), True, pair) for pair in free]
    for pair, verdict in verdicts.items():
        if verdict == "linked" and len(pair) == 2:
            said = [(t.at, t.event) for t in counting if t.kind == "linked" and {name for name, _ in t.names} == pair]
            a, b = sorted(pair)
            found.append(((False, *max(said)), False, (a, b)))
    return found


def _too_many(left: set[str], right: set[str], kinds: dict[str, str]) -> bool:
    for kind, most in AT_MOST.items():
        counts = [sum(kinds[name] == kind for name in side) for side in (left, right)]
        if all(counts) and sum(counts) > most:
            return True
    return False
