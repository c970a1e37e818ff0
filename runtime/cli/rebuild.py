"""`customer-timeline rebuild`: build the view again beside the live one, prove it equal, and switch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer

from customer_timeline.runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from customer_timeline.runtime.rebuild.filling import Progress
    from customer_timeline.runtime.rebuild.sets import SetStatus
    from customer_timeline.runtime.rebuild.switching import Switched

Done = TypeVar("Done")

_AS_JSON = typer.Option(False, "--json", help="One JSON object.")
_MAX_LAG = typer.Option(1000, "--max-lag", min=0, help="Positions that the set may be behind the live one.")
_FORCE = typer.Option(False, "--force", help="Do it although it is refused otherwise.")
_TIMEOUT = typer.Option(60.0, "--timeout", min=0, help="Seconds to try while somebody reads the tables.")


def register(app: typer.Typer) -> None:
    """Add the commands `rebuild …`."""
    commands = typer.Typer(help="A second set of tables beside the live one.", no_args_is_help=True)
    commands.command("start")(start_command)
    commands.command("status")(status_command)
    commands.command("verify")(verify_command)
    commands.command("switch")(switch_command)
    commands.command("rollback")(rollback_command)
    commands.command("drop")(drop_command)
    app.add_typer(commands, name="rebuild")


def start_command(
    workers: int | None = typer.Option(
        None,
        "--workers",
        min=1,
        max=64,
        help="Processes that fill it, each some partitions; default: two a core, at most one a partition.",
    ),
    batch_events: int = typer.Option(20_000, "--batch-events", min=1, max=100_000, help="Most events a transaction."),
    until_filled: bool = typer.Option(False, "--until-filled", help="Stop at the end of the log instead of following."),
    force: bool = typer.Option(False, "--force", help="Start although the disk seems too small."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object once it is filled."),
) -> None:
    """Fill a second set of tables from the beginning of the log with this version and these settings, then follow.

    The live set is not touched. Stop it with Ctrl-C when you like; started again, it goes on where it was. A second
    rebuild at once is refused. Exit codes: 0 filled, 1 failed or refused, 3 a server is not reachable.
    """
    from customer_timeline.runtime.interrupts import EXIT_CODE, Interrupted, interruptible
    from customer_timeline.runtime.rebuild import filling

    settings = load_settings()

    def say(message: str) -> None:
        typer.echo(f"customer-timeline: {message}", err=True)

    with _progress() as told:
        try:
            with interruptible():
                filling.start(
                    settings,
                    workers=workers,
                    batch_events=batch_events,
                    force=force,
                    stay=not until_filled,
                    told=told,
                    say=say,
                )
        except Interrupted:
            say("stopped; `customer-timeline rebuild start` goes on where it was")
            raise typer.Exit(EXIT_CODE) from None
    _print_status(settings, as_json)


def status_command(as_json: bool = _AS_JSON) -> None:
    """The sets that there are: live, rebuild, old; how far each is, who follows with it, and what was verified."""
    _print_status(load_settings(), as_json)


def verify_command(
    as_of: str = typer.Option(None, help="Compare stages at this instant (2026-03-01T00:00:00Z) instead of at all."),
    samples: int = typer.Option(3, "--samples", min=0, help="Rows shown for each table and kind of difference."),
    timeout_s: float = typer.Option(300.0, "--timeout", min=0, help="Seconds to wait for the live set to catch up."),
    as_json: bool = _AS_JSON,
) -> None:
    """Bring the rebuild to exactly the positions of a snapshot of the live set, and compare all that must be equal.

    Its workers stand still meanwhile. Records that only this version accepts are listed as healed; with another
    projection version, differences are listed and are no failure. Samples show personal data. Exit codes: 0 equal, or
    differs for a reason named here; 1 it differs.
    """
    from customer_timeline.runtime.cli.digest import instant_us
    from customer_timeline.runtime.interrupts import aside, stoppable
    from customer_timeline.runtime.rebuild import verifying
    from customer_timeline.runtime.rebuild.text import comparison_text

    settings = load_settings()
    with stoppable("The rebuild's workers go on; run the same command again."), _reading() as observe:
        found = aside(
            lambda: verifying.verify(
                settings, as_of_us=instant_us(as_of), samples=samples, timeout_s=timeout_s, observe=observe
            )
        )
    print(json.dumps(found.as_json()) if as_json else comparison_text(found))
    if not found.ok:
        raise typer.Exit(1)


def switch_command(
    max_lag: int = _MAX_LAG, force: bool = _FORCE, timeout_s: float = _TIMEOUT, as_json: bool = _AS_JSON
) -> None:
    """Let the rebuild be the live set, in one transaction that no reader notices; the set before is the old one.

    Refused while it is not verified, or far behind; --force switches all the same.
    """
    from customer_timeline.runtime.rebuild.switching import switch

    settings = load_settings()
    done = _exchanged(lambda: switch(settings, max_lag=max_lag, force=force, timeout_s=timeout_s))
    _print_switched(done, as_json)


def rollback_command(
    max_lag: int = _MAX_LAG, force: bool = _FORCE, timeout_s: float = _TIMEOUT, as_json: bool = _AS_JSON
) -> None:
    """Undo the switch in the same way, for as long as the old set follows; the other set is a rebuild again."""
    from customer_timeline.runtime.rebuild.switching import rollback

    settings = load_settings()
    done = _exchanged(lambda: rollback(settings, max_lag=max_lag, force=force, timeout_s=timeout_s))
    _print_switched(done, as_json)


def drop_command(
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = _AS_JSON,
) -> None:
    """Drop the old set, or a rebuild that is not wanted any more. Refused while somebody follows with it."""
    from customer_timeline.runtime.rebuild.making import in_megabytes
    from customer_timeline.runtime.rebuild.switching import drop, droppable

    settings = load_settings()
    one = _looked(lambda: droppable(settings))
    if not yes:
        which = f"in {one.schema}, {one.role}, {in_megabytes(one.size)}"
        typer.confirm(f"Drop the set of tables {which}?", abort=True, err=True)
    _exchanged(lambda: drop(settings, one))
    print(json.dumps({"dropped": one.schema}) if as_json else f"Dropped the {one.role} set ({one.schema}).")


def _print_switched(done: Switched, as_json: bool) -> None:
    if as_json:
        print(json.dumps(done._asdict()))
        return
    print(f"Live is now the set {done.live[:8]}; before it was {done.before[:8]}.")


def _print_status(settings: Settings, as_json: bool) -> None:
    from customer_timeline.runtime.rebuild.sets import statuses
    from customer_timeline.runtime.rebuild.text import status_lines

    found: list[SetStatus] = _looked(lambda: statuses(settings))
    if as_json:
        print(json.dumps({"sets": [one._asdict() for one in found]}))
        return
    for line in status_lines(found):
        print(line)


def _looked(look: Callable[[], Done]) -> Done:
    """What a look at the sets gives."""
    from customer_timeline.runtime.interrupts import aside, stoppable
    from customer_timeline.runtime.record_progress import shown_step

    with stoppable("Nothing was changed."), shown_step("reading"):
        return aside(look)


def _exchanged(exchange: Callable[[], Done]) -> Done:
    """What is done to sets in one transaction, which waits for those who read or write them."""
    from customer_timeline.runtime.interrupts import aside, stoppable
    from customer_timeline.runtime.record_progress import shown_step

    how = "It is done as a whole or not at all: `customer-timeline rebuild status` tells."
    with stoppable(how), shown_step("waiting for readers and writers"):
        return aside(exchange)


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """How far it is, on stderr while it is a terminal."""
    from rich.console import Console

    from customer_timeline.runtime.rebuild.text import progress_text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress: None
        return
    with console.status("starting") as status:
        yield lambda progress: status.update(progress_text(progress))


@contextmanager
def _reading() -> Iterator[Callable[[str, int], None]]:
    """What is compared just now, on stderr while it is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what, rows: None
        return
    with console.status("reading") as status:
        yield lambda what, rows: status.update(f"{what}: {rows:,}")
