"""Groups of commands that several modules of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def command_group(app: typer.Typer, name: str) -> typer.Typer:
    """The group that another module made: it is there, for modules are registered in the order of their names."""
    found = next((group.typer_instance for group in app.registered_groups if group.name == name), None)
    if found is None:
        raise LookupError(f"The group of commands `{name}` is not there yet.")
    return found
