"""The timeline table, as the projector writes it: one row per event, and which record that is.

Part of one batch's transaction. Says which events are new, because only those may be folded; the rest are duplicates,
corrections and retractions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from psycopg2.errors import UniqueViolation

from customer_timeline.projections.journal import FetchedRecord, Placed
from customer_timeline.projections.postgres.copy_text import NULL, copy_rows, escaped, optional, uuid_array
from customer_timeline.projections.records import (
    ContentHash,
    Settled,
    Standing,
    Superseded,
    record_hash,
    settle,
    standing,
)
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DIRECTION, EPOCH, DecodedEvent, from_micros, to_micros

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


HALF: Final = "half"
"""The savepoint around what a part of a batch writes: where Postgres refuses a record, it is rolled back and halved."""


class Arrival(NamedTuple):
    """The records of one event in this batch: the one that counts among them, and its row for COPY."""

    event: DecodedEvent
    superseded: tuple[Superseded, ...]
    record_hash: str
    row: str


# As the constructor, which is a Python frame each time.
_as_arrival: Final[Callable[[tuple[object, ...]], Arrival]] = partial(tuple.__new__, Arrival)


class Replacement(NamedTuple):
    """A record that won over the one that stood. `before` equals `event` in all but recorded_at for an earlier copy."""

    before: DecodedEvent
    event: DecodedEvent


class Stored(NamedTuple):
    """What a batch did to the timeline."""

    new: Sequence[DecodedEvent]
    replaced: Sequence[Replacement]
    lost: Sequence[DecodedEvent]  # superseded records that arrived: their pairs still count for sharing
    duplicates: int


def arrivals_of(
    placed: Sequence[Placed], content_hash: ContentHash, between: Callable[[], object] = lambda: None
) -> tuple[dict[str, Arrival], int]:
    """Group a batch by event and prepare each event's row. Returns the arrivals and how many plain duplicates fell
    away.

    Needs no database: it runs while Postgres works on the batch before. `between` is called between any two events.
    """
    firsts: dict[str, Placed] = {}
    repeated: dict[str, list[Placed]] = {}
    for one in placed:
        event_id = one.event.event_id
        first = firsts.setdefault(event_id, one)
        if first is not one:
            repeated.setdefault(event_id, [first]).append(one)
    arrivals: dict[str, Arrival] = {}
    duplicates = 0
    recorded_at, recorded = EPOCH, ""
    for event_id, first in firsts.items():
        between()
        superseded: tuple[Superseded, ...] = ()
        if event_id in repeated:
            copies = repeated[event_id]
            duplicates += len(copies) - 1
            first, superseded = _chosen(copies, content_hash)
            duplicates -= len(superseded)
        event = first.event
        if event.recorded_at is not recorded_at:  # records that were appended together share it
            recorded_at, recorded = event.recorded_at, event.recorded_at.isoformat()
        digest = record_hash(event.value)
        arrivals[event_id] = _as_arrival((event, superseded, digest, _row(event, first.raw, digest, recorded)))
    return arrivals, duplicates


def _chosen(copies: list[Placed], content_hash: ContentHash) -> tuple[Placed, tuple[Superseded, ...]]:
    least = min(one.event.recorded_at for one in copies)
    if all(one.event.value == copies[0].event.value for one in copies):
        return copies[0]._replace(event=copies[0].event._replace(recorded_at=least)), ()
    settled: Settled = settle((one.event for one in copies), content_hash)
    place = next(one for one in copies if one.event.value == settled.event.value)
    return place._replace(event=settled.event), settled.superseded


def _row(event: DecodedEvent, raw: FetchedRecord, digest: str, recorded: str) -> str:
    """The event's row for COPY, columns in the order of `copy_timeline`. Runs for every event: keep it lean."""
    identifiers = event.identifiers
    if event.listed:
        listed, anchor = "t", event.anchor_id or NULL
    else:
        listed, anchor, identifiers = "f", NULL, ()
    if identifiers:
        strongest = identifiers[0].identifier_id
        ids = uuid_array([i.identifier_id for i in identifiers]) if len(identifiers) > 1 else f"{{{strongest}}}"
    else:
        strongest = ids = NULL
    things = uuid_array([t.thing_id for t in event.things]) if event.things else NULL
    quality = orjson.dumps([note._asdict() for note in event.data_quality]).decode() if event.data_quality else None
    return (
        f"{event.event_id}\t{anchor}\t{strongest}\t{ids}\t{things}\t{event.type}\t{optional(event.channel)}\t"
        f"{DIRECTION[event.actor]}\t{'t' if event.sign_of_life else 'f'}\t{listed}\t{event.occurred_at.isoformat()}\t"
        f"{recorded}\t{event.revision}\t{raw.partition}\t{raw.offset}\t{digest}\t{optional(quality)}\t"
        f"{escaped(event.value.decode())}"
    )


def decode_stored(codec: Codec, value: str, recorded_at: datetime) -> DecodedEvent:
    """An event of the timeline, as the codec would hand it over."""
    return codec.decode(value.encode(), appended_at=recorded_at, recorded_header=recorded_at.isoformat())


class Suspicion:
    """Which events of a batch may be in the timeline already, and so are looked for before the batch is inserted.

    Nearly all duplicates are of events that came lately: a channel sends again within minutes. So only those are looked
    for that this connection has met lately; the look-up of the others, all of them for nothing, was a tenth of what a
    batch took. It is advice: where it was wrong the insert fails, and for as long as older events come again, and
    somewhat longer, everything is looked for.
    """

    def __init__(self, memory: int = 50_000) -> None:
        self._memory = memory
        self._lately: set[str] = set()
        self._before: set[str] = set()
        self._wary = 0

    def of(self, event_ids: Set[str]) -> Collection[str]:
        """Those to look for."""
        if self._wary > 0:
            return event_ids
        return (event_ids & self._lately) | (event_ids & self._before)

    def surprised(self) -> None:
        """An event was there that was not looked for."""
        self._wary = self._memory

    def learn(self, event_ids: Set[str], known: Set[str]) -> None:
        """These are in the timeline now; `known` were before."""
        if self._wary > 0:
            expected = all(one in self._lately or one in self._before for one in known)
            self._wary = self._wary - len(event_ids) if expected else self._memory
        self._lately |= event_ids
        if len(self._lately) > self._memory:
            self._before, self._lately = self._lately, set()


class TimelineStore:
    """Writes a batch's events; see `Stored`. Lives as long as one connection."""

    def __init__(self, cursor: Cursor, sql: Mapping[str, str], codec: Codec) -> None:
        self._cursor = cursor
        self._sql = sql
        self._codec = codec
        self._suspicion = Suspicion()
        cursor.execute(sql["create_incoming"])

    def store(self, arrivals: Mapping[str, Arrival]) -> Stored:
        """Insert what is new, settle what competes. Locks the rows of competing records until the transaction ends.

        May roll back to the savepoint HALF, which the caller sets just before.
        """
        known = self._known(self._suspicion.of(arrivals.keys()))
        while not self._insert([arrivals[event_id].row for event_id in sorted(arrivals.keys() - known.keys())]):
            self._cursor.execute(f"ROLLBACK TO SAVEPOINT {HALF}")
            self._suspicion.surprised()
            known = self._known(arrivals)
        self._suspicion.learn(arrivals.keys(), known.keys())
        fresh = [arrival for event_id, arrival in arrivals.items() if event_id not in known]
        lost = [loser.event for arrival in arrivals.values() for loser in arrival.superseded]
        for arrival in fresh:
            if arrival.superseded:
                self._supersede(arrival.event, arrival.superseded)
        duplicates, replaced, losers = self._settle_known(known, arrivals) if known else (0, [], [])
        return Stored([arrival.event for arrival in fresh], replaced, [*lost, *losers], duplicates)

    def _insert(self, rows: Sequence[str]) -> bool:
        """Insert new events, in id order. False where one of them was not new: then this part must be rolled back."""
        if not rows:
            return True
        try:
            copy_rows(self._cursor, self._sql["copy_timeline"], rows)
        except UniqueViolation:
            # Another worker has committed it since it was looked for, or while this one waited for it. Now it is seen.
            return False
        return True

    def _stage(self, arrivals: Iterable[Arrival]) -> None:
        copy_rows(self._cursor, self._sql["copy_incoming"], [arrival.row for arrival in arrivals])

    def clear(self) -> None:
        """Forget what was put beside the timeline; it goes by itself when the transaction ends."""
        self._cursor.execute(self._sql["clear_incoming"])

    def decode_stored(self, value: str, recorded_at: datetime) -> DecodedEvent:
        """A stored event, as the codec would hand it over: the fold of a history starts here."""
        return decode_stored(self._codec, value, recorded_at)

    def _known(self, event_ids: Collection[str]) -> Mapping[str, tuple[str, int]]:
        """Of given events, those in the timeline: hash of the record, and when the log took it in (microseconds)."""
        if not event_ids:
            return {}
        self._cursor.execute(self._sql["known_records"], {"ids": uuid_array(event_ids)})
        return {event_id: (digest, recorded_us) for event_id, digest, recorded_us in self._cursor.fetchall()}

    def _settle_known(
        self, known: Mapping[str, tuple[str, int]], arrivals: Mapping[str, Arrival]
    ) -> tuple[int, list[Replacement], list[DecodedEvent]]:
        competing: list[str] = []
        duplicates = 0
        for event_id, (digest, recorded_us) in known.items():
            arrival = arrivals[event_id]
            later_copy = recorded_us <= to_micros(arrival.event.recorded_at)
            if digest == arrival.record_hash and later_copy and not arrival.superseded:
                duplicates += 1
            else:
                competing.append(event_id)
        if not competing:
            return duplicates, [], []
        replaced, lost, equal = self._compete(competing, arrivals)
        return duplicates + equal, replaced, lost

    def _compete(
        self, competing: list[str], arrivals: Mapping[str, Arrival]
    ) -> tuple[list[Replacement], list[DecodedEvent], int]:
        cursor, sql = self._cursor, self._sql
        self._stage(arrivals[event_id] for event_id in competing)
        cursor.execute(sql["lock_records"], {"ids": uuid_array(competing)})
        replaced: list[Replacement] = []
        lost: list[DecodedEvent] = []
        earlier: list[Replacement] = []
        respelled: list[str] = []
        equal = 0
        for event_id, stored, recorded_at, stored_hash in cursor.fetchall():
            before = self.decode_stored(stored, recorded_at)
            arrival = arrivals[event_id]
            stood = standing(before, self._codec.canonical_hash)
            came = standing(arrival.event, self._codec.canonical_hash)
            losers = list(arrival.superseded)
            if came == stood:
                equal += 1
                if arrival.record_hash < stored_hash:
                    respelled.append(event_id)
                if arrival.event.recorded_at < before.recorded_at:
                    earlier.append(Replacement(before, before._replace(recorded_at=arrival.event.recorded_at)))
            elif came.beats(stood):
                losers.append(Superseded(before, stood))
                replaced.append(Replacement(before, arrival.event))
            else:
                losers.append(Superseded(arrival.event, came))
                lost.append(arrival.event)
            winner, rank = (arrival.event, came) if came.beats(stood) else (before, stood)
            self._write_superseded(event_id, [loser for loser in losers if loser.standing != rank])
            self._mark_conflicts(winner.event_id, rank)
        if replaced:
            cursor.execute(sql["replace_records"], {"ids": uuid_array(r.event.event_id for r in replaced)})
        if respelled:
            cursor.execute(sql["respell_records"], {"ids": uuid_array(respelled)})
        if earlier:
            cursor.execute(sql["lower_recorded"], {"ids": uuid_array(r.event.event_id for r in earlier)})
        self.clear()
        return [*replaced, *earlier], lost, equal

    def _supersede(self, event: DecodedEvent, superseded: Iterable[Superseded]) -> None:
        self._write_superseded(event.event_id, superseded)
        self._mark_conflicts(event.event_id, standing(event, self._codec.canonical_hash))

    def _write_superseded(self, event_id: str, superseded: Iterable[Superseded]) -> None:
        for loser in superseded:
            self._cursor.execute(
                self._sql["insert_superseded"],
                {
                    "event_id": event_id,
                    "content_hash": loser.standing.content_hash,
                    "revision": loser.standing.revision,
                    "occurred_at": from_micros(loser.standing.occurred_us),
                    "recorded_at": loser.event.recorded_at,
                    "event": loser.event.value.decode(),
                    "names": uuid_array(i.identifier_id for i in loser.event.decides or loser.event.identifiers),
                    "thing_ids": uuid_array(thing.thing_id for thing in loser.event.things),
                },
            )

    def _mark_conflicts(self, event_id: str, rank: Standing) -> None:
        self._cursor.execute(
            self._sql["mark_conflicts"],
            {"event_id": event_id, "revision": rank.revision, "content_hash": rank.content_hash},
        )
