"""The thing table, as the projector writes it: whose each order, contract, opportunity, case and follow-up is.

Part of one batch's transaction, before any customer is locked. Naming a thing locks its row, so an event that finds
no owner yet and an event that brings the owner cannot miss each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from customer_timeline.projections.postgres.copy_text import (
    boolean_array,
    instant_array,
    optional_uuid_array,
    text_array,
    uuid_array,
)
from customer_timeline.projections.postgres.timeline_store import Stored, TimelineStore
from customer_timeline.projections.things import Evidence, ThingRow, combined, named_things, owner_of
from customer_timeline.schemas.decoded import Thing

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


class Ownership(NamedTuple):
    """Whose the batch's things are, and the identifiers whose customers won or lost events that stood before."""

    owners: Mapping[str, str | None]
    moved: frozenset[str]


class ThingStore:
    """Settles the things that a batch names; see `Ownership`. Lives as long as one connection."""

    def __init__(self, cursor: Cursor, sql: Mapping[str, str], timeline: TimelineStore) -> None:
        self._cursor = cursor
        self._sql = sql
        self._timeline = timeline

    def settle(self, stored: Stored) -> Ownership:
        """Write what the batch says of things. Locks every thing it names, in id order, until the transaction ends."""
        said = named_things([*stored.new, *(r.event for r in stored.replaced)])
        withdrawn = {thing.thing_id for r in stored.replaced for thing in r.before.things}
        if not said and not withdrawn:
            return Ownership({}, frozenset())
        fresh = self._insert(said.values())
        before = self._lock(sorted((said.keys() | withdrawn) - fresh))
        after = {**before, **{thing_id: said[thing_id] for thing_id in fresh}}
        for thing_id, row in said.items():
            if thing_id not in fresh:
                after[thing_id] = combined(after[thing_id], row)
        after.update(self._read_again(sorted(withdrawn & before.keys()), before))
        followed = {**self._lock_followed({**before, **after}), **self._lock_followed(before)}
        before.update(followed)
        after.update(followed)
        changed = [row for thing_id, row in after.items() if thing_id in before and before[thing_id] != row]
        if changed:
            self._cursor.execute(self._sql["update_things"], _columns(changed))
        moved = self._moved(before, after, fresh)
        return Ownership({thing_id: owner_of(thing_id, after) for thing_id in after}, moved)

    def _insert(self, rows: Iterable[ThingRow]) -> set[str]:
        rows = list(rows)
        if not rows:
            return set()
        self._cursor.execute(self._sql["insert_things"], _columns(rows))
        return {row[0] for row in self._cursor.fetchall()}

    def _lock(self, thing_ids: Sequence[str]) -> dict[str, ThingRow]:
        if not thing_ids:
            return {}
        self._cursor.execute(self._sql["lock_things"], {"ids": uuid_array(thing_ids)})
        rows: dict[str, ThingRow] = {}
        for (
            thing_id,
            kind,
            value,
            owner,
            owner_at,
            owner_event,
            via,
            via_at,
            via_event,
            anchored,
        ) in self._cursor.fetchall():
            rows[thing_id] = ThingRow(
                Thing(thing_id, kind, value),
                Evidence(owner_at, owner_event, owner) if owner else None,
                Evidence(via_at, via_event, via) if via else None,
                anchored,
            )
        return rows

    def _lock_followed(self, rows: Mapping[str, ThingRow]) -> dict[str, ThingRow]:
        """The things that ownerless `rows` follow and that are not among them."""
        found: dict[str, ThingRow] = {}
        wanted = _followed(rows) - rows.keys()
        while wanted:
            locked = self._lock(sorted(wanted))
            found.update(locked)
            wanted = _followed(locked) - rows.keys() - found.keys()
        return found

    def _read_again(self, thing_ids: Sequence[str], known: Mapping[str, ThingRow]) -> dict[str, ThingRow]:
        """What the events that count now say of things of which a record was replaced."""
        if not thing_ids:
            return {}
        self._cursor.execute(self._sql["events_naming_things"], {"ids": uuid_array(thing_ids)})
        events = [self._timeline.decode_stored(value, recorded_at) for value, recorded_at in self._cursor.fetchall()]
        said = named_things(events)
        return {
            thing_id: said.get(thing_id, ThingRow(known[thing_id].thing, None, None, False)) for thing_id in thing_ids
        }

    def _moved(self, before: Mapping[str, ThingRow], after: Mapping[str, ThingRow], fresh: set[str]) -> frozenset[str]:
        """Owners, old and new, of things whose earlier events changed hands; followers included."""
        before, after = dict(before), dict(after)
        moved: set[str] = set()
        # Nothing follows a thing that nobody had named, and no event stands at it.
        stood = after.keys() - fresh
        changed = {thing_id for thing_id in stood if owner_of(thing_id, before) != owner_of(thing_id, after)}
        looked_at: set[str] = set()
        while changed:
            looked_at |= changed
            for thing_id in changed:
                if before[thing_id].anchored:
                    moved.update(filter(None, (owner_of(thing_id, before), owner_of(thing_id, after))))
            self._cursor.execute(self._sql["followers"], {"ids": uuid_array(changed)})
            followers = {row[0] for row in self._cursor.fetchall()}
            locked = self._lock(sorted(followers - after.keys()))
            before.update(locked)
            after.update(locked)
            changed = {
                thing_id
                for thing_id in followers - looked_at - fresh
                if owner_of(thing_id, before) != owner_of(thing_id, after)
            }
        return frozenset(moved)


def _followed(rows: Mapping[str, ThingRow]) -> set[str]:
    return {row.via.target_id for row in rows.values() if row.owner is None and row.via is not None}


def _columns(rows: Iterable[ThingRow]) -> dict[str, str]:
    rows = list(rows)
    owners, vias = [row.owner for row in rows], [row.via for row in rows]
    return {
        "thing_id": uuid_array([row.thing.thing_id for row in rows]),
        "kind": text_array([row.thing.kind for row in rows]),
        "value": text_array([row.thing.value for row in rows]),
        "owner_id": optional_uuid_array([one.target_id if one else None for one in owners]),
        "owner_at": instant_array([one.occurred_at if one else None for one in owners]),
        "owner_event_id": optional_uuid_array([one.event_id if one else None for one in owners]),
        "via_thing_id": optional_uuid_array([one.target_id if one else None for one in vias]),
        "via_at": instant_array([one.occurred_at if one else None for one in vias]),
        "via_event_id": optional_uuid_array([one.event_id if one else None for one in vias]),
        "anchored": boolean_array([row.anchored for row in rows]),
    }
