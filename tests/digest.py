"""What a database says, in the form of the reference model, and the difference of two digests in words.

Left out, because the law leaves it out: positions, offsets, outbox, `recorded_at` (in its own section, which is
compared where the log is the same one), the worker's own bookkeeping. A copy of an event may be spelled otherwise
with the same content: any of its spellings is accepted, no other.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from reference.log_model import Digest, parsed

from customer_timeline.schemas.decoded import from_micros

READ_ALL = """
    SELECT event_id::text, anchor_id::text, strongest_id::text, identifier_ids::text[], thing_ids::text[], type,
           channel, direction, sign_of_life, listed, occurred_at, revision, data_quality, event::text, recorded_at
    FROM timeline
"""
SECTIONS = (
    "timeline",
    "superseded",
    "dead_letters",
    "identifiers",
    "last_seen",
    "links",
    "decisions",
    "things",
    "customers",
)


def digest_of(url: str, schema: str = "customer_timeline") -> Digest:
    """Read one schema in one snapshot."""
    connection = psycopg2.connect(url, options=f"-c search_path={schema} -c TimeZone=UTC")
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            return _read(cursor)
    finally:
        connection.close()


def _read(cursor: Any) -> Digest:
    def rows(sql: str) -> list[tuple[Any, ...]]:
        cursor.execute(sql)
        return list(cursor.fetchall())

    timeline = rows(READ_ALL)
    customers = rows(
        "SELECT customer_id::text, events, signs_of_life, first_event_at, last_event_at, last_sign_of_life_at,"
        " purchases, facts::text, schedule::text FROM customer"
    )
    identifiers = rows(
        "SELECT identifier_id::text, kind, value, customer_id::text, first_seen_at, first_event_id::text, shared"
        " FROM identifier"
    )
    return {
        "timeline": {row[0]: _timeline_row(row) for row in timeline},
        "recorded": {row[0]: row[14] for row in timeline},
        "superseded": {
            (event_id, revision, at, bytes(content_hash).hex()): {"event": [parsed(event)], "recorded_at": recorded}
            for event_id, revision, at, content_hash, event, recorded in rows(
                "SELECT event_id::text, revision, occurred_at, content_hash, event::text, recorded_at FROM superseded"
            )
        },
        "dead_letters": {
            (bytes(sha).hex(), reason): True
            for sha, reason in rows("SELECT sha256, reason FROM dead_letter WHERE healed_at IS NULL")
        },
        "identifiers": {row[0]: _named(IDENTIFIER, row[1:]) for row in identifiers},
        "last_seen": _last_seen(identifiers, customers),
        "links": {
            (a, b): _named(("occurred_at", "event_id", "refused"), (at, event_id, refused if at else None))
            for a, b, at, event_id, refused in rows(
                "SELECT anchor_id::text, other_id::text, occurred_at, event_id::text, refused FROM link"
            )
        },
        "decisions": {
            event_id: _named(("pair", "verdict", "occurred_at", "reason", "operator"), (frozenset((a, b)), *rest))
            for event_id, a, b, *rest in rows(
                "SELECT event_id::text, anchor_id::text, other_id::text, verdict, occurred_at, reason, operator"
                " FROM decision"
            )
        },
        "things": _things(rows("SELECT thing_id::text, owner_id::text, via_thing_id::text FROM thing")),
        "customers": {row[0]: _named(CUSTOMER, row[1:]) for row in customers},
    }


IDENTIFIER = ("kind", "value", "customer_id", "first_seen_at", "first_event_id", "shared")
CUSTOMER = (
    "events",
    "signs_of_life",
    "first_event_at",
    "last_event_at",
    "last_sign_of_life_at",
    "purchases",
    "facts",
    "schedule",
)
TIMELINE = (
    "anchor_id",
    "strongest_id",
    "identifier_ids",
    "thing_ids",
    "type",
    "channel",
    "direction",
    "sign_of_life",
    "listed",
    "occurred_at",
    "revision",
)


def _named(names: tuple[str, ...], values: Any) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


def _timeline_row(row: tuple[Any, ...]) -> dict[str, Any]:
    out = _named(TIMELINE, row[1:12])
    out["identifier_ids"] = out["identifier_ids"] or []
    out["thing_ids"] = out["thing_ids"] or []
    out["data_quality"] = sorted(
        (note["field"], note["kind"], note["reason"]) if isinstance(note, dict) else tuple(note)
        for note in row[12] or []
    )
    out["event"] = [parsed(row[13])]
    return out


def _last_seen(identifiers: list[tuple[Any, ...]], customers: list[tuple[Any, ...]]) -> dict[Any, Any]:
    """From the customers' facts: `seen` maps an identifier to its first and last instant, in microseconds."""
    seen = {row[0]: parsed(row[7]).get("seen", {}) for row in customers}
    out = {}
    for identifier_id, _, _, customer_id, *_ in identifiers:
        found = seen.get(customer_id, {}).get(identifier_id)
        if found:
            out[identifier_id] = from_micros(int(found[1]))
    return out


def _things(rows: list[tuple[Any, ...]]) -> dict[Any, Any]:
    """The owner of each thing, through the things that it was named after."""
    by_id: dict[str, tuple[str | None, str | None]] = {thing_id: (owner, via) for thing_id, owner, via in rows}

    def owner_of(thing_id: str, trail: tuple[str, ...] = ()) -> str | None:
        owner, via = by_id[thing_id]
        if owner is not None or via is None or thing_id in trail:
            return owner
        return owner_of(via, (*trail, thing_id))

    return {thing_id: owner for thing_id in by_id if (owner := owner_of(thing_id)) is not None}


def difference(expected: Digest, actual: Digest, *, recorded: bool = False, limit: int = 6) -> str:
    """The difference in words; empty when the digests agree. `recorded` also compares when the log took events in.

    `limit` is the number of rows told per section.
    """
    lines: list[str] = []
    for section in SECTIONS + (("recorded",) if recorded else ()):
        found = _section(expected[section], actual[section], recorded)
        if found:
            lines.append(f"{section}: {len(found)} of {len(expected[section])} rows differ")
            lines.extend(f"  {line}" for line in found[:limit])
    return "\n".join(lines)


def _section(expected: dict[Any, Any], actual: dict[Any, Any], recorded: bool) -> list[str]:
    lines = [f"missing {key}: {_short(expected[key])}" for key in sorted(expected.keys() - actual.keys(), key=str)]
    lines += [f"unexpected {key}: {_short(actual[key])}" for key in sorted(actual.keys() - expected.keys(), key=str)]
    for key in sorted(expected.keys() & actual.keys(), key=str):
        want, have = expected[key], actual[key]
        if isinstance(want, dict):
            names = [n for n in want if not _same(n, want[n], have[n], recorded)]
            lines += [f"{key}.{n}: expected {_short(want[n])}, is {_short(have[n])}" for n in names]
        elif want != have:
            lines.append(f"{key}: expected {_short(want)}, is {_short(have)}")
    return lines


def _same(name: str, want: Any, have: Any, recorded: bool) -> bool:
    if name == "event":  # lists of spellings on both sides
        return any(spelling in want for spelling in have)
    if name == "recorded_at" and not recorded:
        return True
    return bool(want == have)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 400 else text[:400] + "…"
