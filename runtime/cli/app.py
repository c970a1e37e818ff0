"""The command line: collects the commands of the sibling modules and turns errors into one line. `main` starts it.

A command that is named loads only the modules that it is made of: loading all of them takes twice the time.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 a server is not reachable, 4 the projector
has not come to the positions asked for (ask again), 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

import typer

from customer_timeline.runtime import cli, interrupts
from customer_timeline.runtime.settings import SettingsError
from customer_timeline.schemas.errors import CustomerTimelineError

_NO_COMMANDS: Final = {"app", "main"}
FAILED, USAGE, UNREACHABLE = 1, 2, 3
# Commands that are not made by the one module of their name; a group's first module makes it.
_MADE_BY: Final = {
    "customer": ("customer", "identity"),
    "dead-letters": ("dead_letters", "dead_letters_decide", "dead_letters_edit", "dead_letters_export"),
    "import": ("import_table",),
}


def build_app(words: Sequence[str] = ()) -> typer.Typer:
    """The command line: what these words need of it, or all of it where they name no command."""
    # Typer's own tracebacks show local variables, which may be somebody's email address.
    app = typer.Typer(
        name="customer-timeline",
        help="Every touchpoint of every customer: from Kafka to one view in Postgres.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name in _modules(words):
        importlib.import_module(f"{cli.__name__}.{name}").register(app)
    return app


def _modules(words: Sequence[str]) -> Sequence[str]:
    """Names of the modules to register, in their order."""
    every = sorted(module.name for module in pkgutil.iter_modules(cli.__path__) if module.name not in _NO_COMMANDS)
    together = {name for names in _MADE_BY.values() for name in names}
    made_by = {name: (name,) for name in every if name not in together} | _MADE_BY
    return made_by.get(words[0], every) if words else every


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("customer-timeline"))
        raise typer.Exit


def _options(
    _version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Every touchpoint of every customer: from Kafka to one view in Postgres."""


def run(command: Callable[[], object]) -> None:
    """Run the command line that `build_app` made; a foreseen error is one line on stderr and an exit code."""
    try:
        command()
    except SystemExit as ending:
        if _was_interrupted(ending):
            print("customer-timeline: interrupted.", file=sys.stderr)
        raise
    except BrokenPipeError:
        # The reader of our output (`head`) has gone; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("customer-timeline: interrupted.", file=sys.stderr)
        sys.exit(interrupts.EXIT_CODE)
    except Exception as error:
        told = _foreseen(error)
        if told is None:
            raise
        message, code = told
        print(f"customer-timeline: {message}", file=sys.stderr)
        sys.exit(code)


def _was_interrupted(ending: SystemExit) -> bool:
    """Whether Ctrl-C ended the command, which it left to typer: that ends with the exit code and no word."""
    said = ending.__context__
    return isinstance(said, typer.Exit) and isinstance(said.__cause__, KeyboardInterrupt)


def _foreseen(error: Exception) -> tuple[str, int] | None:
    """What to print and the exit code, for errors that are no bug of ours; None for the others."""
    if isinstance(error, SettingsError):
        return str(error), USAGE
    if isinstance(error, CustomerTimelineError):
        return str(error), int(getattr(error, "exit_code", FAILED))
    module, name = type(error).__module__.partition(".")[0], type(error).__name__
    if module == "psycopg2" and name == "OperationalError":
        return f"Postgres is not reachable: {' '.join(str(error).split())}", UNREACHABLE
    if module == "kafka" and type(error).__name__ in {
        "NoBrokersAvailable",
        "KafkaConnectionError",
        "KafkaTimeoutError",
    }:
        return f"Kafka is not reachable: {error}", UNREACHABLE
    return None
