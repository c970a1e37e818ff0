"""`customer-timeline dead-letters edit`: publish a repaired copy of a record that could not become an event."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import typer
from pydantic_core import from_json

from customer_timeline.runtime import wiring
from customer_timeline.runtime.cli.dead_letters import NoDeadLetterError, place_of, printable
from customer_timeline.runtime.cli.identity import this_user
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.command_groups import command_group
from customer_timeline.runtime.confirming import GO_ON, PLANNING, PUBLISHING, Decider, Manner, decider, place
from customer_timeline.runtime.interrupts import stoppable
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.json_edit import with_value, without

if TYPE_CHECKING:
    from customer_timeline.producers.protocol import Position
    from customer_timeline.projections.dead_letters import DeadLetterPlace
    from customer_timeline.runtime.effects import Effects
    from customer_timeline.runtime.repairing import Edit, Repair

_SET_FORM: Final = "use JSON_POINTER=JSON, such as /data/csat=4 or '/data/order_id=\"shop:1\"'"


class UnreadableRepairError(CustomerTimelineError):
    """The file of the repaired event cannot be read."""

    exit_code = 2

    def __init__(self, file: Path, problem: str) -> None:
        self.file = file
        super().__init__(f"{file} cannot be read: {problem}.")


def register(app: typer.Typer) -> None:
    """Add the command to the group `dead-letters`."""
    commands = command_group(app, "dead-letters")
    commands.command("edit")(edit_command)


def edit_command(
    record: str = typer.Argument(help="Where it stands: TOPIC/PARTITION/OFFSET, as `list` prints it."),
    set_: list[str] = typer.Option([], "--set", help="JSON_POINTER=JSON: put a value there; may be given often."),
    remove: list[str] = typer.Option([], "--remove", help="JSON_POINTER: take what stands there out; before --set."),
    file: Path | None = typer.Option(None, "--file", help="The whole repaired event, one JSON object."),
    reason: str = typer.Option("repaired by hand", help="Why; kept with the decision."),
    operator: str = typer.Option(None, help="Who decides. [default: the name of this user]"),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what it would do, publish nothing; needs no Kafka."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Publish a repaired copy of a dead letter: the same event where the record shows which, with a higher revision.

    Shows the event (that is personal) and what it changes for its customer, then asks, then publishes. The dead letter
    itself stays listed, as replaced: it is what the log says.
    """
    letter_at = place_of(record)
    if (file is None) == (not set_ and not remove):
        raise typer.BadParameter("give either --set and --remove, or --file", param_hint="--file")
    edit, whole = (edit_of(set_, remove), None) if file is None else (None, whole_of(file))
    who = decider(operator or this_user(), reason)
    settings, manner = load_settings(), Manner(dry_run, as_json, yes)
    with stoppable(GO_ON):
        with shown_step(PLANNING):
            repair, effects, replaced = asyncio.run(_plan(settings, letter_at, edit, whole))
        published = manner.decide(
            lambda err: print_repair(repair, effects, err=err),
            "Publish this event?",
            lambda: _publish(settings, repair, letter_at, who),
            worth=not (replaced and repair.stands_at),
        )
    tell_published(repair, effects, published, manner)


def _publish(settings: Settings, repair: Repair, letter_at: DeadLetterPlace, who: Decider) -> Position | None:
    from customer_timeline.runtime.healing import operation_place
    from customer_timeline.runtime.telling import operation_id, publish_and_tell
    from customer_timeline.schemas.operations import Operation

    edited = Operation(
        operation_id=operation_id("edited", repair, letter_at),
        kind="edited",
        operator=who.operator,
        reason=who.reason,
        decided_at=SystemClock().now(),
        places=(operation_place(letter_at),),
        event_id=UUID(repair.decoded.event_id),
    )
    with shown_step(PUBLISHING):
        return publish_and_tell(settings, repair, lambda at: edited)


async def _plan(
    settings: Settings, letter_at: DeadLetterPlace, edit: Edit | None, whole: Any
) -> tuple[Repair, Effects, bool]:
    """The event, what it changes, and whether an operation says already that it replaces the record."""
    from customer_timeline.runtime.effects import EffectPlanner
    from customer_timeline.runtime.repairing import Repairer

    reader = wiring.reader(settings)
    try:
        letter = await reader.dead_letter(*letter_at)
        if letter is None:
            raise NoDeadLetterError(*letter_at)
        codec, now = wiring.codec(settings), SystemClock().now()
        repair = await Repairer(reader, codec).plan(letter, edit, whole, now=now)
        planner = EffectPlanner(reader, codec, wiring.customer_projection(settings), settings.stages)
        decided = letter.decision is not None and letter.decision.event_id == repair.decoded.event_id
        replaced = letter.summary.state == "replaced" and decided
        return repair, await planner.effects([repair.decoded], now=now), replaced
    finally:
        await reader.aclose()


def edit_of(set_: list[str], remove: list[str]) -> Edit:
    """The change that the options ask for. Raises BadParameter; the change itself JsonPointerError."""
    values = [_assignment(given) for given in set_]

    def edited(document: dict[str, Any]) -> Any:
        found: Any = document
        for pointer in remove:
            found = without(found, pointer)
        for pointer, value in values:
            found = with_value(found, pointer, value)
        return found

    return edited


def _assignment(given: str) -> tuple[str, Any]:
    pointer, separator, text = given.partition("=")
    try:
        value = from_json(text)
    except ValueError as exc:
        raise typer.BadParameter(_SET_FORM, param_hint="--set") from exc
    if not separator:
        raise typer.BadParameter(_SET_FORM, param_hint="--set")
    return pointer, value


def whole_of(file: Path) -> Any:
    """What the file holds. Raises UnreadableRepairError."""
    try:
        return from_json(file.read_bytes())
    except OSError as exc:
        raise UnreadableRepairError(file, exc.strerror or "no reason given") from exc
    except ValueError as exc:
        # The message of a JSON error tells the place and quotes nothing.
        raise UnreadableRepairError(file, f"it is no JSON ({exc})") from exc


def described_repair(repair: Repair, effects: Effects) -> dict[str, Any]:
    """The event and what it changes, for `--json`."""
    from customer_timeline.runtime import effects as effecting
    from customer_timeline.runtime.repairing import described

    return {**described(repair), **effecting.described(effects)}


def tell_published(repair: Repair, effects: Effects, published: Position | None, manner: Manner) -> None:
    """The last line of a command that published an event."""
    if manner.as_json:
        told = {**described_repair(repair, effects), "dry_run": manner.dry_run}
        print(json.dumps({**told, "position": published and published._asdict()}))
    elif published:
        print(f"Published at {place(published)} as {repair.decoded.event_id}; a worker applies it.")
    elif repair.stands_at and not manner.dry_run:
        print(f"The event {repair.decoded.event_id} says this already; nothing was published.")


def print_repair(repair: Repair, effects: Effects, *, err: bool) -> None:
    """The event and what it changes, for people."""
    from customer_timeline.runtime.effects import lines

    told = described_repair(repair, effects)
    id_of = "a new id" if repair.new_id else "the record's id"
    corrects = "" if repair.stored_revision is None else f", corrects revision {repair.stored_revision}"
    typer.echo(f"event     {told['event_id']} ({id_of}), revision {told['revision']}{corrects}", err=err)
    for name in (*told["identifiers"], *told["things"]):
        holder = name["customer_id"] or "nobody yet"
        typer.echo(printable(f"names     {name['kind']}:{name['value']}, customer {holder}"), err=err)
    typer.echo(f"timeline  {_joins(repair)}", err=err)
    for line in lines(effects):
        typer.echo(line, err=err)
    for line in json.dumps(told["event"], indent=2, ensure_ascii=False).splitlines():
        typer.echo(printable(line), err=err)


def _joins(repair: Repair) -> str:
    if repair.customer_id is not None:
        return f"joins that of customer {repair.customer_id}"
    if not repair.decoded.listed or repair.decoded.anchor_id is None:
        return "is in none: it concerns no customer's history"
    if repair.identifiers:
        return "begins one: nobody has these identifiers yet"
    return "waits at what it names, until an event says whose that is"
