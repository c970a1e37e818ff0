"""Where the events of one customer stand: the ids that a replay of one customer picks events by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

# As the query `timeline` finds them: the customer's identifiers, and the things that are hers, over at most five steps.
_ANCHORS: Final = """
WITH RECURSIVE members AS MATERIALIZED (
    SELECT m.identifier_id
    FROM identifier AS i
    JOIN identifier AS m ON m.customer_id = i.customer_id
    WHERE i.identifier_id = %(identifier_id)s
),
owned (thing_id, steps) AS (
    SELECT t.thing_id, 0
    FROM members
    JOIN thing AS t ON t.owner_id = members.identifier_id
    UNION ALL
    SELECT t.thing_id, owned.steps + 1
    FROM owned
    JOIN thing AS t ON t.via_thing_id = owned.thing_id AND t.via_thing_id IS NOT NULL
    WHERE t.owner_id IS NULL AND owned.steps < 5
)
SELECT identifier_id::text FROM members
UNION
SELECT thing_id::text FROM owned
"""


def anchors_of(connection: Connection, identifier_id: str) -> frozenset[str]:
    """The ids that events of the customer who holds the identifier stand at; empty where nobody holds it."""
    with connection.cursor() as cursor:
        cursor.execute(_ANCHORS, {"identifier_id": identifier_id})
        return frozenset(anchor for (anchor,) in cursor.fetchall())
