"""`customer-timeline customer merge|unmerge|why`: decide that two identifiers are one customer, or never; ask why."""

from __future__ import annotations

import asyncio
import getpass
import json
from typing import TYPE_CHECKING

import orjson
import typer

from customer_timeline.api.identity import why_answer
from customer_timeline.api.references import identifier_id_of
from customer_timeline.runtime import customer_text, identity_text, wiring
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.command_groups import command_group
from customer_timeline.runtime.confirming import PLANNING, PUBLISHING, Manner, place
from customer_timeline.runtime.interrupts import stoppable
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.errors import CustomerTimelineError

if TYPE_CHECKING:
    from customer_timeline.api.answers import Answer
    from customer_timeline.producers.protocol import Position
    from customer_timeline.runtime.deciding import Plan, Verdict

_A = typer.Argument(help="An identifier: kind:value (member_id:M-17), or an identifier_id.")
_B = typer.Argument(help="The other identifier.")
_REASON = typer.Option(..., help="Why; kept with the decision and shown to whoever asks.")
_OPERATOR = typer.Option(None, help="Who decides. [default: the name of this user]")
_DRY_RUN = typer.Option(False, "--dry-run", help="Show what it would do, publish nothing; needs no Kafka.")
_JSON = typer.Option(False, "--json", help="One JSON object.")
_YES = typer.Option(False, "--yes", help="Do not ask.")

_GO_ON = "Run the same command again: to decide the same twice changes nothing."


class NobodyDecidesError(CustomerTimelineError):
    """A decision needs a name behind it."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("The name of this user is not known: say who decides with --operator.")


def register(app: typer.Typer) -> None:
    """Add the commands to the group `customer`."""
    commands = command_group(app, "customer")
    commands.command("merge")(merge_command)
    commands.command("unmerge")(unmerge_command)
    commands.command("why")(why_command)


def merge_command(
    a: str = _A,
    b: str = _B,
    reason: str = _REASON,
    operator: str = _OPERATOR,
    dry_run: bool = _DRY_RUN,
    as_json: bool = _JSON,
    yes: bool = _YES,
) -> None:
    """Decide that two identifiers mean one customer, as if it had been known from the start.

    Shows both sides before and after, then asks, then publishes the decision as an event about the two identifiers.
    """
    _decide("linked", (a, b), reason, operator, dry_run=dry_run, as_json=as_json, yes=yes)


def unmerge_command(
    a: str = _A,
    b: str = _B,
    reason: str = _REASON,
    operator: str = _OPERATOR,
    dry_run: bool = _DRY_RUN,
    as_json: bool = _JSON,
    yes: bool = _YES,
) -> None:
    """Decide that two identifiers never mean one customer, until a later merge of the same two.

    Shows who goes where and which links that refuses, then asks, then publishes the decision as an event about the two
    identifiers.
    """
    _decide("unlinked", (a, b), reason, operator, dry_run=dry_run, as_json=as_json, yes=yes)


def why_command(a: str = _A, b: str = _B, as_json: bool = _JSON) -> None:
    """Show why two identifiers are one customer, with the events behind it, or what keeps them apart."""
    settings = load_settings()
    with shown_step("reading"):
        answer = asyncio.run(_why(settings, a, b))
    if as_json:
        print(answer.body.decode())
    else:
        identity_text.print_why(orjson.loads(answer.body), customer_text.console())


async def _why(settings: Settings, a: str, b: str) -> Answer:
    space = wiring.identifier_space(settings)
    first, second = identifier_id_of(a, space), identifier_id_of(b, space)
    reader = wiring.reader(settings)
    try:
        return await why_answer(reader, first, first, second, settings.identity)
    finally:
        await reader.aclose()


def _decide(
    verdict: Verdict,
    refs: tuple[str, str],
    reason: str,
    operator: str | None,
    *,
    dry_run: bool,
    as_json: bool,
    yes: bool,
) -> None:
    from customer_timeline.runtime.deciding import described

    settings = load_settings()

    def publish() -> Position:
        with shown_step(PUBLISHING), wiring.publisher(settings) as publisher:
            return publisher.publish(plan.event).position()

    with stoppable(_GO_ON):
        with shown_step(PLANNING):
            plan = asyncio.run(_plan(settings, verdict, refs, reason, operator or this_user()))
        told = described(plan)
        published = Manner(dry_run, as_json, yes).decide(
            lambda err: identity_text.print_plan(told, customer_text.console(err=err)),
            "Publish this decision?",
            publish,
        )
    if as_json:
        print(json.dumps({**told, "dry_run": dry_run, "position": published and published._asdict()}))
    elif published:
        print(f"Published at {place(published)} as {plan.decoded.event_id}; a worker applies it.")


async def _plan(settings: Settings, verdict: Verdict, refs: tuple[str, str], reason: str, operator: str) -> Plan:
    from customer_timeline.runtime.deciding import Planner

    reader = wiring.reader(settings)
    try:
        planner = Planner(reader, wiring.codec(settings), wiring.customer_projection(settings), settings.stages)
        return await planner.plan(verdict, refs, reason=reason, operator=operator, now=SystemClock().now())
    finally:
        await reader.aclose()


def this_user() -> str:
    """The name of whoever runs the command. Raises NobodyDecidesError."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as exc:
        raise NobodyDecidesError from exc
