"""`customer-timeline sql`: ask DuckDB about what a replay wrote."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from customer_timeline.runtime.replay.charts import Chart, Kind, chart_of


def register(app: typer.Typer) -> None:
    """Add the command `sql`."""
    app.command("sql")(sql_command)


def sql_command(
    query: str = typer.Argument(None, help="The query; - reads it from standard input. Without one, what there is."),
    data: Path = typer.Option(Path("history"), help="What a replay wrote: a folder of Parquet, or a DuckDB file."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a row."),
    as_csv: bool = typer.Option(False, "--csv", help="Comma-separated, with a header."),
    plot: Path = typer.Option(None, help="Draw the answer into this PNG file too; replaces one that is there."),
    plot_as: Kind = typer.Option(Kind.AUTO, help="What --plot draws; auto: what fits the answer."),
) -> None:
    """Ask about history in SQL, with DuckDB: over what `replay --to parquet` or `--to duckdb` wrote.

    Views: `events` (what every event has), one a family (`purchases`, `calls`, …) and `people`, with the persons of the
    whole replay. The macros `people_as_of(t)`, `events_as_of(t)` and `customers_as_of(t)` have those of an instant.
    Instants are shown in UTC. Exit code 2 where the query fails.
    --plot draws a label and its numbers as bars, or as lines where the label is a date or a number; two labels and a
    number as a heat map.
    """
    from customer_timeline.runtime.files import write_private
    from customer_timeline.runtime.interrupts import stoppable

    if plot is not None and (query is None or plot.suffix.lower() != ".png"):
        raise typer.BadParameter("--plot takes a query and the name of a .png file.")
    if plot is None and plot_as is not Kind.AUTO:
        raise typer.BadParameter("--plot-as goes with --plot.")
    paint = None if plot is None else _painter()
    with stoppable("The data is as it was; ask again."):
        names, rows = _answer(data, sys.stdin.read() if query == "-" else query)
    if paint is not None:
        write_private(plot, paint(chart_of(names, rows, plot_as)))
    _print(names, rows, as_json=as_json, as_csv=as_csv)


def _answer(data: Path, query: str | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows; without a query those of the views."""
    from customer_timeline.runtime.interrupts import aside
    from customer_timeline.runtime.record_progress import shown_percent
    from customer_timeline.runtime.replay.analysis import ask_watched, described, open_data

    connection = aside(lambda: open_data(data))
    try:
        if query is None:
            return ["view", "columns"], aside(lambda: list(described(connection)))
        with shown_percent("asking") as told:
            return ask_watched(connection, query, told)
    finally:
        connection.close()


def _painter() -> Callable[[Chart], bytes]:
    # Before the query: where matplotlib is missing nobody should wait for an answer first.
    from customer_timeline.runtime.replay.plotting import png_of

    return png_of


def _print(names: list[str], rows: list[tuple[Any, ...]], *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        for row in rows:
            told = dict(zip(names, map(_finite, row), strict=True))
            print(json.dumps(told, default=_text, ensure_ascii=False))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *([_text(value) for value in row] for row in rows)])
    else:
        _print_table(names, [[_text(value) for value in row] for row in rows])


def _print_table(names: list[str], rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    for row in (names, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _finite(value: Any) -> Any:
    """What JSON can say: it has no word for a number that is none, or infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_finite(one) for one in value]
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)
