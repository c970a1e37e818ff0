"""`customer-timeline customer show|timeline`: what the API answers, without the API."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from customer_timeline.api.answers import Answer, customer_answer, timeline_answer
from customer_timeline.api.cursors import decode_cursor
from customer_timeline.api.parameters import DEFAULT_LIMIT, MAX_LIMIT, TimelineParameters
from customer_timeline.api.references import identifier_id_of
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.errors import CustomerTimelineError

_PIPE_WIDTH = 240
_REFERENCE = typer.Argument(help="Any identifier_id ever given out, or kind:value (email:ann@example.com).")


class UnknownCustomerError(CustomerTimelineError):
    """Nobody ever named the identifier (or the worker has not come to it yet)."""

    def __init__(self) -> None:
        super().__init__("No event named this identifier, or none that was applied yet.")


class InvalidOptionsError(CustomerTimelineError):
    """Options that the API would refuse as parameters."""

    exit_code = 2


def register(app: typer.Typer) -> None:
    """Add the commands `customer show` and `customer timeline`."""
    commands = typer.Typer(help="One customer: the view, the timeline.", no_args_is_help=True)
    commands.command("show")(show_command)
    commands.command("timeline")(timeline_command)
    app.add_typer(commands, name="customer")


def show_command(
    ref: str = _REFERENCE, as_json: bool = typer.Option(False, "--json", help="What the API answers.")
) -> None:
    """Show a customer now: identifiers, profile, activity, purchases."""
    settings = load_settings()
    answer = asyncio.run(_customer(settings, ref))
    if as_json:
        print(answer.body.decode())
    else:
        _print_customer(orjson.loads(answer.body), _console())


def timeline_command(
    ref: str = _REFERENCE,
    limit: int = typer.Option(DEFAULT_LIMIT, min=1, max=MAX_LIMIT, help="Events at most."),
    type_: str = typer.Option(None, "--type", help="Of one type, with or without its version: purchase.completed."),
    channel: str = typer.Option(None, help="Of one channel."),
    from_: str = typer.Option(None, "--from", help="At this instant or later: 2026-03-01T00:00:00Z."),
    until: str = typer.Option(None, help="Before this instant."),
    cursor: str = typer.Option(None, help="next_cursor of the page before."),
    as_json: bool = typer.Option(False, "--json", help="What the API answers."),
) -> None:
    """List a customer's events, newest first."""
    named = {"limit": limit, "type": type_, "channel": channel, "from": from_, "until": until, "cursor": cursor}
    try:
        given = TimelineParameters.model_validate({name: value for name, value in named.items() if value is not None})
    except ValidationError as exc:
        told = "; ".join(
            f"--{error['loc'][0]}: {error['msg'].removeprefix('Value error, ')}"
            for error in exc.errors(include_input=False)
        )
        raise InvalidOptionsError(f"Not valid: {told}.") from exc
    settings = load_settings()
    answer = asyncio.run(_timeline(settings, ref, given))
    if as_json:
        print(answer.body.decode())
        return
    page = orjson.loads(answer.body)
    _print_timeline(page, _console())
    if page["next_cursor"]:
        print(f"More: --cursor {page['next_cursor']}", file=sys.stderr)


async def _customer(settings: Settings, ref: str) -> Answer:
    identifier_id = identifier_id_of(ref, wiring.identifier_space(settings))
    reader = wiring.reader(settings)
    try:
        record = await reader.customer(identifier_id)
    finally:
        await reader.aclose()
    if record is None:
        raise UnknownCustomerError
    return customer_answer(record, wiring.customer_projection(settings))


async def _timeline(settings: Settings, ref: str, given: TimelineParameters) -> Answer:
    identifier_id = identifier_id_of(ref, wiring.identifier_space(settings))
    wanted = given.wanted()
    before = None if given.cursor is None else decode_cursor(given.cursor, wanted)
    reader = wiring.reader(settings)
    try:
        page = await reader.timeline(identifier_id, wanted, limit=given.limit, before=before)
    finally:
        await reader.aclose()
    if page is None:
        raise UnknownCustomerError
    return timeline_answer(page, wanted)


def _console() -> Console:
    # Into a pipe nothing is cut to the width of a terminal that is not there.
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def _print_customer(customer: dict[str, Any], console: Console) -> None:
    console.print(f"customer   {customer['customer_id']}", highlight=False, markup=False)
    _print_rows(
        console,
        ("identifier", "value", "first seen", "last seen"),
        [(i["kind"], i["value"], i["first_seen_at"], i["last_seen_at"]) for i in customer["identifiers"]],
    )
    _print_rows(
        console,
        ("profile", "value", "said at", "by"),
        [(name, t["value"], t["occurred_at"], t["source"]) for name, t in customer["profile"].items()],
    )
    activity = customer["activity"]
    _print_rows(
        console,
        ("channel", "inbound", "outbound", "system", "last"),
        [
            (name, *(c[key] for key in ("inbound", "outbound", "system", "last_at")))
            for name, c in activity["by_channel"].items()
        ],
    )
    purchases = customer["purchases"]
    _print_rows(
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


def _print_timeline(page: dict[str, Any], console: Console) -> None:
    _print_rows(
        console,
        ("time", "type", "channel", "source", "event_id"),
        [(i["time"], i["type"], i["data"].get("channel"), i["source"], i["event_id"]) for i in page["items"]],
    )


def _print_rows(console: Console, headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
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
