"""What a batch brings to identity, measured against what this worker remembers. No database here.

A worker remembers identifiers and links it has seen, so that in the steady state an event costs no look-up. What may be
remembered, and what guards it, is the subject of ADR 0005: a customer's `gen` changes whenever a member leaves or
evidence is withdrawn, so what was remembered under the same `gen` still holds once the customer is locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from customer_timeline.projections.evidence import Evidence
from customer_timeline.projections.identity import NEVER, Pair
from customer_timeline.projections.postgres.thing_store import Ownership
from customer_timeline.projections.postgres.timeline_store import Stored
from customer_timeline.schemas.decoded import DecodedEvent, Identifier, to_micros

DECISIONS = {"identity.linked.v1": "linked", "identity.unlinked.v1": "unlinked"}


class Known(NamedTuple):
    """An identifier as last read, and the gen of its customer then.

    All of it is a guess until the customer is locked and has that gen still. Each identifier keeps its own gen: the
    customer's may have been learnt again since, for another.
    """

    kind: str
    customer_id: str
    first_us: int | None
    first_event_id: str | None
    shared: bool
    gen: int = 0  # 0: not read under a customer's lock

    def seen_by(self, occurred_us: int, event_id: str) -> bool:
        """True where a sighting at (occurred_us, event_id) adds nothing."""
        if self.first_us is None or self.first_event_id is None:
            return False
        # Nearly always told by the instants alone; two tuples to compare would be made for every identifier named.
        return self.first_us < occurred_us or (self.first_us == occurred_us and self.first_event_id <= event_id)


class _Bound(NamedTuple):
    gen: int
    least: Evidence


class IdentityMemory:
    """What one worker remembers between batches; emptied when it grows past `limit` or a transaction fails."""

    def __init__(self, limit: int = 400_000) -> None:
        self.identifiers: dict[str, Known] = {}
        self.bounds: dict[Pair, _Bound] = {}
        self._limit = limit

    def clear(self) -> None:
        """Forget everything; the next batch reads again."""
        self.identifiers.clear()
        self.bounds.clear()

    def trim(self) -> None:
        """Keep memory flat: forget everything once there is too much of it."""
        if len(self.identifiers) + len(self.bounds) > self._limit:
            self.clear()

    def forget(self, identifier_ids: Iterable[str]) -> None:
        """Forget identifiers of which another worker changed something."""
        for identifier_id in identifier_ids:
            self.identifiers.pop(identifier_id, None)

    def covers(self, pair: Pair, evidence: Evidence) -> bool:
        """True where `evidence` adds nothing to what is known of the pair, given that its customer's gen holds."""
        bound = self.bounds.get(pair)
        if bound is None:
            return False
        anchor = self.identifiers.get(pair[0])
        if anchor is None or anchor.gen != bound.gen:
            return False
        least = bound.least
        return least.recorded_us <= evidence.recorded_us and (
            least.occurred_us < evidence.occurred_us
            or (least.occurred_us == evidence.occurred_us and least.event_id <= evidence.event_id)
        )

    def remember_bound(self, pair: Pair, gen: int, least: Evidence) -> None:
        """Remember the least evidence of a pair, as long as its anchor's customer keeps this gen."""
        self.bounds[pair] = _Bound(gen, least)


@dataclass(slots=True)
class IdentityWork:
    """What a batch says of identifiers that this worker does not already know.

    `named`: every identifier of the batch that may be new. `sightings`: least sighting of those with news. `evidence`:
    pairs with news. `pairs_lost`: pairs of superseded records, which count for sharing only. `holders`: identifiers
    whose customers take events. `touched`: identifiers whose customers must be locked. `seen_elsewhere`: named, with no
    news, so their customers need no lock unless they prove to be stale. `replacements`: records that took the place of
    others. `withdrawn`: identifiers of both. `decided_pairs`: pairs of decisions that came or went. `tainted`: holders
    of replaced records. `moved`: owners whose customers won or lost events that stood before. `deciding`: identifiers
    about which operators decided, or that were seen with too many others.
    """

    named: dict[str, Identifier] = field(default_factory=dict)
    sightings: dict[str, tuple[int, str]] = field(default_factory=dict)
    evidence: dict[Pair, list[Evidence]] = field(default_factory=dict)
    pairs_lost: set[Pair] = field(default_factory=set)
    holders: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    seen_elsewhere: set[str] = field(default_factory=set)
    replacements: list[DecodedEvent] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    withdrawn_pairs: set[Pair] = field(default_factory=set)
    tainted: set[str] = field(default_factory=set)
    deciding: set[str] = field(default_factory=set)
    decisions: list[DecodedEvent] = field(default_factory=list)
    decisions_gone: list[str] = field(default_factory=list)
    decided_pairs: set[Pair] = field(default_factory=set)
    moved: frozenset[str] = frozenset()

    @property
    def must_refold(self) -> set[str]:
        """Identifiers whose customers lost or exchanged events: their facts are folded again."""
        return self.withdrawn | self.tainted | self.moved

    @property
    def must_decide(self) -> set[str]:
        """Identifiers whose raw components are decided again, whatever the links say."""
        return self.must_refold | self.deciding


def gather(stored: Stored, ownership: Ownership, memory: IdentityMemory) -> IdentityWork:
    """Sort out what of the batch is news. Runs over every event: keep it lean."""
    work = IdentityWork(moved=ownership.moved)
    for event in stored.new:
        _gather_event(event, ownership.owners, memory, work)
    for event in stored.lost:
        _gather_lost(event, work)
    for replacement in stored.replaced:
        _gather_replacement(replacement.before, replacement.event, ownership.owners, work)
    return work


def holder_of(event: DecodedEvent, owners: Mapping[str, str | None]) -> str | None:
    """The identifier whose customer has the event: its anchor, or the owner of the thing that is its anchor."""
    if not event.listed:
        return None
    if event.things and (event.continues_thing or not event.identifiers):
        return owners.get(event.things[0].thing_id)
    return event.identifiers[0].identifier_id if event.identifiers else None


def _gather_event(
    event: DecodedEvent, owners: Mapping[str, str | None], memory: IdentityMemory, work: IdentityWork
) -> None:
    if not event.listed:
        if event.type in DECISIONS:
            _gather_decision(event, work)
        return
    holder = holder_of(event, owners)
    if holder is not None:
        work.holders.add(holder)
    identifiers = event.identifiers
    if not identifiers:
        return
    known_ids = memory.identifiers
    sighting = (event.occurred_us, event.event_id)
    for identifier in identifiers:
        identifier_id = identifier.identifier_id
        known = known_ids.get(identifier_id)
        if known is None:
            work.named[identifier_id] = identifier
        elif known.seen_by(*sighting):
            work.seen_elsewhere.add(identifier_id)
            continue
        least = work.sightings.get(identifier_id)
        if least is None or sighting < least:
            work.sightings[identifier_id] = sighting
    anchor_id = identifiers[0].identifier_id
    work.touched.add(anchor_id)
    if len(identifiers) > 1:
        evidence = Evidence(event.occurred_us, event.event_id, to_micros(event.recorded_at))
        for other in identifiers[1:]:
            pair = (anchor_id, other.identifier_id)
            if not memory.covers(pair, evidence):
                work.evidence.setdefault(pair, []).append(evidence)


def _gather_decision(event: DecodedEvent, work: IdentityWork) -> None:
    work.decisions.append(event)
    _gather_pair(event, work)


def _gather_pair(event: DecodedEvent, work: IdentityWork) -> None:
    for identifier in event.decides or ():
        work.named[identifier.identifier_id] = identifier
        work.deciding.add(identifier.identifier_id)
    if event.decides is not None:
        a, b = event.decides
        work.decided_pairs.add((a.identifier_id, b.identifier_id))


def _pairs(event: DecodedEvent) -> list[Pair]:
    identifiers = event.identifiers
    return [(identifiers[0].identifier_id, other.identifier_id) for other in identifiers[1:]]


def _gather_lost(event: DecodedEvent, work: IdentityWork) -> None:
    for identifier in (*event.identifiers, *(event.decides or ())):
        work.named[identifier.identifier_id] = identifier
        work.touched.add(identifier.identifier_id)
    work.pairs_lost.update(_pairs(event))


def _gather_replacement(
    before: DecodedEvent, event: DecodedEvent, owners: Mapping[str, str | None], work: IdentityWork
) -> None:
    work.replacements.append(event)
    for record in (before, event):
        if record.type in DECISIONS:
            work.decisions_gone.append(record.event_id)
            _gather_pair(record, work)
        if not record.listed:
            continue
        for identifier in record.identifiers:
            work.named[identifier.identifier_id] = identifier
            work.withdrawn.add(identifier.identifier_id)
        work.withdrawn_pairs.update(_pairs(record))
        holder = holder_of(record, owners)
        if holder is not None:
            work.tainted.add(holder)
    if event.type in DECISIONS:
        work.decisions.append(event)


def first_sighting(work: IdentityWork, identifier_id: str) -> tuple[int, str]:
    """Least sighting of a new identifier in this batch; after every other where only a decision or a lost record
    named it.
    """
    return work.sightings.get(identifier_id, (NEVER, identifier_id))
