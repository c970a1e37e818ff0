"""Driver errors, translated once. By SQLSTATE, not by exception class: psycopg2 raises an over-long key as
OperationalError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from customer_timeline.projections.journal import StorageError, TransientStorageError, UnstorableRecordError

# connection, transaction rollback (deadlock, serialisation), resources, operator intervention, system error
_TRANSIENT_CLASSES = frozenset({"08", "40", "53", "57", "58"})
_TRANSIENT_STATES = frozenset({"25006", "25P03", "25P04", "55P03"})  # read-only standby, time-outs, lock not available
_RECORD_CLASSES = frozenset({"22", "23", "54"})  # data, integrity, a limit of the server


class UnforeseenStorageError(StorageError):
    """An error of the server that no rule covers; the worker stops, so that somebody looks."""


def translated(error: psycopg2.Error) -> StorageError:
    """Our error for the driver's: transient, one record's fault, or unforeseen. Never quotes row contents."""
    state: str | None = error.pgcode
    if state is None:
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            return TransientStorageError(
                f"Postgres is not reachable ({type(error).__name__}); the batch will be retried."
            )
        return UnforeseenStorageError(f"The Postgres driver failed ({type(error).__name__}: {_first_line(error)}).")
    if state[:2] in _TRANSIENT_CLASSES - {"54"} or state in _TRANSIENT_STATES:
        return TransientStorageError(f"Postgres answered {state} ({type(error).__name__}); the batch will be retried.")
    if state[:2] in _RECORD_CLASSES:
        return UnstorableRecordError(f"Postgres refuses a record: {state} ({type(error).__name__}).")
    return UnforeseenStorageError(f"Postgres answered {state}: {_first_line(error)}")


def refusal_of(error: Exception) -> UnstorableRecordError:
    """The error as one record's fault; anything else is raised again."""
    if isinstance(error, psycopg2.Error):
        known = translated(error)
        if isinstance(known, UnstorableRecordError):
            return known
        raise error
    # psycopg2 itself refuses a NUL in a parameter, with a bare ValueError.
    if "NUL" in str(error):
        return UnstorableRecordError("Postgres refuses a record: text with a NUL character.")
    raise error


@contextmanager
def translating() -> Iterator[None]:
    """Raise our errors instead of the driver's, with the driver's as cause."""
    try:
        yield
    except psycopg2.Error as error:
        raise translated(error) from error


def _first_line(error: psycopg2.Error) -> str:
    # Later lines (DETAIL, CONTEXT) quote row contents, which are personal.
    return str(error).strip().partition("\n")[0]
