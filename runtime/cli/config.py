"""`customer-timeline config show`: every setting, what it is and where it comes from; secrets are masked."""

from __future__ import annotations

import json

import typer

from customer_timeline.runtime.settings import load_settings, shown, variable


def register(app: typer.Typer) -> None:
    """Add the group `config`."""
    group = typer.Typer(no_args_is_help=True)
    group.command("show")(show)
    app.add_typer(group, name="config", help="The settings in force.")


def show(as_json: bool = typer.Option(False, "--json", help="One JSON object.")) -> None:
    """Show every setting with secrets masked."""
    settings = load_settings()
    values = shown(settings)
    if as_json:
        print(json.dumps(values, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Setting", "Value", "From", box=None, pad_edge=False)
    for name, value in values.items():
        origin = variable(name) if name in settings.model_fields_set else "default"
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, text if len(text) <= 200 else text[:197] + "...", origin)
    Console(soft_wrap=True).print(table)
