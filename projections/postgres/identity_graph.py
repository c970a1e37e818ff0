"""Deciding a raw component again: read it whole from the link tables, resolve it, and say what became of its customers.

The slow path, for where one link cannot be judged alone: operators' decisions, limits, newly shared values, withdrawn
evidence. Runs under the locks of every customer it touches; says so where one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from customer_timeline.projections.identity import (
    Link,
    Member,
    Pair,
    Resolution,
    glues,
    last_decisions,
    resolve,
    standing_links,
    unordered,
)
from customer_timeline.projections.postgres.identity_links import LinkStore, StoredDecision, StoredLink
from customer_timeline.projections.postgres.identity_work import Known
from customer_timeline.schemas.identity_policy import IdentityPolicy

ReadIdentifiers = Callable[[Iterable[str]], Mapping[str, Known]]


@dataclass(slots=True)
class Graph:
    """A union of whole raw components. `inside`: identifiers reached; `known`: them and the ends of links that glue
    nobody.
    """

    inside: set[str] = field(default_factory=set)
    known: dict[str, Known] = field(default_factory=dict)
    links: dict[Pair, StoredLink] = field(default_factory=dict)
    decisions: dict[str, StoredDecision] = field(default_factory=dict)


class GraphReader:
    """Reads raw components from Postgres."""

    def __init__(
        self, links: LinkStore, policy: IdentityPolicy, read_identifiers: ReadIdentifiers, read_members: ReadIdentifiers
    ) -> None:
        self._links = links
        self._policy = policy
        self._read_identifiers = read_identifiers
        self._read_members = read_members

    def read(
        self, seeds: Iterable[str], overrides: Mapping[str, Known], whole: Set[str], pairs: Iterable[Pair]
    ) -> Graph:
        """Everything connected with `seeds` and with their customers' other members.

        `overrides`: what this transaction knows better than the table (claimed identifiers). A value of everybody has a
        link to everybody, each refused for good: of identifiers that glue nobody only the links of pairs that were
        decided are read, those of `pairs`, and all of those in `whole`.
        """
        graph = Graph()
        frontier = set(seeds)
        self._add_links(graph, self._links.links_between(pairs), overrides)
        while frontier:
            self._learn(graph, frontier, overrides)
            # A customer is divided or kept as a whole: its members come along.
            owners = {graph.known[i].customer_id for i in frontier if i not in overrides}
            if owners:
                # What was claimed just now names its customer by a guess: only its links say whether it belongs here.
                members = {i: known for i, known in self._read_members(owners).items() if i not in overrides}
                graph.known.update(members)
                frontier |= members.keys()
            frontier -= graph.inside
            graph.inside |= frontier
            frontier = self._neighbours(graph, frontier, overrides, whole) - graph.inside if frontier else set()
        return graph

    def _learn(self, graph: Graph, identifier_ids: Iterable[str], overrides: Mapping[str, Known]) -> None:
        missing = set()
        for identifier_id in identifier_ids:
            if identifier_id in overrides:
                graph.known[identifier_id] = overrides[identifier_id]
            elif identifier_id not in graph.known:
                missing.add(identifier_id)
        if missing:
            graph.known.update(self._read_identifiers(missing))

    def _neighbours(
        self, graph: Graph, frontier: set[str], overrides: Mapping[str, Known], whole: Set[str]
    ) -> set[str]:
        decisions = self._links.decisions_of(frontier)
        decided = {one.decision.pair for one in decisions}
        members = members_of({i: graph.known[i] for i in frontier})
        glueless = {i for i in frontier - whole if glues(members[i], self._policy)}
        links = self._links.links_of(frontier - glueless)
        links += self._links.links_between(pair for pair in decided if not glueless.isdisjoint(pair))
        self._add_links(graph, links, overrides)
        self._learn(graph, {end for pair in decided for end in pair}, overrides)
        graph.decisions.update({one.event_id: one for one in decisions})
        last = last_decisions(one.decision for one in decisions)
        ends = {end for link in links for end in link.pair} | {end for pair in decided for end in pair}
        with_evidence = [one.link for one in links if one.link is not None]
        near = members_of({i: graph.known[i] for i in ends})
        standing, _ = standing_links(near, with_evidence, last, self._policy)
        return {end for _, _, _, pair in standing for end in pair}

    def _add_links(self, graph: Graph, links: Iterable[StoredLink], overrides: Mapping[str, Known]) -> None:
        found = {link.pair: link for link in links}
        graph.links.update(found)
        self._learn(graph, {end for pair in found for end in pair}, overrides)


def members_of(known: Mapping[str, Known]) -> dict[str, Member]:
    """Identifiers as the resolution takes them."""
    return {i: Member(i, one.kind, one.first_us, one.shared) for i, one in known.items()}


def decide(graph: Graph, links: LinkStore, policy: IdentityPolicy) -> Resolution:
    """Resolve the graph and write why links are refused, where that changed."""
    with_evidence: list[Link] = [one.link for one in graph.links.values() if one.link is not None]
    decisions = [one.decision for one in graph.decisions.values()]
    resolution = resolve(members_of(graph.known), with_evidence, decisions, policy)
    refused = {
        pair: resolution.refused.get(pair) if one.link else None
        for pair, one in graph.links.items()
        if (resolution.refused.get(pair) if one.link else None) != one.refused
    }
    last = last_decisions(decisions)
    refused_decisions = {}
    for event_id, one in graph.decisions.items():
        pair = unordered(one.decision.pair)
        counts = last[pair].event_id == event_id and one.decision.verdict == "linked"
        reason = resolution.refused_decisions.get(pair) if counts else None
        if reason != one.refused:
            refused_decisions[event_id] = reason
    links.refuse(refused, refused_decisions)
    return resolution
