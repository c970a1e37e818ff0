"""`customer-timeline customer show|timeline|lifecycle|list`: what the API answers, without the API."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import typer
from pydantic import BaseModel, ValidationError

from customer_timeline.api.answers import Answer, customer_answer, timeline_answer
from customer_timeline.api.cursors import decode_cursor
from customer_timeline.api.lifecycle import Assessment, lifecycle_answer
from customer_timeline.api.lists import list_answer
from customer_timeline.api.parameters import DEFAULT_LIMIT, MAX_LIMIT, ListParameters, TimelineParameters
from customer_timeline.api.references import identifier_id_of
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.runtime import customer_text, wiring
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.errors import CustomerTimelineError

_REFERENCE = typer.Argument(help="Any identifier_id ever given out, or kind:value (email:ann@example.com).")


_JSON = typer.Option(False, "--json", help="What the API answers.")
Parameters = TypeVar("Parameters", bound=BaseModel)
Result = TypeVar("Result")


class UnknownCustomerError(CustomerTimelineError):
    """Nobody ever named the identifier (or the worker has not come to it yet)."""

    def __init__(self) -> None:
        super().__init__("No event named this identifier, or none that was applied yet.")


class InvalidOptionsError(CustomerTimelineError):
    """Options that the API would refuse as parameters."""

    exit_code = 2


def register(app: typer.Typer) -> None:
    """Add the commands of `customer`."""
    commands = typer.Typer(
        help="Customers: one's view, timeline, lifecycle and identity, and lists.", no_args_is_help=True
    )
    commands.command("show")(show_command)
    commands.command("timeline")(timeline_command)
    commands.command("lifecycle")(lifecycle_command)
    commands.command("list")(list_command)
    app.add_typer(commands, name="customer")


def show_command(ref: str = _REFERENCE, as_json: bool = _JSON) -> None:
    """Show a customer now: identifiers, profile, activity, purchases."""
    settings = load_settings()
    answer = asyncio.run(_customer(settings, ref))
    if as_json:
        print(answer.body.decode())
    else:
        customer_text.print_customer(orjson.loads(answer.body), customer_text.console())


def lifecycle_command(ref: str = _REFERENCE, as_json: bool = _JSON) -> None:
    """Show where a customer stands now: stage, since when and until when, why, what was and what will be."""
    settings = load_settings()
    answer = asyncio.run(_lifecycle(settings, ref))
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
    as_json: bool = _JSON,
) -> None:
    """List customers by where they stand, with how many there are of each stage."""
    named = {"stage": stage, "flag": flag, "order": order, "limit": limit, "cursor": cursor}
    given = _parameters(ListParameters, named)
    settings = load_settings()
    answer = asyncio.run(_list(settings, given))
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
    as_json: bool = _JSON,
) -> None:
    """List a customer's events, newest first."""
    named = {"limit": limit, "type": type_, "channel": channel, "from": from_, "until": until, "cursor": cursor}
    given = _parameters(TimelineParameters, named)
    settings = load_settings()
    answer = asyncio.run(_timeline(settings, ref, given))
    if as_json:
        print(answer.body.decode())
        return
    page = orjson.loads(answer.body)
    customer_text.print_timeline(page, customer_text.console())
    _say_more(page["next_cursor"])


def _parameters(model: type[Parameters], named: dict[str, object]) -> Parameters:
    """Options as the API's parameters. Raises InvalidOptionsError."""
    try:
        return model.model_validate({name: value for name, value in named.items() if value is not None})
    except ValidationError as exc:
        told = "; ".join(
            f"--{error['loc'][0]}: {error['msg'].removeprefix('Value error, ')}"
            for error in exc.errors(include_input=False)
        )
        raise InvalidOptionsError(f"Not valid: {told}.") from exc


def _say_more(cursor: str | None) -> None:
    if cursor:
        print(f"More: --cursor {cursor}", file=sys.stderr)


async def _asked(settings: Settings, ask: Callable[[TimelineReader], Awaitable[Result]]) -> Result:
    reader = wiring.reader(settings)
    try:
        return await ask(reader)
    finally:
        await reader.aclose()


async def _customer(settings: Settings, ref: str) -> Answer:
    identifier_id = identifier_id_of(ref, wiring.identifier_space(settings))
    record = await _asked(settings, lambda reader: reader.customer(identifier_id))
    if record is None:
        raise UnknownCustomerError
    return customer_answer(record, wiring.customer_projection(settings))


async def _lifecycle(settings: Settings, ref: str) -> Answer:
    identifier_id = identifier_id_of(ref, wiring.identifier_space(settings))
    by = Assessment(wiring.customer_projection(settings), settings.stages, settings.alive)
    answer = await _asked(settings, lambda reader: lifecycle_answer(reader, identifier_id, by, _now_us()))
    if answer is None:
        raise UnknownCustomerError
    return answer


async def _list(settings: Settings, given: ListParameters) -> Answer:
    rules = settings.stages.version
    return await _asked(settings, lambda reader: list_answer(reader, given, rules=rules, now_us=_now_us()))


async def _timeline(settings: Settings, ref: str, given: TimelineParameters) -> Answer:
    identifier_id = identifier_id_of(ref, wiring.identifier_space(settings))
    wanted = given.wanted()
    before = None if given.cursor is None else decode_cursor(given.cursor, wanted)
    page = await _asked(
        settings, lambda reader: reader.timeline(identifier_id, wanted, limit=given.limit, before=before)
    )
    if page is None:
        raise UnknownCustomerError
    return timeline_answer(page, wanted)


def _now_us() -> int:
    return to_micros(SystemClock().now())
