"""The sets of tables of a deployment by their names, and what an operator wants to know of each.

The live set has the configured schema; a rebuild has that name with `_rebuild`; the set that a switch replaced has it
with `_old`. Nothing else remembers which set is which, so nothing can disagree with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from psycopg2 import errors
from psycopg2.sql import SQL, Identifier

from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import SET_SUFFIXES, connect
from customer_timeline.schemas.errors import CustomerTimelineError

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

Role = Literal["live", "rebuild", "old"]
ROLES: tuple[Role, ...] = ("live", "rebuild", "old")
_LONGEST_NAME = 63


class RebuildError(CustomerTimelineError):
    """What was asked of a rebuild cannot be done now; the message says why, and what to do."""


class SetStatus(NamedTuple):
    """One set. `positions`: next offset by partition; `workers`: partitions that a live worker holds; sizes in bytes.

    `absent_indexes`: how many are still to be made; `verified`: what the last verification found, None without one.
    """

    role: Role
    schema: str
    set_id: str
    projection_version: str | None
    positions: Mapping[int, int]
    workers: tuple[int, ...]
    size: int
    absent_indexes: int
    filled: bool
    verified: Mapping[str, Any] | None


def schema_of(settings: Settings, role: Role) -> str:
    """The schema of a set. Raises RebuildError where the configured name leaves no room for the others'."""
    name = f"{settings.database_schema}{SET_SUFFIXES[role]}"
    if len(name) > _LONGEST_NAME:
        raise RebuildError(f"{name} is too long for a schema: a name of at most 55 characters leaves room for it.")
    return name


def settings_of(settings: Settings, role: Role) -> Settings:
    """The same settings with another set's schema."""
    return settings.model_copy(update={"database_schema": schema_of(settings, role)})


@contextmanager
def transaction(settings: Settings, application: str = "customer-timeline rebuild") -> Iterator[Cursor]:
    """One transaction on a connection of its own."""
    with closing(connect(settings, application=application)) as connection, connection, connection.cursor() as cursor:
        yield cursor


def exists(cursor: Cursor, schema: str) -> bool:
    """Whether there is such a schema."""
    cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema])
    return cursor.fetchone() is not None


def statuses(settings: Settings) -> list[SetStatus]:
    """The sets that there are, live first. Raises psycopg2.Error where Postgres does not answer."""
    while True:
        try:
            with transaction(settings) as cursor:
                found = [_status(cursor, settings, role) for role in ROLES if exists(cursor, schema_of(settings, role))]
        except errors.UndefinedTable:
            # A switch between two questions, or a set was dropped: ask again.
            continue
        return [one for one in found if one is not None]


def status(settings: Settings, role: Role) -> SetStatus:
    """One set. Raises RebuildError where there is none."""
    for one in statuses(settings):
        if one.role == role:
            return one
    raise RebuildError(missing(settings, role))


def missing(settings: Settings, role: Role) -> str:
    """What to say where a set is asked for that does not exist."""
    schema = schema_of(settings, role)
    if role == "rebuild":
        return f"There is no rebuild (schema {schema}): `customer-timeline rebuild start` makes one."
    if role == "old":
        return f"There is no old set (schema {schema}): no switch has left one, or it was dropped."
    return f"There is no live set (schema {schema}): run `customer-timeline migrate`."


def _status(cursor: Cursor, settings: Settings, role: Role) -> SetStatus | None:
    schema = schema_of(settings, role)
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{schema}.view_set"])
    if cursor.fetchone() != (True,):
        return None
    cursor.execute(SQL("SET LOCAL search_path TO {}").format(Identifier(schema)))
    cursor.execute("SELECT set_id::text, cardinality(absent_indexes), filled_at IS NOT NULL, verified FROM view_set")
    set_id, absent, filled, verified = cursor.fetchone() or ("", 0, False, None)
    cursor.execute("SELECT projection_version FROM projection_meta")
    (version,) = cursor.fetchone() or (None,)
    cursor.execute(
        "SELECT part, next_offset FROM projector_offset WHERE topic = %s ORDER BY part", [settings.touchpoints_topic]
    )
    positions = dict(cursor.fetchall())
    return SetStatus(
        role, schema, set_id, version, positions, workers_of(cursor), size_of(cursor, schema), absent, filled, verified
    )


def workers_of(cursor: Cursor) -> tuple[int, ...]:
    """Partitions that a living worker holds, of the set that the search path names."""
    cursor.execute(
        "SELECT held.part FROM projector_offset AS held JOIN pg_stat_activity AS backend "
        "ON backend.pid = held.pid AND backend.backend_start = held.backend_start ORDER BY held.part"
    )
    return tuple(part for (part,) in cursor.fetchall())


def size_of(cursor: Cursor, schema: str) -> int:
    """Bytes on disk of all tables of a schema, their indexes and long values included."""
    cursor.execute(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
        "WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind = 'r'",
        [schema],
    )
    (size,) = cursor.fetchone() or (0,)
    return int(size)
