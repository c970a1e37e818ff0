"""`customer-timeline projection reset`: throw the view away, so that workers build it again from the log."""

from __future__ import annotations

import json

import typer

from customer_timeline.runtime.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command `projection reset`."""
    commands = typer.Typer(help="The view as a whole.", no_args_is_help=True)
    commands.command("reset")(reset_command)
    # Without a callback typer would drop the name of an only command.
    commands.callback()(_group)
    app.add_typer(commands, name="projection")


def _group() -> None:
    """The view as a whole."""


def reset_command(
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Empty the tables of the view and go on from where the log begins. The log is only read.

    For a log that is no longer the one that the view was made of. What the log does not hold any more is gone for ever.
    Stop all workers before; they build the view again when they are started.
    """
    from customer_timeline.runtime.interrupts import aside, stoppable
    from customer_timeline.runtime.projection_reset import reset
    from customer_timeline.runtime.record_progress import shown_step

    settings = load_settings()
    if not yes:
        typer.confirm(
            f"Empty the view in schema {settings.database_schema}, and build it again from the topic "
            f"{settings.touchpoints_topic}?",
            abort=True,
            err=True,
        )
    with stoppable("The view is emptied as a whole or not at all; run the same command again."), shown_step("emptying"):
        report = aside(lambda: reset(settings))
    if as_json:
        print(json.dumps({"emptied": report.tables, "starts": report.starts}))
        return
    starts = ", ".join(f"{part} at {start}" for part, start in report.starts.items()) or "none"
    print(f"Emptied {', '.join(report.tables)}.")
    print(f"Partitions: {starts}. Start the workers to build the view again.")
