"""DuckDB over what a replay wrote: the same views whether it is Parquet or one DuckDB file. Needs duckdb.

`events` holds what every event has. A family has a view of its own, named in the plural: `purchases`, `calls`. Their
persons are those of the whole replay; those of an instant are told by the macros of `as_of`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, Final

from customer_timeline.producers.errors import PackageMissing
from customer_timeline.runtime.files import FileUnusable
from customer_timeline.runtime.interrupts import begin
from customer_timeline.runtime.replay.as_of import answer_as_of, refuse_as_of
from customer_timeline.runtime.replay.columns import COMMON, columns_of, family_of
from customer_timeline.runtime.replay.crew import Crew
from customer_timeline.runtime.replay.identity_tables import PREFIX, TABLES
from customer_timeline.runtime.replay.output import EVENTS, IDENTITY, PEOPLE
from customer_timeline.runtime.replay.parquet import write_parquet
from customer_timeline.runtime.replay.people import Persons
from customer_timeline.runtime.replay.spool import Holes
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.errors import CustomerTimelineError

try:
    import duckdb
except ImportError as exc:
    raise PackageMissing("DuckDB files and `sql` need duckdb", "analytics") from exc

_LOOK_S: Final = 0.2
_AGAIN_S: Final = 0.02
_STOPPED_S: Final = 10.0

_NO_PLURAL: Final = frozenset({"knowledge", "loyalty", "quality", "social", "identity"})

_SQL_TYPES: Final = {"timestamp[us, tz=UTC]": "TIMESTAMPTZ", "bool": "BOOLEAN", "int64": "BIGINT", "int32": "INTEGER"}


class NoDataError(CustomerTimelineError):
    """There is nothing that a replay wrote."""

    exit_code = 2  # of the command line

    def __init__(self, path: object) -> None:
        super().__init__(
            f"{path} is no data of a replay. Write it with `customer-timeline replay --to parquet --output {path}`."
        )


class QueryError(CustomerTimelineError):
    """DuckDB does not take the query."""

    exit_code = 2  # of the command line

    def __init__(self, told: str) -> None:
        super().__init__(f"The query failed: {' '.join(told.split())}")


def view_of(family: str) -> str:
    """The name of a family's view: `purchases`, `deliveries`; what has no plural stays as it is."""
    if family in _NO_PLURAL:
        return family
    return f"{family[:-1]}ies" if family.endswith("y") and family[-2] not in "aeiou" else f"{family}s"


def families() -> list[str]:
    """Every family of the catalogue that has events: retractions are none."""
    return sorted({family_of(name) for name in CATALOGUE} - {"event"})


def open_data(data: Path) -> Any:
    """A connection that reads what a replay wrote, with the views. Nothing of it is written to.

    Raises NoDataError.
    """
    if data.is_dir() and (data / PEOPLE).is_file():
        connection = duckdb.connect()
        _set_up(connection)
        _views(connection, _parquet(data))
        answer_as_of(connection)
        return connection
    if not data.is_file():
        raise NoDataError(data)
    try:
        connection = duckdb.connect(str(data), read_only=True)
        _set_up(connection)
        connection.execute("SELECT 1 FROM people LIMIT 1")
        answer_as_of(connection)
    except duckdb.Error as exc:
        raise NoDataError(data) from exc
    return connection


def ask(connection: Any, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows. Raises QueryError."""
    try:
        found = connection.execute(query)
        if found is None or found.description is None:
            return [], []
        return [name for name, *_ in found.description], found.fetchall()
    except duckdb.Error as exc:
        raise QueryError(str(exc)) from exc


def ask_watched(
    connection: Any, query: str, told: Callable[[float], object]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """As `ask`, on a thread of its own: DuckDB lets no signal through while it works, or makes another error of what
    it raises. This thread waits and does not work.

    `told`: how much of it is done, in percent, now and then. Whatever is raised here, as by a signal, stops the query.
    """

    def asking() -> tuple[list[str], list[tuple[Any, ...]]]:
        connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        return ask(connection, query)

    answer: Future[tuple[list[str], list[tuple[Any, ...]]]] = Future()
    try:
        begin(asking, answer)
        while not wait([answer], timeout=_LOOK_S).done:
            told(max(0.0, connection.query_progress()))
    except BaseException:
        _stop(connection, answer)
        raise
    return answer.result()


def _stop(connection: Any, answer: Future[Any]) -> None:
    """End the query, so that the connection is free. One that is about to begin takes no notice of an interruption, so
    there are several; none begins where the signal came before its thread was there.
    """
    until = time.monotonic() + _STOPPED_S
    while not wait([answer], timeout=_AGAIN_S).done and time.monotonic() < until:
        connection.interrupt()


def write_duckdb(
    crew: Crew, folder: Path, holes: Mapping[int, Holes], output: Path, persons: Persons
) -> Mapping[str, Any]:
    """Write what won into one DuckDB file with the views in it, which appears when it is whole."""
    data = folder / "data"
    told = write_parquet(crew, folder, holes, data, persons)
    beside = folder / "output.duckdb"
    beside.unlink(missing_ok=True)
    with duckdb.connect(str(beside)) as connection:
        _set_up(connection)
        sources = {}
        for name, source in _parquet(data).items():
            connection.execute(f"CREATE TABLE stored_{name} AS SELECT * FROM ({source})")
            sources[name] = f"SELECT * FROM stored_{name}"
        _views(connection, sources)
        refuse_as_of(connection)
    try:
        beside.chmod(0o600)
        beside.replace(output)
        size = os.stat(output).st_size
    except OSError as exc:
        raise FileUnusable.because("write", output, exc) from exc
    return {"bytes": size, "people": told["people"]}


def _set_up(connection: Any) -> None:
    connection.execute("SET TimeZone = 'UTC'")


def _parquet(data: Path) -> dict[str, str]:
    """By family, `people` and the tables of identity: the query that reads it. A family without events gives none, in
    its columns.
    """
    found = {}
    for family in families():
        folder = data / EVENTS / f"family={family}"
        if folder.is_dir():
            pattern = _quoted(f"{data / EVENTS}/family={family}/*/*.parquet")
            # Folders of months written by different versions may lack a column.
            found[family] = (
                f"SELECT * EXCLUDE (family) FROM read_parquet({pattern}, hive_partitioning = true, "
                "hive_types = {'month': VARCHAR, 'family': VARCHAR}, union_by_name = true)"
            )
        else:
            found[family] = _nothing(family)
    found["people"] = f"SELECT * FROM read_parquet({_quoted(str(data / PEOPLE))})"
    for table in TABLES:
        file = data / IDENTITY / f"{table}.parquet"
        if file.is_file():
            found[PREFIX + table] = f"SELECT * FROM read_parquet({_quoted(str(file))})"
    return found


def _nothing(family: str) -> str:
    columns = [f"NULL::{_sql_type(str(field.type))} AS {json.dumps(field.name)}" for field in columns_of(family).schema]
    return f"SELECT {', '.join(columns)}, NULL::VARCHAR AS month WHERE false"


def _sql_type(arrow: str) -> str:
    if arrow.startswith("decimal128"):
        return f"DECIMAL{arrow.removeprefix('decimal128')}"
    if arrow.startswith("list"):
        return "VARCHAR[]"
    return "DATE" if arrow.startswith("date") else _SQL_TYPES.get(arrow, "VARCHAR")


def _views(connection: Any, sources: Mapping[str, str]) -> None:
    for name in sources.keys() - set(families()):
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sources[name]}")
    for family in families():
        connection.execute(
            f"CREATE OR REPLACE VIEW {view_of(family)} AS SELECT source.*, people.person_id "
            f"FROM ({sources[family]}) AS source LEFT JOIN people ON people.id = source.anchor_id"
        )
    common = ", ".join((*COMMON, "month", "person_id"))
    parts = [f"SELECT {common}, '{family}' AS family FROM {view_of(family)}" for family in families()]
    connection.execute(f"CREATE OR REPLACE VIEW events AS {' UNION ALL '.join(parts)}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def described(connection: Any) -> Sequence[tuple[str, int]]:
    """The views, and how many columns each has."""
    _, rows = ask(
        connection,
        "SELECT table_name, count(*) FROM information_schema.columns WHERE table_name NOT LIKE 'stored_%' "
        "GROUP BY 1 ORDER BY 1",
    )
    return [(name, columns) for name, columns in rows]
