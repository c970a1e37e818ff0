"""Make the schema of a rebuild: room on the disk, all migrations, and no indexes that filling it does not look into."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg2.sql import SQL, Identifier

from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.runtime.migrate import migrate
from customer_timeline.runtime.rebuild.sets import RebuildError, exists, schema_of, settings_of, size_of, transaction
from customer_timeline.runtime.settings import Settings, is_loopback
from customer_timeline.runtime.wiring import connect

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

_ROOM: Final = 1.3
"""A rebuild is smaller than the live set, which has dead rows; sorting and the server's log need the rest."""

# Of a customer's columns all that change with time are indexed for readers and the sweeper; without these indexes a row
# keeps its place when it changes. What the projector itself looks into stays: keys, and the way to an anchor's events.
_NOT_FOR_FILLING: Final = (
    "customer_by_stage",
    "customer_by_flags",
    "customer_by_sweep",
    "customer_by_since",
    "customer_by_rules",
    "customer_by_partial_due",
    "identifier_shared",
    "link_skipped",
    "outbox_identity_changes",
    "superseded_by_name",
    "superseded_by_thing",
    "superseded_conflicts",
    "dead_letter_by_reason",
    "timeline_by_recorded",
)


class DiskNeed(NamedTuple):
    """Bytes that a rebuild will take about, and that are free; None where this process cannot see the server's disk."""

    needed: int
    free: int | None


def disk_need(settings: Settings) -> DiskNeed:
    """From the size of the live set. The disk is seen where the server runs here and says where its data is."""
    with transaction(settings) as cursor:
        needed = int(size_of(cursor, settings.database_schema) * _ROOM)
        cursor.execute(
            "SELECT CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') "
            "THEN current_setting('data_directory') END"
        )
        (folder,) = cursor.fetchone() or (None,)
        host = cursor.connection.info.host
    here = host is None or host.startswith("/") or is_loopback(host)
    if folder is None or not here or not Path(folder).exists():
        return DiskNeed(needed, None)
    return DiskNeed(needed, shutil.disk_usage(folder).free)


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the one place of a process that fills a rebuild. Raises RebuildError where another has it."""
    with closing(connect(settings, application="customer-timeline rebuild")) as connection:
        # It waits for hours outside a transaction; the lock ends with the session, however this process ends.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_try_advisory_lock(hashtextextended('customer-timeline rebuild ' || %s, 0))",
                [settings.database_schema],
            )
            if cursor.fetchone() != (True,):
                raise RebuildError(
                    "A rebuild is running already: one process fills the second set. Look at it with "
                    "`customer-timeline rebuild status`, or stop that process first."
                )
        yield


def make(settings: Settings, *, force: bool, told: Callable[[str], None]) -> bool:
    """Make the rebuild's schema, or finish making it; returns whether it was there before.

    Raises RebuildError where an old set is still there, or the disk is too small (`force` makes it anyway).
    """
    schema = schema_of(settings, "rebuild")
    with transaction(settings) as cursor:
        if exists(cursor, schema_of(settings, "old")):
            raise RebuildError(
                f"The set before the last switch is still there (schema {schema_of(settings, 'old')}): drop it first "
                f"with `customer-timeline rebuild drop`, or go back to it with `customer-timeline rebuild rollback`."
            )
        there = exists(cursor, schema)
    if not there:
        _check_room(disk_need(settings), force=force, told=told)
    migrate(settings.database_url.get_secret_value(), schema)
    with transaction(settings_of(settings, "rebuild")) as cursor:
        cursor.execute("SELECT consumer_suffix FROM view_set FOR UPDATE")
        if cursor.fetchone() == ("",):
            cursor.execute("UPDATE view_set SET consumer_suffix = '-' || left(set_id::text, 8)")
            _leave_out_indexes(cursor, schema)
            cursor.execute(named_queries("filling.sql")["make_tables"])
    return there


def _check_room(need: DiskNeed, *, force: bool, told: Callable[[str], None]) -> None:
    wanted = f"The rebuild will take about {in_megabytes(need.needed)}"
    if need.free is None:
        told(f"{wanted}; how much is free on the server's disk cannot be seen from here.")
        return
    told(f"{wanted}; {in_megabytes(need.free)} are free.")
    if need.free < need.needed and not force:
        raise RebuildError(
            f"{wanted}, but only {in_megabytes(need.free)} are free on the server's disk. Make room, or start it "
            f"anyway with --force."
        )


def in_megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1_000_000:,.0f} MB"


def _leave_out_indexes(cursor: Cursor, schema: str) -> None:
    cursor.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_class c "
        "WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind = 'i' AND c.relname = ANY (%s) "
        "ORDER BY c.relname",
        [schema, list(_NOT_FOR_FILLING)],
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(SQL("DROP INDEX {}.{}").format(Identifier(schema), Identifier(name)))
    cursor.execute("UPDATE view_set SET absent_indexes = %s", [[statement for _, statement in found]])
