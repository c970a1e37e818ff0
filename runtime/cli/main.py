"""The command `customer-timeline`: collects the commands of the sibling modules and turns errors into one line."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

from customer_timeline.runtime import cli
from customer_timeline.schemas.errors import CustomerTimelineError

app = typer.Typer(name="customer-timeline", no_args_is_help=True, add_completion=False)

for _module in pkgutil.iter_modules(cli.__path__):
    if _module.name != "main":
        importlib.import_module(f"{cli.__name__}.{_module.name}").register(app)


def main() -> None:
    """Run the command line; a foreseen error is one line on stderr and exit code 1."""
    try:
        app()
    except CustomerTimelineError as error:
        print(f"customer-timeline: {error}", file=sys.stderr)
        sys.exit(1)
