"""`customer-timeline migrate`: bring the tables up to date."""

from __future__ import annotations

import json

import typer

from customer_timeline.runtime.interrupts import aside, stoppable
from customer_timeline.runtime.migrate import Migration, migrate, pending
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command `migrate`."""
    app.command("migrate")(migrate_command)


def migrate_command(
    check: bool = typer.Option(False, "--check", help="Apply nothing; exit 1 if something is to be applied."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Create the schema and apply every migration that is not applied yet. Safe to run again and at the same time."""
    settings = load_settings()
    url, schema = settings.database_url.get_secret_value(), settings.database_schema

    def tell(migration: Migration) -> None:
        if not as_json:
            print(f"applied {migration.name}")

    with (
        stoppable("Each migration is applied as a whole or not at all: run the same command again."),
        shown_step("looking" if check else "applying migrations"),
    ):
        found = aside(lambda: pending(url, schema) if check else migrate(url, schema, progress=tell))
    names = [migration.name for migration in found]
    if as_json:
        print(json.dumps({"schema": schema, "pending" if check else "applied": names}))
    elif check:
        print("\n".join(f"pending {name}" for name in names) or f"Schema {schema} is up to date.")
    elif not names:
        print(f"Schema {schema} is up to date.")
    if check and names:
        raise typer.Exit(1)
