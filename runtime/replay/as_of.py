"""Who was who at an instant, for queries over what a replay wrote: a function of DuckDB, and macros that use it.

The rules take links in their order, each by what was joined before, so no view can say it (ADR 0021). What says who is
who is read from the tables once a query asks; each instant that it asks about is then worked out once.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Any, Final

from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.runtime.replay.arrow import pa
from customer_timeline.runtime.replay.garbage import uncollected
from customer_timeline.runtime.replay.identity_tables import PREFIX, TABLES, stored_identity
from customer_timeline.schemas.identity_policy import IdentityPolicy

_NOBODY: Final = -1
# Instants that are remembered: of each four bytes an id.
_REMEMBERED: Final = 32

# `epoch_us` knows no infinite instants.
_INSTANT: Final = """
CASE
    WHEN NOT isinf(instant) THEN epoch_us(instant)
    WHEN instant > 'epoch'::TIMESTAMPTZ THEN 9223372036854775807
    ELSE -9223372036854775807
END
"""
# `t` may be a column of the query around: each macro reads it before any table of its own is in sight, for a column of
# the same name there would be taken for it.
_TABLE_MACROS: Final = {
    "people_as_of": """
SELECT id, person_at(id, customer_timeline_us) AS person_id
FROM (SELECT instant_us(t::TIMESTAMPTZ) AS customer_timeline_us) CROSS JOIN people
WHERE person_at(id, customer_timeline_us) IS NOT NULL
""",
    "events_as_of": """
SELECT events.* REPLACE (people_then.person_id AS person_id)
FROM (SELECT t::TIMESTAMPTZ AS customer_timeline_t)
    CROSS JOIN (people_as_of(t) AS people_then RIGHT JOIN events ON people_then.id = events.anchor_id)
WHERE events.occurred_at <= customer_timeline_t
""",
    "customers_as_of": """
SELECT
    person_id,
    min(occurred_at) AS first_seen_at,
    max(occurred_at) AS last_seen_at,
    max(occurred_at) FILTER (sign_of_life) AS last_sign_of_life_at,
    arg_min(channel, (occurred_at, event_id)) FILTER (channel IS NOT NULL) AS first_channel,
    count(*) AS events,
    count(*) FILTER (type LIKE 'purchase.completed.%') AS purchases,
    min(occurred_at) FILTER (type LIKE 'purchase.completed.%') AS first_purchase_at,
    max(occurred_at) FILTER (type LIKE 'purchase.completed.%') AS last_purchase_at
FROM events_as_of(t)
WHERE person_id IS NOT NULL AND listed
GROUP BY person_id
""",
}

_ELSEWHERE: Final = "Who was who at an instant is worked out by `customer-timeline sql`; DuckDB alone cannot tell."
_TOO_OLD: Final = "These files were written before who was who at an instant could be asked: replay once more."


def answer_as_of(connection: Any) -> None:
    """Let the connection's queries ask who was who, by the tables that it has."""
    if not _has_tables(connection):
        _macros(connection, f"error('{_TOO_OLD}')", "TEMP")
        return
    past = PersonsAsOf(lambda: _stored(connection))
    connection.create_function(
        "customer_timeline_person_at",
        lambda ids, instants: pa.array(past.people(ids.to_pylist(), instants.to_pylist()), pa.string()),
        ["VARCHAR", "BIGINT"],
        "VARCHAR",
        type="arrow",
        null_handling="special",
        side_effects=False,
    )
    _macros(connection, "customer_timeline_person_at(id, at_us)", "TEMP")


def refuse_as_of(connection: Any) -> None:
    """Leave macros in a file of DuckDB that say who can answer: an identity of another instant would be a wrong one."""
    _macros(connection, f"error('{_ELSEWHERE}')", "")


class PersonsAsOf:
    """The persons of ids at instants. Safe for several threads, one of which works at a time.

    `load` is called once, where somebody asks. Memory: that of the facts, and of each instant four bytes an id.
    """

    def __init__(self, load: Callable[[], tuple[HistoryIdentity, IdentityPolicy]]) -> None:
        self._load = load
        self._lock = Lock()
        self._facts: tuple[HistoryIdentity, IdentityPolicy] | None = None
        self._ids: list[str] = []
        self._places: dict[str, int] = {}
        self._known: OrderedDict[int, array[int]] = OrderedDict()

    def people(self, ids: Sequence[str | None], instants: Sequence[int | None]) -> list[str | None]:
        """The person of each id at the instant beside it (microseconds since 1970); None: nobody, or no instant."""
        with self._lock:
            then = {at_us: self._at(at_us) for at_us in set(instants) if at_us is not None}
        return [
            None if one is None or at_us is None else self._person(one, then[at_us])
            for one, at_us in zip(ids, instants, strict=True)
        ]

    def _person(self, one: str, then: array[int]) -> str | None:
        place = self._places.get(one)
        person = _NOBODY if place is None else then[place]
        return None if person == _NOBODY else self._ids[person]

    def _at(self, at_us: int) -> array[int]:
        known = self._known.get(at_us)
        if known is None:
            known = self._known[at_us] = self._worked_out(at_us)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(at_us)
        return known

    def _worked_out(self, at_us: int) -> array[int]:
        with uncollected():
            if self._facts is None:
                self._facts = self._load()
                facts = self._facts[0].facts()
                self._ids = [
                    *(name.identifier_id for name in facts.names),
                    *(thing_id for thing_id, _ in facts.things),
                ]
                self._places = {one: place for place, one in enumerate(self._ids)}
            identity, policy = self._facts
            found, places = identity.as_of(at_us).customers(policy), self._places
            return array("i", [places[found[one]] if one in found else _NOBODY for one in self._ids])


def _stored(connection: Any) -> tuple[HistoryIdentity, IdentityPolicy]:
    # A connection of its own: the first is in the middle of the query that asks.
    cursor = connection.cursor()

    def rows(table: str) -> Iterable[tuple[Any, ...]]:
        columns = cursor.execute(f"DESCRIBE {PREFIX}{table}").fetchall()
        chosen = [f"epoch_us({name})" if kind.startswith("TIMESTAMP") else name for name, kind, *_ in columns]
        found: Iterable[tuple[Any, ...]] = cursor.execute(f"SELECT {', '.join(chosen)} FROM {PREFIX}{table}").fetchall()
        return found

    try:
        return stored_identity(rows)
    finally:
        cursor.close()


def _has_tables(connection: Any) -> bool:
    named = {name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    return named.issuperset(PREFIX + name for name in TABLES)


def _macros(connection: Any, person_at: str, where: str) -> None:
    connection.execute(f"CREATE OR REPLACE {where} MACRO person_at(id, at_us) AS {person_at}")
    connection.execute(f"CREATE OR REPLACE {where} MACRO instant_us(instant) AS {_INSTANT}")
    for name, query in _TABLE_MACROS.items():
        connection.execute(f"CREATE OR REPLACE {where} MACRO {name}(t) AS TABLE {query}")
