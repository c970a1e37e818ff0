"""`customer-timeline dead-letters export|remove`: keep dead letters in a file, and only then no longer here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from customer_timeline.runtime import wiring
from customer_timeline.runtime.cli.dead_letters_decide import append, tell_appended
from customer_timeline.runtime.cli.identity import this_user
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.command_groups import command_group
from customer_timeline.runtime.confirming import GO_ON, Manner, decider
from customer_timeline.runtime.interrupts import stoppable
from customer_timeline.runtime.record_progress import shown_records
from customer_timeline.runtime.settings import PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from customer_timeline.runtime.exporting import Removal

_DAYS = typer.Option(
    None,
    "--older-than-days",
    min=0,
    help="Only those recorded longer ago. [default: the setting dead_letters_keep_days]",
)
_JSON = typer.Option(False, "--json", help="One JSON object.")


def register(app: typer.Typer) -> None:
    """Add the commands to the group `dead-letters`."""
    commands = command_group(app, "dead-letters")
    commands.command("export")(export_command)
    commands.command("remove")(remove_command)


def export_command(
    file: Path = typer.Argument(help="The file to write, one JSON object a line; an older one is replaced."),
    older_than_days: int = typer.Option(None, "--older-than-days", min=0, help="Only those recorded longer ago."),
    as_json: bool = _JSON,
) -> None:
    """Write dead letters to a file, whole, whatever was decided about them. Their content may be personal."""
    with stoppable("Nothing was written; run the same command again."):
        count = asyncio.run(_export(load_settings(), file, older_than_days))
    print(json.dumps({"records": count, "file": str(file)}) if as_json else f"{count:,} dead letters are in {file}.")


def remove_command(
    exported: Path = typer.Option(..., "--exported", help="The file that `dead-letters export` wrote."),
    older_than_days: int = _DAYS,
    reason: str = typer.Option("exported", help="Why; kept with the operation."),
    operator: str = typer.Option(None, help="Who decides. [default: the name of this user]"),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what it would do, append nothing; needs no Kafka."),
    as_json: bool = _JSON,
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Remove dead letters that a file holds, byte for byte, and that are older than the days that they are kept.

    Shows how many, then asks. The log keeps the records; a rebuild does not bring them back into the table.
    """
    settings = load_settings()
    days = settings.dead_letters_keep_days or None if older_than_days is None else older_than_days
    if days is None:
        raise typer.BadParameter(
            f"all are kept for ever: set {PREFIX}DEAD_LETTERS_KEEP_DAYS, or give it", param_hint="--older-than-days"
        )
    who, manner = decider(operator or this_user(), reason), Manner(dry_run, as_json, yes)
    with stoppable(GO_ON):
        removal = asyncio.run(_removable(settings, exported, days))
        positions = manner.decide(
            lambda err: _print(removal, days, err=err),
            "Remove them?",
            lambda: append(settings, "removed", removal.places, who),
            worth=bool(removal.places),
        )
    told = {"records": len(removal.places), "younger": removal.younger, "not_as_exported": removal.other}
    tell_appended({**told, "dry_run": dry_run}, positions or [], as_json=as_json)


def _print(removal: Removal, days: int, *, err: bool) -> None:
    typer.echo(f"{len(removal.places):,} dead letters to remove, recorded more than {days:,} days ago", err=err)
    if removal.younger:
        typer.echo(f"stays     {removal.younger:,} younger ones", err=err)
    if removal.other:
        typer.echo(f"stays     {removal.other:,} that are not stored, or not with the bytes of the file", err=err)


async def _export(settings: Settings, file: Path, days: int | None) -> int:
    from customer_timeline.runtime.exporting import cutoff, export

    until = None if days is None else cutoff(SystemClock().now(), days)
    reader = wiring.reader(settings)
    try:
        with shown_records("exporting", None) as step:
            return await export(reader, file, until, step)
    finally:
        await reader.aclose()


async def _removable(settings: Settings, file: Path, days: int) -> Removal:
    from customer_timeline.runtime.exporting import cutoff, removable

    reader = wiring.reader(settings)
    try:
        with shown_records("comparing", None) as step:
            return await removable(reader, file, cutoff(SystemClock().now(), days), step)
    finally:
        await reader.aclose()
