"""The whole pipeline, the slow way: from the records of a log to everything that the tables must say.

One thread, one pass, no batches: which record of an event counts, who is who, whose things are whose, and each
customer's facts folded in one go. The product's codec reads the records and the product's pure fold computes facts
(each is proved elsewhere); everything else here is this model's own. The result is a digest: plain dictionaries that
`digest.py` reads from Postgres in the same form.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from reference.identity_model import Decided, Identity, Seen, identity_of, strongest_first

from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cuts import NO_CUT, Cut, Past
from customer_timeline.projections.lifecycle import stage_schedule
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.projections.sweeping import encoded
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, Identifier, from_micros, to_micros
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy

Digest = dict[str, dict[Any, Any]]
DECISIONS = {"identity.linked": "linked", "identity.unlinked": "unlinked"}
DIRECTION = {"customer": "inbound", "company": "outbound", "system": "system"}


class Record(NamedTuple):
    """One record as the log holds it."""

    value: bytes | None
    appended_at: datetime
    partition: int = 0
    offset: int = 0
    recorded_header: str | None = None


@dataclass
class Told:
    """One telling of an event: all records with the same revision, time and content."""

    decoded: DecodedEvent
    content_hash: bytes
    recorded_at: datetime
    spellings: dict[str, Any] = field(default_factory=dict)  # by the hash of their bytes

    @property
    def rank(self) -> tuple[int, int, bytes]:
        """Least wins: greatest revision, then earliest time, then least hash."""
        return (-self.decoded.revision, self.decoded.occurred_us, self.content_hash)


@dataclass
class History:
    """The records sorted out: by event all tellings, best first; and what could not be read."""

    tellings: dict[str, list[Told]]
    dead: dict[tuple[str, str], bool]

    @property
    def winners(self) -> list[Told]:
        """The telling that counts, of every event."""
        return [told[0] for told in self.tellings.values()]


def history_of(records: Iterable[Record], codec: Codec, cut: Cut = NO_CUT) -> History:
    """Decode every record; sort each event's tellings. Of these what had been recorded at a cut, and of the events
    that leaves those that had happened."""
    found: dict[str, dict[tuple[int, int, bytes], Told]] = defaultdict(dict)
    dead: dict[tuple[str, str], bool] = {}
    for record in records:
        value = record.value or b""
        try:
            decoded = codec.decode(record.value, appended_at=record.appended_at, recorded_header=record.recorded_header)
        except InvalidEvent as error:
            dead[hashlib.sha256(value).hexdigest(), str(error.reason)] = True
            continue
        if not _storable(parsed(value)):
            dead[hashlib.sha256(value).hexdigest(), "unstorable"] = True
            continue
        if to_micros(decoded.recorded_at) > cut.recorded_until_us:
            continue
        told = Told(decoded, codec.canonical_hash(value), decoded.recorded_at)
        told = found[decoded.event_id].setdefault(told.rank, told)
        told.recorded_at = min(told.recorded_at, decoded.recorded_at)
        told.spellings[hashlib.blake2b(value, digest_size=16).hexdigest()] = parsed(value)
    tellings = {e: [by[r] for r in sorted(by)] for e, by in found.items()}
    return History({e: told for e, told in tellings.items() if told[0].decoded.occurred_us <= cut.until_us}, dead)


def _storable(value: Any) -> bool:
    """Postgres keeps no U+0000 in any text, and so none in jsonb."""
    if isinstance(value, str):
        return "\x00" not in value
    if isinstance(value, dict):
        return all(_storable(key) and _storable(inner) for key, inner in value.items())
    return all(map(_storable, value)) if isinstance(value, list) else True


def parsed(value: bytes | str) -> Any:
    """The JSON value with exact numbers, as jsonb keeps it."""
    return json.loads(value, parse_float=Decimal)


def reference(
    records: Sequence[Record], codec: Codec, policy: IdentityPolicy, projection: CustomerProjection
) -> Digest:
    """What the tables must say about the records, whatever way they were processed."""
    history = history_of(records, codec)
    identity = _identity(history, policy)
    by_customer = _events_by_customer(history, identity, policy)
    return {
        "timeline": {t.decoded.event_id: _timeline_row(t, policy) for t in history.winners},
        "recorded": {t.decoded.event_id: t.recorded_at for t in history.winners},
        "superseded": _superseded(history),
        "dead_letters": history.dead,
        "identifiers": _identifiers(identity),
        "last_seen": _last_seen(identity, by_customer),
        "links": _links(identity),
        "decisions": _decisions(history),
        "things": {t: o.owner_id for t, o in identity.owners.items() if o.owner_id},
        "customers": _customers(identity, by_customer, projection),
    }


@dataclass
class Then:
    """A log at a cut: the customer of every identifier, with first sightings, facts and events by customer."""

    customer_of: dict[str, str]
    identifiers: dict[str, Identifier]
    first_seen: dict[str, int | None]
    facts: dict[str, str]
    events: dict[str, list[DecodedEvent]]
    winners: list[DecodedEvent]
    shared: set[str]
    refused: dict[tuple[str, str], str | None]


def log_then(
    records: Sequence[Record],
    codec: Codec,
    policy: IdentityPolicy,
    projection: CustomerProjection,
    past: Past,
) -> Then:
    """What a log said at a cut, customers being put together by the facts at the cut or by all there are."""
    history = history_of(records, codec, past.cut)
    then = _identity(history, policy)
    identity = then if past.who == "cut" else _identity(history_of(records, codec), policy)
    by_customer = _events_by_customer(history, identity, policy)
    facts = _customers(identity, by_customer, projection)
    return Then(
        dict(identity.customer_of),
        dict(identity.identifiers),
        {i: then.first_seen.get(i, (None, ""))[0] for i in identity.customer_of},
        {customer: row["facts"] for customer, row in facts.items()},
        by_customer,
        [told.decoded._replace(recorded_at=told.recorded_at) for told in history.winners],
        set(then.shared),
        {pair: link.refused for pair, link in then.links.items() if link.least},
    )


def customers_of(records: Sequence[Record], codec: Codec, policy: IdentityPolicy, cut: Cut = NO_CUT) -> dict[str, str]:
    """The customer of every identifier, and of every thing that is somebody's."""
    identity = _identity(history_of(records, codec, cut), policy)
    things = {thing_id: identity.customer_of_thing(thing_id) for thing_id in identity.things}
    return {**identity.customer_of, **{thing_id: owner for thing_id, owner in things.items() if owner is not None}}


def _identity(history: History, policy: IdentityPolicy) -> Identity:
    seen, decided = [], []
    for tellings in history.tellings.values():
        for place, told in enumerate(tellings):
            event = told.decoded
            if event.listed:
                seen.append(Seen(event.event_id, event.occurred_us, event.identifiers, event.things, place == 0))
            elif _family(event) in DECISIONS:
                a, b = pair_of(event)
                verdict = DECISIONS[_family(event)]
                decided.append(Decided(event.event_id, event.occurred_us, a, b, verdict, place == 0))
    return identity_of(seen, decided, policy)


def _family(event: DecodedEvent) -> str:
    return event.type.rpartition(".v")[0]


def pair_of(event: DecodedEvent) -> tuple[Identifier, Identifier]:
    """The two identifiers that a decision is about, normalised."""
    if event.decides is None:
        raise LookupError(f"The decision {event.event_id} decides nothing.")
    return event.decides


def _anchor(event: DecodedEvent, policy: IdentityPolicy) -> str | None:
    """Where the event stands: at its first thing if it continues one or names nobody, else at its strongest."""
    if event.things and (event.continues_thing or not event.identifiers):
        return event.things[0].thing_id
    return _strongest(event, policy)


def _strongest(event: DecodedEvent, policy: IdentityPolicy) -> str | None:
    return strongest_first(event.identifiers, policy)[0].identifier_id if event.identifiers else None


def _events_by_customer(history: History, identity: Identity, policy: IdentityPolicy) -> dict[str, list[DecodedEvent]]:
    """Each customer's events; those of a thing that nobody owns yet belong to nobody."""
    found: dict[str, list[DecodedEvent]] = {c: [] for c in identity.members()}
    for told in history.winners:
        anchor = _anchor(told.decoded, policy)
        if told.decoded.listed and anchor is not None:
            in_graph = anchor in identity.customer_of
            customer = identity.customer_of[anchor] if in_graph else identity.customer_of_thing(anchor)
            if customer is not None:
                found[customer].append(told.decoded._replace(recorded_at=told.recorded_at))
    return found


def _timeline_row(told: Told, policy: IdentityPolicy) -> dict[str, Any]:
    event = told.decoded
    return {
        "anchor_id": _anchor(event, policy),
        "strongest_id": _strongest(event, policy),
        "identifier_ids": [i.identifier_id for i in strongest_first(event.identifiers, policy)],
        "thing_ids": [t.thing_id for t in event.things],
        "type": event.type,
        "channel": event.channel,
        "direction": DIRECTION[event.actor],
        "sign_of_life": event.sign_of_life,
        "listed": event.listed,
        "occurred_at": event.occurred_at,
        "revision": event.revision,
        "data_quality": sorted(tuple(note) for note in event.data_quality),
        "event": [told.spellings[min(told.spellings)]],
    }


def _superseded(history: History) -> dict[Any, Any]:
    return {
        (event_id, t.decoded.revision, t.decoded.occurred_at, t.content_hash.hex()): {
            "event": list(t.spellings.values()),
            "recorded_at": t.recorded_at,
        }
        for event_id, tellings in history.tellings.items()
        for t in tellings[1:]
    }


def _identifiers(identity: Identity) -> dict[Any, Any]:
    out = {}
    for key, i in identity.identifiers.items():
        when, event_id = identity.first_seen.get(key, (None, None))
        out[key] = {
            "kind": i.kind,
            "value": i.value,
            "customer_id": identity.customer_of[key],
            "first_seen_at": None if when is None else from_micros(when),
            "first_event_id": event_id,
            "shared": key in identity.shared,
        }
    return out


def _last_seen(identity: Identity, by_customer: dict[str, list[DecodedEvent]]) -> dict[Any, Any]:
    """Of every identifier the latest event of its customer that names it."""
    last: dict[str, int] = {}
    for customer, events in by_customer.items():
        for event in events:
            for i in event.identifiers:
                if identity.customer_of[i.identifier_id] == customer:
                    last[i.identifier_id] = max(last.get(i.identifier_id, event.occurred_us), event.occurred_us)
    return {key: from_micros(when) for key, when in last.items()}


def _links(identity: Identity) -> dict[Any, Any]:
    out = {}
    for pair, link in identity.links.items():
        when, event_id = link.least or (None, None)
        out[pair] = {
            "occurred_at": None if when is None else from_micros(when),
            "event_id": event_id,
            "refused": link.refused if link.least else None,
        }
    return out


def _decisions(history: History) -> dict[Any, Any]:
    out = {}
    for told in history.winners:
        event = told.decoded
        if _family(event) in DECISIONS:
            out[event.event_id] = {
                "pair": frozenset(i.identifier_id for i in pair_of(event)),
                "verdict": DECISIONS[_family(event)],
                "occurred_at": event.occurred_at,
                "reason": event.data.reason,  # type: ignore[attr-defined]
                "operator": event.data.operator,  # type: ignore[attr-defined]
            }
    return out


def _customers(
    identity: Identity, by_customer: dict[str, list[DecodedEvent]], projection: CustomerProjection
) -> dict[Any, Any]:
    out = {}
    for customer in identity.members():
        facts = projection.initial()
        for event in by_customer[customer]:
            projection.apply(facts, event)
        columns = projection.columns(facts)
        out[customer] = {
            "events": columns.events,
            "signs_of_life": columns.signs_of_life,
            "first_event_at": _at(columns.first_event_us),
            "last_event_at": _at(columns.last_event_us),
            "last_sign_of_life_at": _at(columns.last_sign_of_life_us),
            "purchases": columns.purchases,
            "facts": projection.encode(facts).decode(),
            "schedule": orjson.dumps(encoded(stage_schedule(facts, StageRules(), projection.calendar))).decode(),
        }
    return out


def _at(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
