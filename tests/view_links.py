"""Links and decisions of views that a test states: worked out from its events in plain loops, as rows, as components.

Who is whose customer is stated by the test; which links are refused follows from the product's own rules, which are
held against the reference elsewhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from customer_timeline.projections.component import (
    Component,
    ComponentDecision,
    ComponentLink,
    ComponentMember,
    LinkEvidence,
)
from customer_timeline.projections.evidence import Evidence, front
from customer_timeline.projections.identity import Pair, Resolution, resolve, standing_links, unordered
from customer_timeline.projections.identity import last_decisions as last
from customer_timeline.projections.identity_review import (
    LargeCustomer,
    ReviewFilter,
    ReviewKey,
    ReviewPage,
    ReviewRow,
    SharedValue,
    SkippedLink,
)
from customer_timeline.schemas.decoded import from_micros, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

if TYPE_CHECKING:
    from view_rows import Views

POLICY = IdentityPolicy()
VERDICTS = {"identity.linked.v1": "linked", "identity.unlinked.v1": "unlinked"}


def known_members(views: Views) -> list[ComponentMember]:
    """Every identifier of every customer."""
    first: dict[str, tuple[int, str]] = {}
    for event in (landed.event for landed in views.events if landed.event.listed):
        for identifier in event.identifiers:
            sighting = (event.occurred_us, event.event_id)
            first[identifier.identifier_id] = min(first.get(identifier.identifier_id, sighting), sighting)
    found = []
    for m in (one for members in views.members.values() for one in members):
        first_us, first_event_id = first.get(m.identifier_id, (None, None))
        shared = m.identifier_id in views.shared
        found.append(ComponentMember(m.identifier_id, m.kind, m.value, first_us, first_event_id, shared))
    return found


def links(views: Views) -> list[ComponentLink]:
    """Every pair that an event names, by pair."""
    named: dict[Pair, dict[Evidence, LinkEvidence]] = {}
    for e in (landed.event for landed in views.events if landed.event.listed):
        for other in e.identifiers[1:]:
            one = LinkEvidence(e.occurred_us, e.event_id, to_micros(e.recorded_at), e.source, e.type)
            pair = (e.identifiers[0].identifier_id, other.identifier_id)
            named.setdefault(pair, {})[Evidence(*one[:3])] = one
    return [ComponentLink(pair, tuple(found[one] for one in front(found))) for pair, found in sorted(named.items())]


def decisions(views: Views) -> list[ComponentDecision]:
    """Every decision of an operator, by event id."""
    found = []
    for e in (landed.event for landed in views.events if landed.event.type in VERDICTS):
        assert e.decides is not None
        a, b = e.decides
        words = (e.data.reason, e.data.operator)  # type: ignore[attr-defined]
        pair = unordered((a.identifier_id, b.identifier_id))
        recorded_us = to_micros(e.recorded_at)
        verdict = VERDICTS[e.type]
        found.append(ComponentDecision(e.event_id, pair, verdict, e.occurred_us, recorded_us, *words))  # type: ignore[arg-type]
    return sorted(found)


def resolution(views: Views) -> Resolution:
    """What the rules say of all of it."""
    return resolve(
        {m.identifier_id: m.for_resolution for m in known_members(views)},
        [link.for_resolution for link in links(views)],
        [decision.for_resolution for decision in decisions(views)],
        POLICY,
    )


def component(views: Views, identifier_id: str) -> Component | None:
    """The raw component of an identifier, grown link by link until nothing is added."""
    known = {m.identifier_id: m for m in known_members(views)}
    if identifier_id not in known:
        return None
    decided = last(decision.for_resolution for decision in decisions(views))
    simple = {i: m.for_resolution for i, m in known.items()}
    standing, _ = standing_links(simple, [link.for_resolution for link in links(views)], decided, POLICY)
    inside = {identifier_id}
    while True:
        grown = inside | {end for *_, pair in standing if not inside.isdisjoint(pair) for end in pair}
        if grown == inside:
            break
        inside = grown
    near = [link for link in links(views) if not inside.isdisjoint(link.pair)]
    told = [decision for decision in decisions(views) if not inside.isdisjoint(decision.pair)]
    pairs = [link.pair for link in near] + [decision.pair for decision in told]
    ends = {end for pair in pairs for end in pair} - inside
    return Component(
        tuple(known[i] for i in sorted(inside)), tuple(known[i] for i in sorted(ends)), tuple(near), tuple(told)
    )


def review_page(views: Views, wanted: ReviewFilter, limit: int, after: ReviewKey | None) -> ReviewPage:
    """A page of a list of the review."""
    found = sorted(_review_rows(views, wanted), key=lambda one: one[0])
    if wanted.of == "recent_changes":
        found = [one for one in reversed(found) if after is None or one[0] < after]
    else:
        found = [one for one in found if after is None or one[0] > after]
    return ReviewPage(tuple(row for _, row in found[:limit]), found[limit - 1][0] if len(found) > limit else None)


def _review_rows(views: Views, wanted: ReviewFilter) -> list[tuple[ReviewKey, ReviewRow]]:
    customer_of = {m.identifier_id: c for c, members in views.members.items() for m in members}
    named = {m.identifier_id: (m.identifier_id, m.kind, m.value) for m in known_members(views)}
    if wanted.of == "shared_values":
        return [
            (ReviewKey(i), SharedValue(*named[i], customer_of[i], sum(link.pair[1] == i for link in links(views))))
            for i in views.shared
        ]
    if wanted.of == "refused_links":
        refused = resolution(views).refused
        least = {link.pair: link.evidence[0] for link in links(views)}
        return [
            (ReviewKey(a, b), SkippedLink(named[a], named[b], reason, least[a, b].occurred_us, least[a, b].event_id))
            for (a, b), reason in refused.items()
            if reason == "separated" or reason.startswith("limit:")
        ]
    if wanted.of == "large_customers":
        return [(ReviewKey(c), LargeCustomer(c, len(m))) for c, m in views.members.items() if len(m) >= wanted.size]
    return [(ReviewKey(str(uuid.UUID(int=number))), one) for number, one in enumerate(views.changes, 1)]


def link_rows(views: Views) -> Iterator[tuple[object, ...]]:
    """The table `link`."""
    refused = resolution(views).refused
    for link in links(views):
        least = link.evidence[0]
        times = (from_micros(least.occurred_us), least.event_id, from_micros(least.recorded_us))
        yield (*link.pair, *times, refused.get(link.pair))


def evidence_rows(views: Views) -> Iterator[tuple[object, ...]]:
    """The table `link_evidence`."""
    for link in links(views):
        for one in link.evidence[1:]:
            yield (*link.pair, one.event_id, from_micros(one.occurred_us), from_micros(one.recorded_us))


def decision_rows(views: Views) -> Iterator[tuple[object, ...]]:
    """The table `decision`."""
    for one in decisions(views):
        times = (from_micros(one.occurred_us), from_micros(one.recorded_us))
        yield (one.event_id, *one.pair, one.verdict, *times, one.reason, one.operator)
