"""Raw components and the events behind them, as `identity.sql` reads them. Called by the reader; never writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import orjson

from customer_timeline.projections.component import (
    Component,
    ComponentDecision,
    ComponentLink,
    ComponentMember,
    LinkEvidence,
)
from customer_timeline.projections.identity import Pair
from customer_timeline.projections.identity_reading import (
    MOST_MEMBERS,
    MOST_OUTER_LINKS,
    ComponentTooLargeError,
    StoredEvent,
)
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.postgres.pool import ReadPool


class ReadComponent(NamedTuple):
    """A component and the projection version of the tables that it was read from."""

    component: Component
    version: str | None


async def read_component(pool: ReadPool, identifier_id: str) -> ReadComponent | None:
    """The raw component of an identifier; None where nobody ever named it. Raises ComponentTooLargeError."""
    rows = await pool.fetch(
        "EXECUTE identity_component (%s, %s, %s)", (identifier_id, MOST_MEMBERS + 1, MOST_OUTER_LINKS + 1)
    )
    if not rows:
        return None
    version, count, members, evidence, decisions = rows[0]
    if count > MOST_MEMBERS:
        raise ComponentTooLargeError
    return ReadComponent(_component(_loaded(members), _loaded(evidence), _loaded(decisions)), version)


class ReadEvents(NamedTuple):
    """Events (None: too many), and the projection version of the tables; None also where there is no event."""

    events: tuple[StoredEvent, ...] | None
    version: str | None


async def read_events_of(pool: ReadPool, identifier_ids: Collection[str], limit: int) -> ReadEvents:
    """The listed events at identifiers and at their things, where they are not more than `limit`."""
    rows = await pool.fetch("EXECUTE events_of (%s::uuid[], %s)", (uuid_array(identifier_ids), limit + 1))
    found = None if len(rows) > limit else tuple(StoredEvent(*row[1:]) for row in rows)
    return ReadEvents(found, rows[0][0] if rows else None)


def _loaded(text: str | None) -> list[Any]:
    return orjson.loads(text) if text else []


def _component(members: Iterable[Any], evidence: Iterable[Any], decisions: Iterable[Any]) -> Component:
    inside: list[ComponentMember] = []
    ends: list[ComponentMember] = []
    for *fields, within in members:
        (inside if within else ends).append(ComponentMember(*fields))
    links, left_out = _within_bounds(_links(evidence), {member.identifier_id for member in inside})
    reached = {end for link in links for end in link.pair}
    decided = [ComponentDecision(event_id, (a, b), *rest) for event_id, a, b, *rest in decisions]
    reached.update(end for decision in decided for end in decision.pair)
    return Component(
        tuple(inside),
        tuple(member for member in ends if member.identifier_id in reached),
        tuple(links),
        tuple(decided),
        left_out,
    )


def _links(evidence: Iterable[Any]) -> list[ComponentLink]:
    by_pair: dict[Pair, list[LinkEvidence]] = {}
    for a, b, *fields in evidence:
        by_pair.setdefault((a, b), []).append(LinkEvidence(*fields))
    return [ComponentLink(pair, tuple(found)) for pair, found in by_pair.items()]


def _within_bounds(links: list[ComponentLink], inside: set[str]) -> tuple[list[ComponentLink], bool]:
    """One more link that leads out was read than is shown: it says that there are more."""
    leading_out = [link for link in links if not inside.issuperset(link.pair)]
    if len(leading_out) <= MOST_OUTER_LINKS:
        return links, False
    surplus = max(leading_out, key=lambda link: (link.evidence[0], link.pair))
    return [link for link in links if link is not surplus], True
