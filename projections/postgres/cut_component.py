"""Reads of one snapshot that put a customer together at a cut: its identifiers, its things, its anchors.

Called by `cut_reader`; every judgement is `projections.component`'s and `projections.things`'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from customer_timeline.projections.component import (
    Component,
    ComponentDecision,
    ComponentLink,
    LinkEvidence,
)
from customer_timeline.projections.cut_graph import CutGraph, Named, pairs_of
from customer_timeline.projections.cuts import Cut, IdentityAt
from customer_timeline.projections.evidence import Evidence
from customer_timeline.projections.identity import NEVER, Pair
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.reading import Member
from customer_timeline.projections.things import named_things, owner_of
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

Fetch = Callable[[str, Sequence[object]], Awaitable[list[tuple[Any, ...]]]]
Sighting = tuple[int, str]  # (occurred_us, event_id)

INFINITY = "infinity"


class Whole(NamedTuple):
    """A customer at a cut: its members, where its events stand, and those that another record stands for today."""

    customer_id: str
    members: tuple[Member, ...]
    anchors: tuple[str, ...]
    restored: tuple[DecodedEvent, ...]


class CutSnapshot:
    """One transaction's reads at one cut."""

    def __init__(self, fetch: Fetch, cut: Cut, codec: Codec, policy: IdentityPolicy) -> None:
        self.fetch = fetch
        self._cut = cut
        self._codec = codec
        self._policy = policy
        self.times = (instant(cut.as_of_us), instant(cut.known_at_us))

    async def whole(self, identifier_id: str, who: IdentityAt) -> Whole | None:
        """The customer that holds an identifier, put together by the facts at the cut or by today's."""
        if who == "current":
            return await self._today(identifier_id)
        component = await self.component(identifier_id)
        if component is None:
            return None
        members = component.mine(component.resolution())
        restored = await self._restored(members)
        sightings = await self._sightings([component.named[i] for i in members], restored)
        if sightings[identifier_id] is None and not component.is_mentioned(identifier_id):
            return None  # nobody had named it yet
        customer_id = min((_when(sightings[i]) or NEVER, i) for i in members)[1]
        return await self._placed(customer_id, [component.named[i] for i in members], sightings, restored, who)

    async def component(self, seed: str) -> CutGraph | None:
        """The raw component around an identifier; None where nobody ever named it."""
        component = CutGraph(seed, self._policy)
        component.learn(await self._named([seed]))
        if seed not in component.named:
            return None
        while ring := component.next_ring():
            await self._mentions(component, ring)
            await self._partners(component)
            looked_at = uuid_array(sorted(i for i in ring if not component.glues_nobody(i)))
            for anchor_id, other_id, *least in await self.fetch(
                "EXECUTE links_at (%s, %s, %s)", (looked_at, *self.times)
            ):
                component.learn_link((anchor_id, other_id), Evidence(*least))
            decided = await self.fetch("EXECUTE decisions_at (%s, %s, %s)", (uuid_array(sorted(ring)), *self.times))
            for event_id, a, b, *rest in decided:
                component.learn_decision(ComponentDecision(event_id, (a, b), *rest))
            for event in await self._restored(ring):
                component.learn_event(event, to_micros(event.recorded_at))
            component.learn(await self._named(component.ends()))
            await self._partners(component)
        return component

    async def identity(self, identifier_id: str) -> Component | None:
        """The raw component around an identifier with all that is shown of it; None where nobody had named it."""
        graph = await self.component(identifier_id)
        if graph is None:
            return None
        restored = await self._restored(graph.named)
        sightings = await self._sightings(graph.named.values(), restored)
        if sightings[identifier_id] is None and not graph.is_mentioned(identifier_id):
            return None
        return graph.shown(sightings, await self._shown_links(graph, restored))

    async def _shown_links(self, graph: CutGraph, restored: Iterable[DecodedEvent]) -> list[ComponentLink]:
        evidence: dict[Pair, list[LinkEvidence]] = {pair: [] for pair in graph.links}
        asked = uuid_array(sorted({pair[0] for pair in graph.links}))
        for a, b, *found in await self.fetch("EXECUTE evidence_at (%s, %s, %s)", (asked, *self.times)):
            if (a, b) in evidence:
                evidence[a, b].append(LinkEvidence(*found))
        for event in restored:
            recorded_us = to_micros(event.recorded_at)
            for pair in pairs_of(event):
                if pair in evidence:
                    found_now = (event.occurred_us, event.event_id, recorded_us, event.source, event.type)
                    evidence[pair].append(LinkEvidence(*found_now))
        return [ComponentLink(pair, tuple(sorted(events))) for pair, events in evidence.items()]

    async def parts(self, anchors: Collection[str]) -> tuple[list[str], list[tuple[str, datetime]]]:
        """What the events that stand at anchors make up, those that were restored left out: the partial states, encoded
        facts of disjoint sets of events, and the events in none of these.
        """
        rows = await self.fetch("EXECUTE parts_of (%s, %s, %s)", (uuid_array(anchors), *self.times))
        return (
            [facts for facts, _, _ in rows if facts is not None],
            [(value, recorded_at) for _, value, recorded_at in rows if value is not None],
        )

    async def events(self, anchors: Collection[str]) -> list[tuple[str, datetime]]:
        """The events that stand at anchors, as stored; those that were restored are not among them."""
        return [
            (value, recorded_at)
            for value, recorded_at in await self.fetch(
                "EXECUTE events_of (%s, %s, %s)", (uuid_array(anchors), *self.times)
            )
        ]

    def at(self, cut: Cut) -> CutSnapshot:
        """Another cut of the same snapshot."""
        return CutSnapshot(self.fetch, cut, self._codec, self._policy)

    # -- whose -----------------------------------------------------------------------------------------------------

    async def _today(self, identifier_id: str) -> Whole | None:
        named = [Named(*row) for row in await self.fetch("EXECUTE members (%s)", (identifier_id,))]
        if not named:
            return None
        members = [one.identifier_id for one in named]
        restored = await self._restored(members)
        sightings = await self._sightings(named, restored)
        return await self._placed(named[0].customer_id, named, sightings, restored, "current")

    async def _placed(
        self,
        customer_id: str,
        named: Iterable[Named],
        sightings: dict[str, Sighting | None],
        restored: Iterable[DecodedEvent],
        who: IdentityAt,
    ) -> Whole:
        members = [Member(one.identifier_id, one.kind, one.value, _when(sightings[one.identifier_id])) for one in named]
        members.sort(key=lambda m: (m.first_seen_us is None, m.first_seen_us or 0, m.identifier_id))
        mine = [member.identifier_id for member in members]
        things = await self._things(mine, restored, who)
        found = {event.event_id: event for event in (*restored, *(await self._restored((), things)))}
        anchors = {*mine, *things}
        return Whole(
            customer_id,
            tuple(members),
            tuple(sorted(anchors)),
            tuple(event for event in found.values() if event.listed and event.anchor_id in anchors),
        )

    # -- identifiers -----------------------------------------------------------------------------------------------

    async def _named(self, identifier_ids: Collection[str]) -> list[Named]:
        if not identifier_ids:
            return []
        rows = await self.fetch("EXECUTE identifiers (%s)", (uuid_array(identifier_ids),))
        return [Named(*row) for row in rows]

    async def _mentions(self, component: CutGraph, ring: Iterable[str]) -> None:
        rows = await self.fetch("EXECUTE superseded_at (%s, %s, %s)", (uuid_array(ring), *self.times))
        for value, recorded_at in rows:
            component.learn_mention(decoded(self._codec, value, recorded_at))

    async def _partners(self, component: CutGraph) -> None:
        asked = component.maybe_shared()
        if not asked:
            return
        # One more than any limit tells.
        limit = 1 + max(kind.share_limit for kind in self._policy.kinds.values())
        rows = await self.fetch("EXECUTE partners_at (%s, %s, %s, %s)", (uuid_array(asked), *self.times, limit))
        for identifier_id, kind, partners in rows:
            component.learn_partners(identifier_id, kind, partners)
        await self._mentions(component, asked)

    async def _sightings(self, named: Iterable[Named], restored: Iterable[DecodedEvent]) -> dict[str, Sighting | None]:
        """The first sighting of each identifier at the cut."""
        named = list(named)
        found: dict[str, list[Sighting]] = {one.identifier_id: [] for one in named}
        if self._cut.known_at_us is None:
            for one in named:
                if one.first_us is not None and one.first_event_id and one.first_us <= self._cut.until_us:
                    found[one.identifier_id].append((one.first_us, one.first_event_id))
        else:
            asked = (uuid_array(found), *self.times)
            for identifier_id, occurred_us, event_id in await self.fetch("EXECUTE sightings_at (%s, %s, %s)", asked):
                found[identifier_id].append((occurred_us, event_id))
        for event in restored:
            for identifier in event.identifiers if event.listed else ():
                if identifier.identifier_id in found:
                    found[identifier.identifier_id].append((event.occurred_us, event.event_id))
        return {identifier_id: min(seen, default=None) for identifier_id, seen in found.items()}

    async def _restored(self, names: Iterable[str], things: Iterable[str] = ()) -> list[DecodedEvent]:
        """The records that counted at the cut of events that another record stands for today."""
        if self._cut.known_at_us is None:
            return []
        rows = await self.fetch(
            "EXECUTE restored_at (%s, %s, %s)", (uuid_array(names), uuid_array(things), self.times[1])
        )
        events = [decoded(self._codec, value, recorded_at) for value, recorded_at in rows]
        return [event for event in events if event.occurred_us <= self._cut.until_us]

    # -- things ----------------------------------------------------------------------------------------------------

    async def _things(self, members: Collection[str], restored: Iterable[DecodedEvent], who: IdentityAt) -> set[str]:
        """The orders, contracts and so on that belong to the members."""
        if who == "current":
            asked = uuid_array(members), self._cut.known_at_us is not None
            return {row[0] for row in await self.fetch("EXECUTE things_now (%s, %s)", asked)}
        if self._cut.known_at_us is None:
            rows = await self.fetch("EXECUTE things_as_of (%s, %s)", (uuid_array(members), self.times[0]))
            return {row[0] for row in rows}
        return await self._things_known(set(members), restored)

    async def _things_known(self, members: set[str], restored: Iterable[DecodedEvent]) -> set[str]:
        """The owners as they were known: worked out again from the events that name the things."""
        rows = await self.fetch("EXECUTE things_named_at (%s, %s, %s)", (uuid_array(members), *self.times))
        wanted = {row[0] for row in rows}
        wanted.update(thing.thing_id for event in restored for thing in event.things)
        events: dict[str, DecodedEvent] = {}
        known: set[str] = set()
        while wanted:
            asked = uuid_array(sorted(wanted))
            naming = await self.fetch("EXECUTE naming_things_at (%s, %s, %s)", (asked, *self.times))
            found = [decoded(self._codec, value, recorded_at) for value, recorded_at in naming]
            found += await self._restored((), wanted)
            events.update({event.event_id: event for event in found})
            known |= wanted
            wanted = {thing.thing_id for event in found for thing in event.things} - known
        rows_of = named_things(events.values())
        return {thing_id for thing_id in rows_of if owner_of(thing_id, rows_of) in members}


def decoded(codec: Codec, value: str, recorded_at: datetime) -> DecodedEvent:
    """A stored event, as the codec would hand it over."""
    return codec.decode(value.encode(), appended_at=recorded_at, recorded_header=recorded_at.isoformat())


def instant(micros: int | None) -> datetime | str:
    """An instant as Postgres takes it; none: later than every other."""
    return INFINITY if micros is None else from_micros(micros)


def _when(sighting: Sighting | None) -> int | None:
    return None if sighting is None else sighting[0]
