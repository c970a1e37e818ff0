"""Identity as text for a terminal: what a decision would do, and why two are one or not. Called by the command line."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from customer_timeline.runtime.customer_text import print_line, print_rows

_MOST_ROWS = 50


def print_plan(told: dict[str, Any], console: Console) -> None:
    """Both sides before and after a decision, what it refuses, and what it restores."""
    a, b = (f"{told[end]['kind']}:{told[end]['value']}" for end in "ab")
    word = "one customer" if told["type"].startswith("identity.linked") else "never one customer"
    print_line(console, f"{a} and {b}: {word}, says {told['operator']}: {told['reason']}")
    for when in ("before", "after"):
        for side in told[when]:
            _print_side(when, side, console)
    _print_ties("refused", told["refused_links"], console)
    _print_ties("restored", told["restored_links"], console)
    if not told["counts"]:
        print_line(console, "A decision about these two with a later time stands: this one changes nothing.")
    elif not told["changes"]:
        print_line(console, "Nobody's identifiers change.")


def _print_side(when: str, side: dict[str, Any], console: Console) -> None:
    print_line(console, f"{when:<7} customer {side['customer_id']}: {_figures(side['figures'])}")
    members = side["identifiers"]
    print_rows(
        console,
        ("        identifier", "value"),
        [(f"        {member['kind']}", member["value"]) for member in members[:_MOST_ROWS]],
    )
    if len(members) > _MOST_ROWS:
        print_line(console, f"        and {len(members) - _MOST_ROWS} more")


def _figures(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "its history is too long to be folded here, or it changes just now"
    net = "".join(f", {amount} {currency}" for currency, amount in sorted(figures["net"].items()))
    stage = figures["stage"] or "no stage"
    return f"{figures['events']} events, {figures['purchases']} purchases{net}; {stage}"


def _print_ties(what: str, ties: list[dict[str, Any]], console: Console) -> None:
    print_rows(
        console,
        (f"link {what}", "with", "reason", "event_id"),
        [
            (
                _named(tie["a"]),
                _named(tie["b"]),
                tie["reason"],
                next(iter(tie["event_ids"]), "an operator's decision"),
            )
            for tie in ties[:_MOST_ROWS]
        ],
    )
    if len(ties) > _MOST_ROWS:
        print_line(console, f"and {len(ties) - _MOST_ROWS} more links {what}")


def print_why(told: dict[str, Any], console: Console) -> None:
    """Why two identifiers are one customer, or what keeps them apart."""
    a, b = told["a"], told["b"]
    if told["together"]:
        print_line(console, f"{_named(a)} and {_named(b)} are one customer, {a['customer_id']}")
    else:
        print_line(console, f"{_named(a)} (customer {a['customer_id']})")
        print_line(console, f"{_named(b)} (customer {b['customer_id']}) are two customers")
    for veto in told["kept_apart_by"]:
        print_line(console, f"parted by {veto['operator']} at {veto['occurred_at']}: {veto['reason']}")
    print_rows(
        console,
        ("from", "to", "joined", "because of", "at", "event_id"),
        [(_named(link["a"]), _named(link["b"]), _fate(link), *_behind(link)) for link in told["chain"]],
    )
    if told["left_out"]["chain"]:
        print_line(console, f"and {told['left_out']['chain']} more links")
    if not told["together"] and not told["chain"]:
        print_line(console, "Nothing that is known leads from the one to the other.")


def _fate(link: dict[str, Any]) -> str:
    return f"no: {link['refused']['reason']}" if link["refused"] else "yes"


def _behind(link: dict[str, Any]) -> tuple[str, str, str]:
    """What made the link: the operator where one did, else the first event."""
    decision = link["decision"]
    if decision:
        return (f"{decision['operator']}: {decision['reason']}", decision["occurred_at"], decision["event_id"])
    first = link["evidence"][0]
    return (f"{first['type']} from {first['source']}", first["occurred_at"], first["event_id"])


def _named(one: dict[str, Any]) -> str:
    return f"{one['kind']}:{one['value']}"
