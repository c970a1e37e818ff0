"""The report of an import, for people: what `--json` says as well, in a few short tables."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 200
_SHOWN_PROBLEMS = 10


def print_report(told: dict[str, Any], stream: TextIO = sys.stdout) -> None:
    """Print the report to `stream`. There is no personal data in it."""
    console = Console(file=stream, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=True)
    rows, events = told["rows"], sum(event["events"] for event in told["events"])
    done = f"{events:,} events valid" if told["dry_run"] else f"{told['published']:,} events published"
    stopped = f"Stopped after {rows['read']:,} rows. " if told["interrupted"] else ""
    speed = f"{told['seconds']:.1f} s, {told['rows_per_second']:,} rows/s"
    _line(console, f"{stopped}Read {rows['read']:,} rows: {done}, {rows['rejected']:,} rows rejected ({speed}).")
    if told["token"]:
        _line(console, f"Position token: {told['token']}")
    if told["published_before"]:
        _line(console, f"{told['published_before']:,} rows were published by an earlier run and are only counted here.")
    if told["problems"]:
        _line(console, f"\nRejected rows with their reasons: {told['rejects']}")
        console.print(_problems(told["problems"]))
    if any(event["fields"] for event in told["events"]):
        console.print(_completeness(told["events"]))
    if told["identifiers"]:
        console.print(_identifiers(told["identifiers"]))
    for note in told["notes"]:
        _line(console, f"Note: {note}")
    if told["problems"]:
        _line(console, "Mend what stands under `original` in the file of rejected rows, then import that file:")
        _line(console, f"  customer-timeline import {told['rejects']} --mapping {told['mapping']} --mended")


def _line(console: Console, text: str) -> None:
    console.print(Text(text))


def _plain_table(*head: str) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for number, name in enumerate(head):
        table.add_column(name, justify="left" if number == 0 else "right")
    return table


def _problems(problems: list[dict[str, Any]]) -> Table:
    table = Table("Rows", "First", "Reason", "Where", "What is wrong", box=None, pad_edge=False)
    for found in problems[:_SHOWN_PROBLEMS]:
        where = " ".join(filter(None, (found["type"], found["field"])))
        cells = f"{found['rows']:,}", f"row {found['first_row']}", found["reason"], where, found["detail"]
        table.add_row(*map(Text, cells))
    if len(problems) > _SHOWN_PROBLEMS:
        table.add_row("…", "", "", "", f"and {len(problems) - _SHOWN_PROBLEMS} more kinds")
    return table


def _completeness(events: list[dict[str, Any]]) -> Table:
    table = _plain_table("Field", "Filled", "Of", "Complete")
    for event in events:
        table.add_row(Text(event["type"]), "", f"{event['events']:,}", "")
        for target, found in event["fields"].items():
            percent = "" if found["percent"] is None else f"{found['percent']:g} %"
            table.add_row(Text(f"  {target}"), f"{found['filled']:,}", f"{event['events']:,}", percent)
    return table


def _identifiers(kinds: dict[str, Any]) -> Table:
    table = _plain_table("Identifier", "Named", "Distinct", "Left out")
    for kind, found in kinds.items():
        table.add_row(
            Text(kind), f"{found['usable']:,}", f"{found['distinct']:,}", f"{sum(found['dropped'].values()):,}"
        )
    return table
