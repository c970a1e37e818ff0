"""`customer-timeline sql`: ask DuckDB about what a replay wrote."""

from __future__ import annotations

import csv
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command `sql`."""
    app.command("sql")(sql_command)


def sql_command(
    query: str = typer.Argument(None, help="The query; - reads it from standard input. Without one, what there is."),
    data: Path = typer.Option(Path("history"), help="What a replay wrote: a folder of Parquet, or a DuckDB file."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a row."),
    as_csv: bool = typer.Option(False, "--csv", help="Comma-separated, with a header."),
) -> None:
    """Ask about history in SQL, with DuckDB: over what `replay --to parquet` or `--to duckdb` wrote.

    Views: `events` (what every event has), one a family (`purchases`, `calls`, …), `people`, and the macro
    `customers_as_of(t)`. Instants are shown in UTC. Exit code 2 where the query fails.
    """
    from customer_timeline.runtime.replay.analysis import ask, described, open_data

    connection = open_data(data)
    try:
        if query is None:
            names, rows = ["view", "columns"], list(described(connection))
        else:
            names, rows = ask(connection, sys.stdin.read() if query == "-" else query)
    finally:
        connection.close()
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True)), default=_text, ensure_ascii=False))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *([_text(value) for value in row] for row in rows)])
    else:
        _print_table(names, [[_text(value) for value in row] for row in rows])


def _print_table(names: list[str], rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    for row in (names, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)
