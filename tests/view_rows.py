"""Rows of the views without a worker: customers as a test says they are, put into the tables or kept in memory.

What the projector would work out (whose an event is) is stated by the test; the facts are folded by the real projection
from events read by the real codec.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extras import execute_values
from reference.log_model import Record
from view_links import decision_rows, evidence_rows, known_members, link_rows

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterDecision,
    DeadLetterState,
    DeadLetterSummary,
)
from customer_timeline.projections.identity_review import IdentityChange
from customer_timeline.projections.lifecycle import Schedule, entry_at, next_change_us, stage_schedule
from customer_timeline.projections.progress import PartitionProgress
from customer_timeline.projections.reading import Member
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

SECRET = b"a secret of the tests only"
SCHEMA = "customer_timeline"
SOURCE = "https://shop.example.com"
CODEC = Codec(IdentityPolicy(), SECRET, extra_channels=frozenset({"pigeon"}))
PROJECTION = CustomerProjection(BusinessCalendar("UTC"))
VERSION = "customer-1-test"

Identified = tuple[str, str]  # kind, value as a channel wrote it


def identifier_id(kind: str, value: str) -> str:
    """The id that the deployment of the tests gives to an identifier."""
    found = CODEC.space.normalise(kind, value)
    if isinstance(found, str):
        raise TypeError(f"{kind} is no usable identifier: {found}")
    return found.identifier_id


def thing_id(kind: str, value: str) -> str:
    """The id of a thing."""
    return CODEC.space.thing(kind, value).thing_id


def event(
    number: int,
    type_: str,
    at: str,
    data: Mapping[str, Any],
    identifiers: Sequence[Identified] = (),
    *,
    channel: str | None = "web",
) -> dict[str, Any]:
    """A CloudEvent; `number` makes its id, `at` is RFC 3339."""
    envelope = {"specversion": "1.0", "id": f"e{number}", "source": SOURCE, "type": type_, "time": at}
    named = {"identifiers": [{"kind": kind, "value": value} for kind, value in identifiers]}
    return {**envelope, "data": {**named, **({"channel": channel} if channel else {}), **data}}


def viewed(number: int, at: str, who: Identified, url: str = "https://shop.example.com/") -> dict[str, Any]:
    """A page view, the least of events."""
    return event(number, "page.viewed.v1", at, {"url": url}, [who])


class Landed(NamedTuple):
    """An event and where its record stands."""

    event: DecodedEvent
    partition: int
    offset: int


class ThingRow(NamedTuple):
    """A thing and to whom it leads."""

    thing_id: str
    kind: str
    value: str
    owner_id: str | None
    via_thing_id: str | None


@dataclass
class Views:
    """What the tables hold. Filled by a test, then inserted or given to a `MemoryReader`."""

    version: str | None = VERSION
    events: list[Landed] = field(default_factory=list)
    members: dict[str, list[Member]] = field(default_factory=dict)  # customer_id -> its identifiers
    facts: dict[str, str] = field(default_factory=dict)
    things: list[ThingRow] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    progress: dict[tuple[str, int], PartitionProgress] = field(default_factory=dict)  # by topic and partition
    rules: StageRules = field(default_factory=StageRules)  # by which the rows were assessed
    assessed_us: dict[str, int] = field(default_factory=dict)  # when a row was last written; else with its last event
    changes: list[IdentityChange] = field(default_factory=list)  # as workers announced them, oldest first
    shared: set[str] = field(default_factory=set)  # identifier ids that are seen with too many others

    def customer(self, events: Iterable[Mapping[str, Any]], *, also: Iterable[Identified] = ()) -> str:
        """A customer with these events (those that name only a thing included); returns its id.

        Its identifiers are those that the events name, and `also`, which only a decision named.
        """
        facts = PROJECTION.initial()
        first: dict[str, tuple[int, str, Member]] = {}
        for given in events:
            decoded = self.land(given)
            PROJECTION.apply(facts, decoded)
            for found in decoded.identifiers if decoded.listed else ():
                sighting = (decoded.occurred_us, found.identifier_id, Member(*found, decoded.occurred_us))
                first[found.identifier_id] = min(first.get(found.identifier_id, sighting), sighting)
        known = [member for _, _, member in sorted(first.values())]
        for kind, value in also:
            named = CODEC.space.normalise(kind, value)
            if isinstance(named, str):
                raise TypeError(f"{kind} is no usable identifier: {named}")
            known.append(Member(*named, None))
        customer_id = known[0].identifier_id
        self.members[customer_id] = known
        self.facts[customer_id] = PROJECTION.encode(facts).decode()
        return customer_id

    def land(self, given: Mapping[str, Any]) -> DecodedEvent:
        """Put an event into the timeline; it was appended a second after it happened."""
        appended_at = datetime.fromisoformat(given["time"]) + timedelta(seconds=1)
        decoded = CODEC.decode(json.dumps(given).encode(), appended_at=appended_at)
        self.events.append(Landed(decoded, 0, len(self.events)))
        return decoded

    def records(self) -> list[Record]:
        """The log that these events stand in."""
        return [Record(e.event.value, e.event.recorded_at, e.partition, e.offset) for e in self.events]

    def thing(self, kind: str, value: str, *, owner: str | None = None, via: Identified | None = None) -> str:
        """A thing with an owner (an identifier_id), or one that came with another thing."""
        found = thing_id(kind, value)
        self.things.append(ThingRow(found, kind, value, owner, thing_id(*via) if via else None))
        return found

    def merge(self, loser: str, winner: str) -> None:
        """Make one customer of two; `winner` was seen first."""
        combined = PROJECTION.decode(self.facts.pop(winner))
        PROJECTION.combine(combined, PROJECTION.decode(self.facts.pop(loser)))
        self.facts[winner] = PROJECTION.encode(combined).decode()
        self.members[winner].extend(self.members.pop(loser))

    def schedule(self, customer_id: str) -> Schedule:
        """The schedule of a customer."""
        return stage_schedule(PROJECTION.decode(self.facts[customer_id]), self.rules, PROJECTION.calendar)

    def dead_letter(
        self,
        number: int,
        reason: str,
        at: str,
        value: bytes | None = b"{",
        error: str = "no",
        type_: str | None = None,
        state: DeadLetterState = "open",
    ) -> None:
        """A dead letter at offset `number` of partition 1; one that is not open was decided about when it came."""
        recorded_us = to_micros(datetime.fromisoformat(at))
        summary = DeadLetterSummary("touchpoints", 1, number, recorded_us, reason, type_, error, state)
        decision = None if state == "open" else DeadLetterDecision("ops", "so", None, recorded_us)
        if state == "healed":
            decision = DeadLetterDecision(None, None, None, recorded_us)
        self.letters.append(DeadLetter(summary, bytes(32), b"key", value, "[]", decision))

    def insert(self, database: str, schema: str = SCHEMA) -> None:
        """Write all of it into the tables of a fresh schema."""
        connection = psycopg2.connect(database, options=f"-c search_path={schema}")
        try:
            with connection, connection.cursor() as cursor:
                self._insert(cursor)
        finally:
            connection.close()

    def _insert(self, cursor: Any) -> None:
        if self.version is not None:
            cursor.execute("INSERT INTO projection_meta VALUES (true, %s, '{}', '2026-01-01Z')", (self.version,))
        anchors = {landed.event.anchor_id for landed in self.events}
        _write(cursor, "timeline", (_timeline_row(landed) for landed in self.events))
        _write(cursor, "identifier", (row for pair in self.members.items() for row in self._identifier_rows(*pair)))
        _write(cursor, "customer", (self._customer_row(customer_id) for customer_id in self.members))
        things = ((*t[:4], None, None, t.via_thing_id, None, None, t.thing_id in anchors) for t in self.things)
        _write(cursor, "thing", things)
        _write(cursor, "link", link_rows(self))
        _write(cursor, "link_evidence", evidence_rows(self))
        _write(cursor, "decision", decision_rows(self))
        changes = (("customer.identity_changed", *_change(change)) for change in self.changes)
        _write(cursor, "outbox (kind, payload, created_at)", changes)
        _write(cursor, "dead_letter", (_letter_row(letter) for letter in self.letters))
        _write(cursor, "dead_letter_decision", _letter_decisions(self.letters))
        _write(cursor, "projector_offset", (_offset_row(*place) for place in self.progress.items()))

    def _identifier_rows(self, customer_id: str, members: Iterable[Member]) -> list[tuple[object, ...]]:
        known = {member.identifier_id: member for member in known_members(self)}
        rows: list[tuple[object, ...]] = [
            (
                m.identifier_id,
                m.kind,
                m.value,
                customer_id,
                None if m.first_seen_us is None else from_micros(m.first_seen_us),
                known[m.identifier_id].first_event_id,
                m.identifier_id in self.shared,
            )
            for m in members
        ]
        return rows

    def _customer_row(self, customer_id: str) -> tuple[object, ...]:
        facts = self.facts[customer_id]
        columns = PROJECTION.columns(PROJECTION.decode(facts))
        events, signs, first, last, last_sign, purchases = columns
        instants = [None if us is None else from_micros(us) for us in (first, last, last_sign)]
        row = (customer_id, 1, False, events, signs, *instants, purchases, facts)
        assessed_us = self.assessed_us.get(customer_id, last or 0)
        return (*row, *_stage_columns(self.schedule(customer_id), self.rules, assessed_us))


def _stage_columns(schedule: Schedule, rules: StageRules, assessed_us: int) -> tuple[object, ...]:
    """What a worker writes about the stage at an instant; the sweeper has not come since."""
    entry, next_us = entry_at(schedule, assessed_us), next_change_us(schedule, assessed_us)
    stored = json.dumps([[one.from_us, one.stage, one.flags] for one in schedule])
    if entry is None:
        return (stored, rules.version, None, [], None, None, None, next_us, None)
    columns = (entry.stage, list(entry.flags), entry.from_us, next_us)
    return (stored, rules.version, *columns, assessed_us, next_us, assessed_us)


def _timeline_row(landed: Landed) -> tuple[object, ...]:
    e = landed.event
    direction = {"customer": "inbound", "company": "outbound", "system": "system"}[e.actor]
    ids = [i.identifier_id for i in e.identifiers] or None
    things = [t.thing_id for t in e.things] or None
    quality = json.dumps([note._asdict() for note in e.data_quality]) if e.data_quality else None
    facets = (e.event_id, e.anchor_id, e.strongest_id, ids, things, e.type, e.channel, direction, e.sign_of_life)
    place = (e.revision, landed.partition, landed.offset, e.event_id)
    return (*facets, e.listed, e.occurred_at, e.recorded_at, *place, quality, e.value.decode())


def _letter_row(letter: DeadLetter) -> tuple[object, ...]:
    topic, part, position, recorded_us, reason, type_, error, state = letter.summary
    rest = (letter.sha256, letter.key, letter.value, letter.headers)
    healed_at = from_micros(recorded_us) if state == "healed" else None
    return (topic, part, position, from_micros(recorded_us), reason, error, type_, *rest, healed_at)


def _letter_decisions(letters: Iterable[DeadLetter]) -> Iterator[tuple[object, ...]]:
    for letter in letters:
        decision, state = letter.decision, letter.summary.state
        if decision is not None and state != "healed":
            told = (decision.operator, decision.reason, decision.event_id, from_micros(decision.at_us), 0)
            yield (*letter.summary.place, state, *told)


def _offset_row(at: tuple[str, int], found: PartitionProgress) -> tuple[object, ...]:
    passed_at = None if found.passed_us is None else from_micros(found.passed_us)
    return (*at, found.topic_id, found.next_offset, 1, None, None, passed_at)


def _change(change: IdentityChange) -> tuple[object, ...]:
    payload = {"customer_id": change.customer_id, "former_ids": change.former_ids}
    return (json.dumps(payload), from_micros(change.at_us))


_CASTS = {
    "outbox (kind, payload, created_at)": "(%s, %s::jsonb, %s::timestamptz)",
    "timeline": "(%s::uuid, %s::uuid, %s::uuid, %s::uuid[], %s::uuid[], %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
    "%s::uuid, %s::jsonb, %s::jsonb)",
    "thing": "(%s::uuid, %s, %s, %s::uuid, %s::timestamptz, %s::uuid, %s::uuid, %s::timestamptz, %s::uuid, %s)",
    "identifier": "(%s::uuid, %s, %s, %s::uuid, %s::timestamptz, %s::uuid, %s)",
    "link": "(%s::uuid, %s::uuid, %s::timestamptz, %s::uuid, %s::timestamptz, %s)",
    "link_evidence": "(%s::uuid, %s::uuid, %s::uuid, %s::timestamptz, %s::timestamptz)",
    "decision": "(%s::uuid, %s::uuid, %s::uuid, %s, %s::timestamptz, %s::timestamptz, %s, %s)",
    "customer": "(%s::uuid, %s, %s, %s, %s, %s::timestamptz, %s::timestamptz, %s::timestamptz, %s, %s::json, "
    "%s::json, %s, %s, %s::text[], %s::bigint, %s::bigint, %s::bigint, %s::bigint, %s::bigint)",
    "projector_offset": "(%s, %s, %s::uuid, %s, %s, %s, %s::timestamptz, %s::timestamptz)",
    "dead_letter": "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::timestamptz)",
    "dead_letter_decision": "(%s, %s, %s, %s, %s, %s, %s::uuid, %s, %s)",
}


def _write(cursor: Any, table: str, rows: Iterable[Sequence[object]]) -> None:
    found = [tuple(row) for row in rows]
    if found:
        # A table with columns that the test does not fill takes their defaults: those stand last.
        execute_values(cursor, f"INSERT INTO {table} VALUES %s", found, template=_CASTS[table], page_size=1000)
