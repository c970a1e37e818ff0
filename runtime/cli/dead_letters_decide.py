"""`customer-timeline dead-letters retry|discard`: read records again with today's code, or leave them be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from customer_timeline.api.dead_letters import DeadLetterFilters
from customer_timeline.runtime import wiring
from customer_timeline.runtime.asking import parameters
from customer_timeline.runtime.cli.dead_letters import place_of
from customer_timeline.runtime.cli.identity import this_user
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.command_groups import command_group
from customer_timeline.runtime.confirming import GO_ON, Decider, Manner, decider, place
from customer_timeline.runtime.interrupts import stoppable
from customer_timeline.runtime.record_progress import shown_records, shown_step
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.errors import RejectionReason

if TYPE_CHECKING:
    from customer_timeline.projections.dead_letters import DeadLetterFilter, DeadLetterPlace
    from customer_timeline.runtime.healing import RetryPlan
    from customer_timeline.schemas.operations import OperationKind

_TYPE = typer.Option(None, "--type", help="Only those of one type, with or without its version.")
_SINCE = typer.Option(None, help="Recorded at this instant or later.")
_UNTIL = typer.Option(None, help="Recorded before this instant.")
_FINGERPRINT = typer.Option(None, help="Only those of one group, by the fingerprint that the list shows.")
_OPERATOR = typer.Option(None, help="Who decides. [default: the name of this user]")
_DRY_RUN = typer.Option(False, "--dry-run", help="Show what it would do, append nothing; needs no Kafka.")
_JSON = typer.Option(False, "--json", help="One JSON object.")
_YES = typer.Option(False, "--yes", help="Do not ask.")
_SELECTING = "looking for dead letters"


def register(app: typer.Typer) -> None:
    """Add the commands to the group `dead-letters`."""
    commands = command_group(app, "dead-letters")
    commands.command("retry")(retry_command)
    commands.command("discard")(discard_command)


def retry_command(
    reason: RejectionReason = typer.Option(None, help="Only those of one reason."),
    type_: str = _TYPE,
    since: str = _SINCE,
    until: str = _UNTIL,
    fingerprint: str = _FINGERPRINT,
    where: list[str] = typer.Option([], help="This record, TOPIC/PARTITION/OFFSET; may be given often."),
    note: str = typer.Option("read again with today's code", help="Why; kept with the operation."),
    operator: str = _OPERATOR,
    dry_run: bool = _DRY_RUN,
    as_json: bool = _JSON,
    yes: bool = _YES,
) -> None:
    """Read dead letters again with today's code; what is accepted is an event at its own place, as if it never failed.

    Shows how many would be accepted and what that changes for the customers, then asks. Without filters: all open ones.
    """
    named = {"reason": reason, "type": type_, "since": since, "until": until, "fingerprint": fingerprint}
    if where and any(named.values()):
        raise typer.BadParameter("give either records or filters such as --fingerprint", param_hint="--where")
    wanted = parameters(DeadLetterFilters, {**named, "state": "open"}).wanted()
    who = decider(operator or this_user(), note, reason_option="--note")
    settings, manner = load_settings(), Manner(dry_run, as_json, yes)
    with stoppable(GO_ON):
        plan = asyncio.run(_plan_retry(settings, wanted, [place_of(one, "--where") for one in where]))
        positions = manner.decide(
            lambda err: _print(plan, err=err),
            "Read them again?",
            lambda: append(settings, "retried", plan.places, who),
            worth=plan.accepted > 0,
        )
    tell_appended({**_told(plan), "dry_run": dry_run}, positions or [], as_json=as_json)


def discard_command(
    records: list[str] = typer.Argument(None, help="Where they stand: TOPIC/PARTITION/OFFSET; or filters instead."),
    reason: str = typer.Option(..., help="Why; kept with the decision and shown to whoever asks."),
    rejected_for: RejectionReason = typer.Option(None, help="Only those of one reason of rejection."),
    type_: str = _TYPE,
    since: str = _SINCE,
    until: str = _UNTIL,
    fingerprint: str = _FINGERPRINT,
    operator: str = _OPERATOR,
    dry_run: bool = _DRY_RUN,
    as_json: bool = _JSON,
    yes: bool = _YES,
) -> None:
    """Say that dead letters need nobody's attention: they stay listed as discarded, and warn no more.

    Shows how many there are, then asks. With filters: those that are open.
    """
    named = {"reason": rejected_for, "type": type_, "since": since, "until": until, "fingerprint": fingerprint}
    if (not records) == (not any(named.values())):
        raise typer.BadParameter("give either records or filters such as --fingerprint", param_hint="RECORDS")
    wanted = parameters(DeadLetterFilters, {**named, "state": "open"}).wanted()
    who = decider(operator or this_user(), reason)
    settings, manner = load_settings(), Manner(dry_run, as_json, yes)
    with stoppable(GO_ON):
        places = asyncio.run(_select(settings, wanted, [place_of(one) for one in records or ()]))
        positions = manner.decide(
            lambda err: typer.echo(f"{len(places):,} dead letters to discard: {reason}", err=err),
            "Discard them?",
            lambda: append(settings, "discarded", places, who),
            worth=bool(places),
        )
    tell_appended({"records": len(places), "dry_run": dry_run}, positions or [], as_json=as_json)


def append(settings: Settings, kind: OperationKind, places: Sequence[DeadLetterPlace], who: Decider) -> list[str]:
    """Append the operations; where they stand. Raises PublishError."""
    from customer_timeline.runtime.healing import operations

    wanted = operations(kind, places, who, now=SystemClock().now())
    with shown_records("appending", len(places)) as step, wiring.operations_log(settings) as log:
        found = []
        for operation in wanted:
            found.append(log.append(operation))
            step(len(operation.places))
    return [place(at) for at in found]


def tell_appended(told: dict[str, Any], positions: list[str], *, as_json: bool) -> None:
    """The last line of a command that appended operations."""
    if as_json:
        print(json.dumps({**told, "operations": positions}))
    elif positions:
        print(f"Appended at {', '.join(positions)}; a worker applies it.")


async def _plan_retry(settings: Settings, wanted: DeadLetterFilter, named: list[DeadLetterPlace]) -> RetryPlan:
    from customer_timeline.runtime.effects import EffectPlanner
    from customer_timeline.runtime.healing import plan_retry, select

    reader, codec = wiring.reader(settings), wiring.codec(settings)
    try:
        with shown_step(_SELECTING):
            places = await select(reader, wanted, named)
        planner = EffectPlanner(reader, codec, wiring.customer_projection(settings), settings.stages)
        return await plan_retry(reader, codec, planner, places, now=SystemClock().now(), shown=shown_records)
    finally:
        await reader.aclose()


async def _select(
    settings: Settings, wanted: DeadLetterFilter, named: list[DeadLetterPlace]
) -> tuple[DeadLetterPlace, ...]:
    from customer_timeline.runtime.healing import select

    reader = wiring.reader(settings)
    try:
        with shown_step(_SELECTING):
            return await select(reader, wanted, named)
    finally:
        await reader.aclose()


def _told(plan: RetryPlan) -> dict[str, Any]:
    from customer_timeline.runtime.effects import described

    return {
        "records": len(plan.places),
        "accepted": plan.accepted,
        "failing": plan.failing,
        **described(plan.effects),
    }


def _print(plan: RetryPlan, *, err: bool) -> None:
    from customer_timeline.runtime.effects import lines

    typer.echo(f"{len(plan.places):,} dead letters, {plan.accepted:,} would be accepted", err=err)
    for reason, count in sorted(plan.failing.items()):
        typer.echo(f"failing   {count:,} still: {reason}", err=err)
    for line in lines(plan.effects) if plan.accepted else ():
        typer.echo(line, err=err)
