"""The tables of a replay: a schema of its own, written under a role that cannot write the live one.

The role owns the schemas that it fills and nothing else; it can drop only those. A connection takes the role on as it
is made, and refuses to go on where the role could write any table of the live schema, whoever granted that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from psycopg2.errors import DuplicateObject, DuplicateSchema, InsufficientPrivilege, UniqueViolation
from psycopg2.sql import SQL, Identifier

from customer_timeline.projections.postgres.copy_text import NULL, copy_rows, escaped, optional, uuid_array
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.errors import CustomerTimelineError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

ROLE: Final = "customer_timeline_replay"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_TABLES: Final = """
CREATE TABLE events (
    event_id       uuid NOT NULL,
    type           text NOT NULL,
    source         text NOT NULL,
    id             text NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    revision       integer NOT NULL,
    direction      text NOT NULL,
    sign_of_life   boolean NOT NULL,
    listed         boolean NOT NULL,
    channel        text,
    anchor_id      uuid,
    identifier_ids uuid[],
    thing_ids      uuid[],
    log_partition  integer NOT NULL,
    log_offset     bigint NOT NULL,
    event          jsonb NOT NULL
);
COMMENT ON TABLE events IS 'One row per event of a replay: the record that counts; nothing that was retracted.';
CREATE TABLE people (id uuid NOT NULL, person_id uuid NOT NULL);
COMMENT ON TABLE people IS 'Whose each id is that an event stands at: the customer_id of the live view.';
"""

_FINISH: Final = """
ALTER TABLE events ADD PRIMARY KEY (event_id);
ALTER TABLE people ADD PRIMARY KEY (id);
CREATE INDEX events_anchor ON events (anchor_id, occurred_at);
CREATE INDEX events_type ON events (type, occurred_at);
ANALYZE events;
ANALYZE people;
"""

_TOO_STRONG: Final = """
SELECT count(*)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(live)s AND c.relkind IN ('r', 'p', 'v', 'm')
    AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') OR pg_has_role(c.relowner, 'MEMBER'))
"""

Connect = Callable[[str | None], "Connection"]
"""A new connection under the role, or with None as the login itself."""


class ReplaySchemaError(CustomerTimelineError):
    """The schema of a replay cannot be made or written as it must be."""

    exit_code = 2  # of the command line


def check_schema(schema: str, live: str) -> None:
    """Raise ReplaySchemaError for a name that cannot be one, or is the live schema's."""
    if _SCHEMA.fullmatch(schema) is None or schema.startswith("pg_"):
        raise ReplaySchemaError(f"{schema!r} cannot be a schema: small letters, digits and _, at most 63.")
    if schema in (live, "public", "information_schema"):
        raise ReplaySchemaError(f"{schema} is not for replays: name a schema of its own.")


class ReplayTables:
    """One schema of a replay."""

    def __init__(self, connect: Connect, schema: str, live: str) -> None:
        check_schema(schema, live)
        self._connect = connect
        self._schema = schema
        self._live = live

    def prepare(self, *, replace: bool) -> None:
        """Make the role and the schema where they are missing.

        Raises ReplaySchemaError where it is somebody else's, or holds a whole replay that is not to be replaced.
        """
        with _closing(self._connect(None)) as connection:
            self._make_role(connection)
            self._make_schema(connection)
        with _closing(self.open()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT obj_description(to_regnamespace(%s), 'pg_namespace')", [self._schema])
            ((about,),) = cursor.fetchall()
            if about is not None and not replace:
                raise ReplaySchemaError(
                    f"The schema {self._schema} holds a replay already. Name another --output, or give --from-start."
                )

    def clear(self) -> None:
        """Make the tables, empty; what an interrupted run left goes."""
        with _closing(self.open()) as connection, connection.cursor() as cursor:
            cursor.execute(SQL("COMMENT ON SCHEMA {} IS NULL").format(Identifier(self._schema)))
            cursor.execute("DROP TABLE IF EXISTS events, people")
            cursor.execute(_TABLES)

    def open(self) -> Connection:
        """A connection under the role, in the schema. Raises ReplaySchemaError where it could write the live one."""
        connection = self._connect(ROLE)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_TOO_STRONG, {"live": self._live})
                ((count,),) = cursor.fetchall()
                if count:
                    raise ReplaySchemaError(
                        f"The role {ROLE} could write {count} tables of {self._live}: revoke that, from PUBLIC too."
                    )
                cursor.execute(SQL("SET search_path = {}").format(Identifier(self._schema)))
        except BaseException:
            connection.close()
            raise
        return connection

    def copy(self, partition: int, events: Iterable[tuple[int, DecodedEvent]], rows_at_once: int = 5_000) -> int:
        """Add the events of a partition, in one transaction; returns how many."""
        written = 0
        with _closing(self.open()) as connection:
            connection.autocommit = False
            with connection.cursor() as cursor:
                rows: list[str] = []
                for offset, event in events:
                    rows.append(_row(event, partition, offset))
                    if len(rows) >= rows_at_once:
                        copy_rows(cursor, "COPY events FROM STDIN", rows)
                        written += len(rows)
                        rows = []
                if rows:
                    copy_rows(cursor, "COPY events FROM STDIN", rows)
            connection.commit()
        return written + len(rows)

    def finish(self, people: Mapping[str, str], about: str) -> None:
        """Add who is who, the indexes, and what the schema is about."""
        with _closing(self.open()) as connection, connection.cursor() as cursor:
            if people:
                copy_rows(cursor, "COPY people FROM STDIN", [f"{one}\t{person}" for one, person in people.items()])
            cursor.execute(_FINISH)
            cursor.execute(SQL("COMMENT ON SCHEMA {} IS %s").format(Identifier(self._schema)), [about])

    def _make_role(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
            if cursor.fetchone() is None:
                try:
                    cursor.execute(SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(Identifier(ROLE)))
                except (DuplicateObject, UniqueViolation):
                    pass  # another replay made it meanwhile
                except InsufficientPrivilege as exc:
                    raise ReplaySchemaError(
                        f"There is no role {ROLE}, and this login may not make it. Let an administrator say: "
                        f"CREATE ROLE {ROLE} NOLOGIN; GRANT {ROLE} TO the login."
                    ) from exc

    def _make_schema(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            try:
                cursor.execute(
                    SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(Identifier(self._schema), Identifier(ROLE))
                )
            except DuplicateSchema:
                cursor.execute("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s", [self._schema])
                owner = cursor.fetchone()
                if owner is not None and owner[0] != ROLE:
                    raise ReplaySchemaError(
                        f"The schema {self._schema} is there already and is no replay's. Name another --output."
                    ) from None
            except InsufficientPrivilege as exc:
                raise ReplaySchemaError(
                    f"This login may not make the schema {self._schema} for the role {ROLE}. Let an administrator say: "
                    f"CREATE SCHEMA {self._schema} AUTHORIZATION {ROLE}, and GRANT {ROLE} TO the login."
                ) from exc


class _closing:  # noqa: N801 - used as a function
    """psycopg2's own `with` ends a transaction, not the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.autocommit = True

    def __enter__(self) -> Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _row(event: DecodedEvent, partition: int, offset: int) -> str:
    listed = event.listed
    named = event.identifiers if listed else ()
    return (
        f"{event.event_id}\t{event.type}\t{escaped(event.source)}\t{escaped(event.id)}\t{event.occurred_at.isoformat()}\t"
        f"{event.recorded_at.isoformat()}\t{event.revision}\t{event.direction}\t{'t' if event.sign_of_life else 'f'}\t"
        f"{'t' if listed else 'f'}\t{optional(event.channel)}\t{(event.anchor_id if listed else None) or NULL}\t"
        f"{uuid_array(one.identifier_id for one in named) if named else NULL}\t"
        f"{uuid_array(one.thing_id for one in event.things) if event.things else NULL}\t"
        f"{partition}\t{offset}\t{escaped(event.value.decode())}"
    )
