"""`customer-timeline event show|correct|retract`: an accepted event, and what to do where it is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import typer

from customer_timeline.runtime import wiring
from customer_timeline.runtime.cli.dead_letters import printable
from customer_timeline.runtime.cli.dead_letters_edit import edit_of, print_repair, tell_published, whole_of
from customer_timeline.runtime.cli.identity import this_user
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.confirming import GO_ON, PLANNING, PUBLISHING, Decider, Manner, decider
from customer_timeline.runtime.interrupts import stoppable
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from customer_timeline.producers.protocol import Position
    from customer_timeline.projections.dead_letters import DeadLetterPlace
    from customer_timeline.runtime.correcting import Corrector, StoredRecord
    from customer_timeline.runtime.effects import Effects
    from customer_timeline.runtime.repairing import Repair

_EVENT = typer.Argument(help="Its event_id, as `customer timeline --json` shows it.")
_REASON = typer.Option(..., help="Why; kept with it.")
_OPERATOR = typer.Option(None, help="Who decides. [default: the name of this user]")
_DRY_RUN = typer.Option(False, "--dry-run", help="Show what it would do, publish nothing; needs no Kafka.")
_JSON = typer.Option(False, "--json", help="One JSON object.")
_YES = typer.Option(False, "--yes", help="Do not ask.")


def register(app: typer.Typer) -> None:
    """Add the commands of `event`."""
    commands = typer.Typer(help="Accepted events: show one, correct it, take it back.", no_args_is_help=True)
    commands.command("show")(show_command)
    commands.command("correct")(correct_command)
    commands.command("retract")(retract_command)
    app.add_typer(commands, name="event")


def show_command(event: str = _EVENT, as_json: bool = _JSON) -> None:
    """Show an event: the record that counts. Its content is personal."""
    with shown_step("reading"):
        stored = asyncio.run(_stored(load_settings(), event))
    told = stored.described()
    if as_json:
        print(json.dumps(told))
        return
    retracted = ", retracted" if stored.retracted else ""
    print(f"event     {told['event_id']}, revision {told['revision']}{retracted}")
    print(f"recorded  {told['recorded_at']}")
    for line in json.dumps(told["event"], indent=2, ensure_ascii=False).splitlines():
        print(printable(line))


def correct_command(
    event: str = _EVENT,
    reason: str = _REASON,
    set_: list[str] = typer.Option([], "--set", help="JSON_POINTER=JSON: put a value there; may be given often."),
    remove: list[str] = typer.Option([], "--remove", help="JSON_POINTER: take what stands there out; before --set."),
    file: Path | None = typer.Option(None, "--file", help="The whole event as it should be, one JSON object."),
    operator: str = _OPERATOR,
    dry_run: bool = _DRY_RUN,
    as_json: bool = _JSON,
    yes: bool = _YES,
) -> None:
    """Correct an event: publish it again with what it should say and a higher revision.

    Shows the event and what that changes for its customer, then asks, then publishes. What it said before is kept.
    """
    if (file is None) == (not set_ and not remove):
        raise typer.BadParameter("give either --set and --remove, or --file", param_hint="--file")
    edit, whole = (edit_of(set_, remove), None) if file is None else (None, whole_of(file))
    who, settings = decider(operator or this_user(), reason), load_settings()

    async def plan(corrector: Corrector) -> Repair:
        return await corrector.correct(event, edit, whole, now=SystemClock().now())

    def publish(repair: Repair, told: bool) -> Position | None:
        return _publish_correction(settings, repair, who, told=told)

    _decide(settings, plan, publish, "Publish this correction?", Manner(dry_run, as_json, yes))


def retract_command(
    event: str = _EVENT,
    reason: str = _REASON,
    operator: str = _OPERATOR,
    dry_run: bool = _DRY_RUN,
    as_json: bool = _JSON,
    yes: bool = _YES,
) -> None:
    """Take an event back: it did not happen. It leaves timeline and figures as if it had never come.

    Shows what that changes for its customer, then asks, then publishes. What it said is kept.
    """
    who, settings = decider(operator or this_user(), reason), load_settings()

    async def plan(corrector: Corrector) -> Repair:
        return await corrector.retract(event, reason=who.reason, operator=who.operator, now=SystemClock().now())

    def publish(repair: Repair, told: bool) -> Position:
        with shown_step(PUBLISHING), wiring.publisher(settings) as publisher:
            return publisher.publish(repair.decoded).position()

    _decide(settings, plan, publish, "Publish this retraction?", Manner(dry_run, as_json, yes))


def _decide(
    settings: Settings,
    plan: Callable[[Corrector], Awaitable[Repair]],
    publish: Callable[[Repair, bool], Position | None],
    question: str,
    manner: Manner,
) -> None:
    with stoppable(GO_ON):
        with shown_step(PLANNING):
            repair, effects, told = asyncio.run(_planned(settings, plan))
        published = manner.decide(
            lambda err: print_repair(repair, effects, err=err),
            question,
            lambda: publish(repair, told),
            worth=not (told and repair.stands_at),
        )
    tell_published(repair, effects, published, manner)


def _publish_correction(settings: Settings, repair: Repair, who: Decider, *, told: bool) -> Position | None:
    from customer_timeline.runtime.healing import operation_place
    from customer_timeline.runtime.telling import operation_id, publish_and_tell
    from customer_timeline.schemas.operations import Operation

    def corrected(at: DeadLetterPlace) -> Operation:
        return Operation(
            operation_id=operation_id("corrected", repair),
            kind="corrected",
            operator=who.operator,
            reason=who.reason,
            decided_at=SystemClock().now(),
            places=(operation_place(at),),
            event_id=UUID(repair.decoded.event_id),
        )

    with shown_step(PUBLISHING):
        return publish_and_tell(settings, repair, None if told else corrected)


async def _stored(settings: Settings, event: str) -> StoredRecord:
    from customer_timeline.runtime.correcting import Corrector

    reader = wiring.reader(settings)
    try:
        return await Corrector(reader, wiring.codec(settings)).stored(event)
    finally:
        await reader.aclose()


async def _planned(settings: Settings, plan: Callable[[Corrector], Awaitable[Repair]]) -> tuple[Repair, Effects, bool]:
    """The record, what it changes, and whether an operation tells of it already, or need not."""
    from customer_timeline.runtime.correcting import Corrector
    from customer_timeline.runtime.effects import EffectPlanner
    from customer_timeline.runtime.telling import operation_id

    reader, codec = wiring.reader(settings), wiring.codec(settings)
    try:
        repair = await plan(Corrector(reader, codec))
        planner = EffectPlanner(reader, codec, wiring.customer_projection(settings), settings.stages)
        told = await reader.applied_operation(str(operation_id("corrected", repair)))
        # The first record of an event corrects nothing.
        told = told or (repair.stands_at is not None and repair.decoded.revision == 0)
        return repair, await planner.effects([repair.decoded], now=SystemClock().now()), told
    finally:
        await reader.aclose()
