"""The last step to Postgres: a schema of its own beside the live one, written by a role that cannot write that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customer_timeline.projections.postgres.replay_tables import ReplayTables
from customer_timeline.runtime import wiring
from customer_timeline.runtime.replay.crew import Crew, hand
from customer_timeline.runtime.replay.folding import events_of
from customer_timeline.runtime.replay.people import Persons
from customer_timeline.runtime.replay.spool import Holes
from customer_timeline.runtime.settings import Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class


def replay_tables(settings: Settings, schema: str) -> ReplayTables:
    """The tables of a replay in that schema. Raises ReplaySchemaError for a name that cannot be one."""

    def connect(role: str | None) -> Connection:
        return wiring.connect_as(settings, role, application="customer-timeline replay")

    return ReplayTables(connect, schema, settings.database_schema)


def write_tables(
    crew: Crew, folder: Path, holes: Mapping[int, Holes], tables: ReplayTables, schema: str, persons: Persons
) -> Mapping[str, Any]:
    """Write what won into the schema: `events` and `people`. The schema has a comment once it is whole."""
    tables.clear()
    written = sum(crew.each(_write, [(folder, schema, number, found) for number, found in sorted(holes.items())]))
    people = persons().person_of
    tables.finish(people, f"A replay of customer-timeline: {written} events.")
    return {"schema": schema, "people": len(set(people.values()))}


def _write(folder: Path, schema: str, partition: int, holes: Holes) -> int:
    mine = hand()
    won = events_of(mine.codec, folder, partition, holes)
    return replay_tables(mine.settings, schema).copy(partition, won)
