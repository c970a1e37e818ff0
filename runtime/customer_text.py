"""Answers about customers as text for a terminal. Called by the command line with the JSON that the API answers."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 240
Row = tuple[object, ...]


def console(*, err: bool = False) -> Console:
    """The standard output (or error). Into a pipe nothing is cut to the width of a terminal that is not there."""
    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, width=None if stream.isatty() else _PIPE_WIDTH)


def print_customer(customer: dict[str, Any], console: Console) -> None:
    """The view of one customer."""
    console.print(f"customer   {customer['customer_id']}", highlight=False, markup=False)
    print_rows(
        console,
        ("identifier", "value", "first seen", "last seen"),
        [(i["kind"], i["value"], i["first_seen_at"], i["last_seen_at"]) for i in customer["identifiers"]],
    )
    print_rows(
        console,
        ("profile", "value", "said at", "by"),
        [(name, t["value"], t["occurred_at"], t["source"]) for name, t in customer["profile"].items()],
    )
    activity = customer["activity"]
    print_rows(
        console,
        ("channel", "inbound", "outbound", "system", "last"),
        [
            (name, *(c[key] for key in ("inbound", "outbound", "system", "last_at")))
            for name, c in activity["by_channel"].items()
        ],
    )
    purchases = customer["purchases"]
    print_rows(
        console,
        ("currency", "gross", "refunds", "net", "cost"),
        [
            (name, *(c[key] for key in ("gross", "refunds", "net", "cost")))
            for name, c in purchases["by_currency"].items()
        ],
    )
    console.print(
        f"{activity['events']} events, {activity['signs_of_life']} signs of life, the last at "
        f"{activity['last_sign_of_life_at'] or '-'}; {purchases['count']} purchases on {purchases['days']} days, "
        f"median gap {purchases['median_gap_days'] if purchases['median_gap_days'] is not None else '-'} d",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def print_timeline(page: dict[str, Any], console: Console) -> None:
    """A page of a timeline."""
    print_rows(
        console,
        ("time", "type", "channel", "source", "event_id"),
        [(i["time"], i["type"], i["data"].get("channel"), i["source"], i["event_id"]) for i in page["items"]],
    )


def print_lifecycle(told: dict[str, Any], console: Console) -> None:
    """Where one customer stands: the periods, the reasons with what they looked at, and what else bears on it."""
    print_line(console, f"customer   {told['customer_id']}")
    print_line(console, _standing(told))
    print_rows(
        console,
        ("when", "stage", "flags", "from", "until"),
        [
            (when, period["stage"], _words(period["flags"]), period["from"], period["until"] or "for ever")
            for when, period in _periods(told)
        ],
    )
    for reason in told["reasons"]:
        held = told["stage"] if reason["of"] == "stage" else reason["of"]
        print_line(console, f"why {held}: rule {reason['rule']}")
        print_rows(console, ("  looked at", "value"), [(f"  {name}", value) for name, value in _inputs(reason)])
        print_rows(
            console,
            ("  because of", "at", "event_id"),
            [(f"  {e['role']}", e["at"], event_id) for e in reason["events"] for event_id in e["event_ids"] or ("-",)],
        )
    print_line(console, _bearing(told))


def _standing(told: dict[str, Any]) -> str:
    if told["stage"] is None:
        return f"stage      none at {told['at']}"
    flags = f" ({_words(told['flags'])})" if told["flags"] else ""
    until = f"until {told['until']} if nothing happens" if told["until"] else "for ever if nothing happens"
    return f"stage      {told['stage']}{flags} since {told['since']}, {until}"


def _periods(told: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    history, schedule = told["history"], told["schedule"]
    past = [("was", period) for period in history[:-1]] + [("is", period) for period in history[-1:]]
    return past + [("will be", period) for period in schedule]


def _inputs(reason: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a rule looked at, name by name; each open case on a line of its own."""
    found: list[tuple[str, Any]] = []
    for name, value in reason["inputs"].items():
        if isinstance(value, list):
            found += [(f"{key} {place}", one[key]) for place, one in enumerate(value, 1) for key in one]
        else:
            found.append((name, value))
    return found


def _bearing(told: dict[str, Any]) -> str:
    """P(alive), complaints, contracts and answers, in a line."""
    alive, complaints, answers = told["p_alive"], told["complaints"], told["satisfaction"]
    chance = "-"
    if alive:
        chance = (
            f"{alive['p_alive']} ({alive['repeat_days']} repeat days, recency {alive['recency_days']} d, "
            f"age {alive['age_days']} d)"
        )
    scales = ", ".join(f"{scale} {answers[scale]['value'] if answers[scale] else '-'}" for scale in ("csat", "nps"))
    return (
        f"P(alive) {chance}; {complaints['open']} of {complaints['opened_total']} complaints open; "
        f"{len(told['contracts'])} contracts; {scales}; rules {told['rules_version']}, at {told['at']}"
    )


def print_customers(page: dict[str, Any], console: Console) -> None:
    """A page of a list, and how many there are."""
    print_rows(
        console,
        ("customer_id", "stage", "flags", "since", "until", "events", "purchases", "last event"),
        [
            (
                *(item[name] for name in ("customer_id", "stage")),
                _words(item["flags"]),
                *(item[name] for name in ("since", "until", "events", "purchases", "last_event_at")),
            )
            for item in page["items"]
        ],
    )
    counts = ", ".join(f"{stage} {count}" for stage, count in page["counts"].items())
    print_line(console, f"{page['count']} customers at {page['at']}; by stage: {counts}")


def _words(flags: list[str]) -> str:
    return ", ".join(flags) or "-"


def print_line(console: Console, line: str) -> None:
    """A line, however long."""
    console.print(_text(line), highlight=False, markup=False, soft_wrap=True)


def print_difference(difference: dict[str, Any], console: Console) -> None:
    """What changed of a customer, and the events that did it."""
    print_rows(
        console,
        ("field", "before", "after", "events"),
        [(c["field"], _short(c["before"]), _short(c["after"]), len(c["event_ids"])) for c in difference["changes"]],
    )
    print_rows(
        console,
        ("event", "type", "how", "occurred at", "recorded at"),
        [(e["event_id"], e["type"], e["how"], e["occurred_at"], e["recorded_at"]) for e in difference["events"]],
    )
    if not difference["changes"]:
        console.print("Nothing changed.", highlight=False)


def print_late_events(report: dict[str, Any], console: Console) -> None:
    """By how much late events changed the figures of closed months."""
    print_rows(
        console,
        ("month", "measure", "of", "change"),
        [(c["month"], c["measure"], c["key"] or "-", _signed(c["change"])) for c in report["changes"]],
    )
    console.print(
        f"{report['customers']} customers; recorded from {report['from']} until {report['until']}, "
        f"months that ended by {report['close']}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _signed(change: str) -> str:
    return change if change.startswith("-") else f"+{change}"


def _short(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()


def print_rows(console: Console, headings: tuple[str, ...], rows: list[Row]) -> None:
    """A table; nothing where there is no row."""
    if not rows:
        return
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(_text(cell), overflow="fold") for cell in row))
    console.print(table)


def _text(cell: object) -> str:
    # What customers typed must not move the cursor of a terminal.
    text = "-" if cell is None else cell if isinstance(cell, str) else orjson.dumps(cell).decode()
    return "".join(char if char.isprintable() else "?" for char in text)
