"""`customer-timeline customer show|timeline|lifecycle|list|diff`: what the API answers, without the API."""

from __future__ import annotations

import sys

import orjson
import typer

from customer_timeline.api.parameters import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    CutParameters,
    DifferenceParameters,
    ListParameters,
    TimelineParameters,
)
from customer_timeline.api.standing import DEFAULT_WAIT_S, MAX_WAIT_S
from customer_timeline.runtime import customer_text
from customer_timeline.runtime.asking import Positions, answered, parameters

_REFERENCE = typer.Argument(help="Any identifier_id ever given out, or kind:value (email:ann@example.com).")

_JSON = typer.Option(False, "--json", help="What the API answers.")
_AS_OF = typer.Option(None, "--as-of", help="Only what had happened by then: an instant, or a date for its end.")
_KNOWN_AT = typer.Option(None, "--known-at", help="Only what had been recorded by then.")
_IDENTITY = typer.Option(None, "--identity", help="Who is who: by the facts at the cut, or current.")
_AFTER = typer.Option(None, "--after", help="Answer only when these positions are applied: a token; may be repeated.")
_WAIT_S = typer.Option(
    DEFAULT_WAIT_S, "--wait-s", min=0, max=MAX_WAIT_S, help="Seconds to wait for them before giving up (exit code 4)."
)


def register(app: typer.Typer) -> None:
    """Add the commands of `customer`."""
    commands = typer.Typer(
        help="Customers: one's view, timeline, lifecycle and identity, and lists.", no_args_is_help=True
    )
    commands.command("show")(show_command)
    commands.command("timeline")(timeline_command)
    commands.command("lifecycle")(lifecycle_command)
    commands.command("list")(list_command)
    commands.command("diff")(diff_command)
    app.add_typer(commands, name="customer")


def show_command(
    ref: str = _REFERENCE,
    as_of: str = _AS_OF,
    known_at: str = _KNOWN_AT,
    identity: str = _IDENTITY,
    after: list[str] = _AFTER,
    wait_s: float = _WAIT_S,
    as_json: bool = _JSON,
) -> None:
    """Show a customer, now or at a cut: identifiers, profile, activity, purchases."""
    given = parameters(CutParameters, {"as_of": as_of, "known_at": known_at, "identity": identity})
    answer = answered(lambda answering: answering.customer(ref, given), Positions(after or (), wait_s))
    if as_json:
        print(answer.body.decode())
    else:
        customer_text.print_customer(orjson.loads(answer.body), customer_text.console())


def lifecycle_command(
    ref: str = _REFERENCE,
    as_of: str = _AS_OF,
    known_at: str = _KNOWN_AT,
    identity: str = _IDENTITY,
    after: list[str] = _AFTER,
    wait_s: float = _WAIT_S,
    as_json: bool = _JSON,
) -> None:
    """Show where a customer stands: stage, since when and until when, why, what was and what will be."""
    given = parameters(CutParameters, {"as_of": as_of, "known_at": known_at, "identity": identity})
    answer = answered(lambda answering: answering.lifecycle(ref, given), Positions(after or (), wait_s))
    if as_json:
        print(answer.body.decode())
    else:
        customer_text.print_lifecycle(orjson.loads(answer.body), customer_text.console())


def list_command(
    stage: str = typer.Option(None, help="Of one stage: prospect, new, active, loyal, at_risk, churned or won_back."),
    flag: str = typer.Option(
        None, help="With one flag: silent, dormant, complaint_open, unhappy or contract_over, whichever stage won."
    ),
    order: str = typer.Option(
        "customer_id", help="customer_id, last_event, since; with a minus before one of the latter: latest first."
    ),
    limit: int = typer.Option(DEFAULT_LIMIT, min=1, max=MAX_LIMIT, help="Customers at most."),
    cursor: str = typer.Option(None, help="next_cursor of the page before."),
    as_of: str = _AS_OF,
    known_at: str = _KNOWN_AT,
    identity: str = _IDENTITY,
    after: list[str] = _AFTER,
    wait_s: float = _WAIT_S,
    as_json: bool = _JSON,
) -> None:
    """List customers by where they stand, with how many there are of each stage."""
    named = {"stage": stage, "flag": flag, "order": order, "limit": limit, "cursor": cursor}
    cut = {"as_of": as_of, "known_at": known_at, "identity": identity}
    given = parameters(ListParameters, named | cut)
    answer = answered(lambda answering: answering.customers(given), Positions(after or (), wait_s))
    if as_json:
        print(answer.body.decode())
        return
    page = orjson.loads(answer.body)
    customer_text.print_customers(page, customer_text.console())
    _say_more(page["next_cursor"])


def timeline_command(
    ref: str = _REFERENCE,
    limit: int = typer.Option(DEFAULT_LIMIT, min=1, max=MAX_LIMIT, help="Events at most."),
    type_: str = typer.Option(None, "--type", help="Of one type, with or without its version: purchase.completed."),
    channel: str = typer.Option(None, help="Of one channel."),
    from_: str = typer.Option(None, "--from", help="At this instant or later: 2026-03-01T00:00:00Z."),
    until: str = typer.Option(None, help="Before this instant."),
    cursor: str = typer.Option(None, help="next_cursor of the page before."),
    as_of: str = _AS_OF,
    known_at: str = _KNOWN_AT,
    identity: str = _IDENTITY,
    after: list[str] = _AFTER,
    wait_s: float = _WAIT_S,
    as_json: bool = _JSON,
) -> None:
    """List a customer's events, newest first."""
    named = {"limit": limit, "type": type_, "channel": channel, "from": from_, "until": until, "cursor": cursor}
    cut = {"as_of": as_of, "known_at": known_at, "identity": identity}
    given = parameters(TimelineParameters, named | cut)
    answer = answered(lambda answering: answering.timeline(ref, given), Positions(after or (), wait_s))
    if as_json:
        print(answer.body.decode())
        return
    page = orjson.loads(answer.body)
    customer_text.print_timeline(page, customer_text.console())
    _say_more(page["next_cursor"])


def diff_command(
    ref: str = _REFERENCE,
    known_from: str = typer.Option(..., "--known-from", help="What had been recorded by then was known before."),
    known_to: str = typer.Option(None, "--known-to", help="What had been recorded by then is known after; else all."),
    as_of: str = typer.Option(None, "--as-of", help="On both sides only what had happened by then."),
    identity: str = typer.Option("cut", "--identity", help="Who is who: by what each side knew, or current."),
    after: list[str] = _AFTER,
    wait_s: float = _WAIT_S,
    as_json: bool = _JSON,
) -> None:
    """Show what changed of a customer between two instants of recording, and the events that did it."""
    named = {"known_from": known_from, "known_to": known_to, "as_of": as_of, "identity": identity}
    given = parameters(DifferenceParameters, named)
    answer = answered(lambda answering: answering.difference(ref, given), Positions(after or (), wait_s))
    if as_json:
        print(answer.body.decode())
    else:
        customer_text.print_difference(orjson.loads(answer.body), customer_text.console())


def _say_more(cursor: str | None) -> None:
    if cursor:
        print(f"More: --cursor {cursor}", file=sys.stderr)
