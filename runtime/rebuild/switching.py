"""The switch: two schemas change names in one transaction, and no reader notices.

Readers find the live set by its name, and a statement that was prepared before resolves its names again. What must not
happen is a statement, or a transaction of several, that has seen one set and goes on in the other. So the switch locks
every table of both sets against everybody first: whoever reads is let finish, whoever comes meanwhile waits, and then
resolves the new names. Readers never wait long: the lock is asked for with a short patience, given up and asked again.
"""

from __future__ import annotations

import time
from itertools import cycle
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg2 import errors
from psycopg2.sql import SQL, Composable, Identifier

from customer_timeline.runtime.rebuild.sets import (
    RebuildError,
    Role,
    SetStatus,
    exists,
    missing,
    schema_of,
    size_of,
    statuses,
    transaction,
    workers_of,
)
from customer_timeline.runtime.settings import Settings

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

# Below the server's deadlock_timeout, after which it would end a reader that has one table and waits for the next.
_PATIENCE_MS: Final = (50, 100, 200, 400)
_BETWEEN_S: Final = 0.1
_WRITERS_MS: Final = 15_000
# Every read begins with this table (projections.postgres.pool). Once it is locked, nobody who reads holds another one;
# in any other order a read that holds one and waits for the next, and the switch, would wait for each other.
_GATE: Final = "identifier"
_MEANWHILE: Final = "Somebody else switched or dropped a set meanwhile: nothing was changed."


class Switched(NamedTuple):
    """What was done: the set that is live now, the one that was, and how long readers may have waited at the end."""

    live: str
    before: str
    attempts: int
    locked_s: float


def switch(settings: Settings, *, max_lag: int, force: bool, timeout_s: float = 60.0) -> Switched:
    """Let the rebuild be the live set and the live set the old one.

    Raises RebuildError where there is no rebuild, it lacks indexes, or, without `force`, it was not verified or is more
    than `max_lag` events behind the live set; or readers did not let go within `timeout_s`.
    """
    sets = _found(settings, "rebuild")
    rebuild, live = sets["rebuild"], sets["live"]
    if "old" in sets:
        raise RebuildError("The set before the last switch is still there: `customer-timeline rebuild drop` first.")
    if rebuild.absent_indexes or not rebuild.filled:
        raise RebuildError(
            "The rebuild is still being filled and lacks indexes: let `customer-timeline rebuild start` finish first."
        )
    if not force:
        if rebuild.verified is None or not rebuild.verified.get("ok"):
            raise RebuildError(
                "The rebuild has not been verified, or was found different: `customer-timeline rebuild verify` tells; "
                "--force switches all the same."
            )
        _refuse_lag(rebuild, live, max_lag, "The rebuild")
    return _exchange(settings, (("live", "old"), ("rebuild", "live")), timeout_s)


def rollback(settings: Settings, *, max_lag: int, force: bool, timeout_s: float = 60.0) -> Switched:
    """Let the set before the switch be live again; the other one is a rebuild again.

    Raises RebuildError where there is no old set or, without `force`, it is more than `max_lag` events behind: it
    stops following when its workers are stopped.
    """
    sets = _found(settings, "old")
    if "rebuild" in sets:
        raise RebuildError("There is a rebuild already: `customer-timeline rebuild drop` first.")
    if not force:
        _refuse_lag(sets["old"], sets["live"], max_lag, "The old set")
    return _exchange(settings, (("live", "rebuild"), ("old", "live")), timeout_s)


def droppable(settings: Settings) -> SetStatus:
    """The set that may go: the old one, or else the rebuild. Raises RebuildError where there is neither.

    One that was killed while it was made has no description yet: its `set_id` is empty.
    """
    sets = {one.role: one for one in statuses(settings)}
    roles: tuple[Role, ...] = ("old", "rebuild")
    with transaction(settings) as cursor:
        for role in roles:
            schema = schema_of(settings, role)
            if exists(cursor, schema):
                size = size_of(cursor, schema)
                return sets.get(role) or SetStatus(role, schema, "", None, {}, (), size, 0, False, None)
    raise RebuildError("There is no set to drop: neither an old one nor a rebuild.")


def drop(settings: Settings, chosen: SetStatus) -> None:
    """Drop this set, as `droppable` gave it.

    Raises RebuildError where its schema holds another set by now, or none; where workers hold it, or it is filled.
    """
    with transaction(settings) as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('customer-timeline rebuild ' || %s, 0))",
            [settings.database_schema],
        )
        if chosen.role == "rebuild" and cursor.fetchone() != (True,):
            raise RebuildError("A process still fills the rebuild: stop it first.")
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        _keep_in_place(cursor, chosen)
        if chosen.set_id and (workers := _workers(cursor, chosen.schema)):
            told = ", ".join(map(str, workers))
            raise RebuildError(
                f"Workers still follow with the set in {chosen.schema} (partitions {told}): stop them first."
            )
        cursor.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(chosen.schema)))


def _keep_in_place(cursor: Cursor, chosen: SetStatus) -> None:
    """Let nobody rename the set until the transaction ends. Raises RebuildError where it has gone from its schema."""
    cursor.execute("SELECT to_regclass(quote_ident(%s) || '.view_set') IS NOT NULL", [chosen.schema])
    found = ""
    if cursor.fetchone() == (True,):
        # A switch begins with the same lock.
        _locked(cursor, [SQL("{}.view_set").format(Identifier(chosen.schema))], "its workers")
        found = _set_id(cursor, chosen.schema)
    if found != chosen.set_id or not exists(cursor, chosen.schema):
        raise RebuildError(_MEANWHILE)


def _workers(cursor: Cursor, schema: str) -> tuple[int, ...]:
    cursor.execute(SQL("SET LOCAL search_path TO {}").format(Identifier(schema)))
    return workers_of(cursor)


def behind(one: SetStatus, other: SetStatus) -> int:
    """By how many positions one set is behind another, added up over the partitions."""
    return sum(max(0, at - one.positions.get(part, 0)) for part, at in other.positions.items())


def _found(settings: Settings, role: Role) -> dict[Role, SetStatus]:
    sets = {one.role: one for one in statuses(settings)}
    for wanted in ("live", role):
        if wanted not in sets:
            raise RebuildError(missing(settings, wanted))
    return sets


def _refuse_lag(one: SetStatus, other: SetStatus, max_lag: int, what: str) -> None:
    lag = behind(one, other)
    if lag > max_lag:
        raise RebuildError(
            f"{what} is {lag:,} positions behind the live one, more than {max_lag:,} (--max-lag): wait until it has "
            f"caught up (`customer-timeline rebuild status`), start its workers where none run, or give --force."
        )


def _exchange(settings: Settings, renames: tuple[tuple[Role, Role], ...], timeout_s: float) -> Switched:
    named = [(schema_of(settings, was), schema_of(settings, becomes)) for was, becomes in renames]
    with transaction(settings) as cursor:
        # Writers first, and with patience: once no batch can begin, only readers are left to wait for.
        cursor.execute("SET LOCAL lock_timeout = %s", [_WRITERS_MS])
        _locked(cursor, [SQL("{}.view_set").format(Identifier(schema)) for schema, _ in named], "its workers")
        before, after = (_set_id(cursor, schema) for schema, _ in named)
        attempts, began = _lock_out_readers(cursor, [schema for schema, _ in named], timeout_s)
        for schema, becomes in named:
            cursor.execute(SQL("ALTER SCHEMA {} RENAME TO {}").format(Identifier(schema), Identifier(becomes)))
    return Switched(after, before, attempts, time.monotonic() - began)


def _set_id(cursor: Cursor, schema: str) -> str:
    cursor.execute(SQL("SELECT set_id::text FROM {}.view_set").format(Identifier(schema)))
    (found,) = cursor.fetchone() or ("",)
    return str(found)


def _deadlock_timeout_ms(cursor: Cursor) -> int:
    cursor.execute("SELECT setting::integer FROM pg_settings WHERE name = 'deadlock_timeout'")
    (found,) = cursor.fetchone() or (1_000,)
    return max(2, int(found))


def _locked(cursor: Cursor, tables: list[Composable], who: str, mode: str = "ACCESS EXCLUSIVE") -> None:
    try:
        cursor.execute(SQL("LOCK TABLE {} IN {} MODE").format(SQL(", ").join(tables), SQL(mode)))
    except errors.LockNotAvailable as exc:
        raise RebuildError(f"The set could not be locked: {who} did not let go in time. Nothing was changed.") from exc
    except errors.UndefinedTable as exc:
        raise RebuildError(_MEANWHILE) from exc


def _lock_out_readers(cursor: Cursor, schemas: list[str], timeout_s: float) -> tuple[int, float]:
    """Lock every table; returns how many attempts it took, and when the last one began."""
    cursor.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = ANY (%s) AND c.relkind = 'r' AND c.relname <> 'view_set' ORDER BY c.relname <> %s, 1, 2",
        [schemas, _GATE],
    )
    tables: list[Composable] = [Identifier(schema, table) for schema, table in cursor.fetchall()]
    # No reader minds this one; the server ends an autovacuum that is in its way, and starts no other.
    _locked(cursor, tables, "somebody who maintains its tables", "SHARE UPDATE EXCLUSIVE")
    most_ms = _deadlock_timeout_ms(cursor) // 2
    deadline = time.monotonic() + timeout_s
    attempts, patience = 1, cycle(_PATIENCE_MS)
    while True:
        began = time.monotonic()
        if _lock_within(cursor, tables, min(next(patience), most_ms)):
            return attempts, began
        if time.monotonic() > deadline:
            raise RebuildError(
                f"Somebody has been reading the tables for more than {timeout_s:g} s (a digest, or a query of an "
                f"analyst): pg_stat_activity shows who. Nothing was changed; try again later."
            )
        attempts += 1
        time.sleep(_BETWEEN_S)


def _lock_within(cursor: Cursor, tables: list[Composable], patience_ms: int) -> bool:
    """Lock all of them in that time, or none."""
    cursor.execute("SAVEPOINT free")
    # The time of the statement, not of each lock: added up, many short waits would be a long one for a reader.
    cursor.execute("SET LOCAL statement_timeout = %s", [patience_ms])
    try:
        cursor.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(SQL(", ").join(tables)))
        cursor.execute("SET LOCAL statement_timeout = 0")
    except (errors.QueryCanceled, errors.LockNotAvailable, errors.DeadlockDetected):
        cursor.execute("ROLLBACK TO SAVEPOINT free; RELEASE SAVEPOINT free")
        return False
    return True
