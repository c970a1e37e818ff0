"""`customer-timeline replay`: any part of the log into a file, a table or own code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from customer_timeline.runtime.interrupts import EXIT_CODE, Interrupted, interruptible
from customer_timeline.runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from customer_timeline.runtime.replay.crew import Crew
    from customer_timeline.runtime.replay.deciding import Decided
    from customer_timeline.runtime.replay.folder import Work
    from customer_timeline.runtime.replay.people import Persons
    from customer_timeline.runtime.replay.run import Observe, Outcome, Question, Ways, Write
    from customer_timeline.runtime.replay.spool import Holes


class Target(StrEnum):
    """What a replay writes."""

    NDJSON = "ndjson"
    PARQUET = "parquet"
    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    PYTHON = "python"


def register(app: typer.Typer) -> None:
    """Add the command `replay`."""
    app.command("replay")(replay_command)


def replay_command(
    to: Target = typer.Option(..., help="What is written."),
    output: Path = typer.Option(
        None, help="A file; for parquet a folder, for postgres a schema. [default: standard output]"
    ),
    projection: str = typer.Option(None, help="With --to python: MODULE:CLASS or FILE.py:CLASS of an own projection."),
    from_: str = typer.Option(None, "--from", help="Recorded at this instant (2026-03-01T00:00:00Z) or later."),
    until: str = typer.Option(None, help="As known then: only what had been recorded before this instant."),
    occurred_from: str = typer.Option(None, help="Happened at this instant or later."),
    occurred_until: str = typer.Option(None, help="Happened before this instant."),
    type_: str = typer.Option(None, "--type", help="With its version (purchase.completed.v1), without, or the family."),
    channel: str = typer.Option(None, help="Through this channel."),
    customer: str = typer.Option(None, help="Of this customer, as the view knows her now: an id, or kind:value."),
    partition: int = typer.Option(None, min=0, help="Only what stands in this partition."),
    records: bool = typer.Option(False, "--records", help="The log as it is, each record with its place."),
    max_rate: float = typer.Option(None, min=1, help="Read at most so many records a second."),
    jobs: int = typer.Option(None, min=1, max=64, help="Processes. [default: one a processor]"),
    from_start: bool = typer.Option(
        False, "--from-start", help="Throw away an unfinished replay, and replace what a replay wrote at the output."
    ),
    as_json: bool = typer.Option(False, "--json", help="What was done, as one JSON object, on standard error."),
) -> None:
    """Replay the log: per event the record that counts, without what was retracted, in the order of the log.

    Nothing of the live view is read (but for --customer) or written: --to postgres writes another schema, under a role
    that cannot write the live one. The log is read up to its end at the start.
    A run that was stopped, even killed, is continued by the same command, and its output is the same to the byte.
    Until the end what was read lies in OUTPUT.replay, and takes the room of the events, for parquet and duckdb twice.
    """
    if records and to is not Target.NDJSON:
        raise typer.BadParameter("--records is for --to ndjson.")
    if (projection is None) == (to is Target.PYTHON):
        raise typer.BadParameter("--projection goes with --to python.")
    if output is None and to in (Target.PARQUET, Target.DUCKDB, Target.POSTGRES):
        raise typer.BadParameter(f"--to {to} needs --output.")
    from customer_timeline.runtime.replay.asking import selection_of
    from customer_timeline.runtime.replay.output import check_output
    from customer_timeline.runtime.replay.run import Question, Ways

    settings = load_settings()
    selection = selection_of(
        settings,
        from_=from_,
        until=until,
        occurred_from=occurred_from,
        occurred_until=occurred_until,
        type_=type_,
        channel=channel,
        customer=customer,
    )
    ways = Ways(output, max_rate, jobs, from_start=from_start)
    question = Question(to.value, selection, records, partition)
    if to is Target.PYTHON:
        question, write = _python(question, projection, output)
    elif output is None or to is Target.NDJSON:
        write = _lines(output)
    else:
        write = _telling(settings, question, ways, output)
    if to is not Target.POSTGRES:
        check_output(to.value, output, replace=from_start)
    _run(settings, question, ways, write, as_json)


def _lines(output: Path | None) -> Write:
    from customer_timeline.runtime.replay.ndjson import write_ndjson

    return lambda crew, work, decided: {"bytes": write_ndjson(crew, work.folder, decided.holes, output)}


def _telling(settings: Settings, question: Question, ways: Ways, output: Path) -> Write:
    """To an output that tells whose each event is."""
    from customer_timeline.runtime.replay.people import persons_of

    put = _tables(settings, ways, output) if question.to == Target.POSTGRES else _files(question.to, output)

    def write(crew: Crew, work: Work, decided: Decided) -> Mapping[str, Any]:
        persons = persons_of(work.folder, decided, question.selection, settings.identity)
        return put(crew, work.folder, decided.holes, persons)

    return write


Put = Callable[["Crew", Path, Mapping[int, "Holes"], "Persons"], Mapping[str, Any]]


def _files(to: str, output: Path) -> Put:
    if to == Target.PARQUET:
        from customer_timeline.runtime.replay.parquet import write_parquet

        return lambda crew, folder, holes, persons: write_parquet(crew, folder, holes, output, persons)
    from customer_timeline.runtime.replay.analysis import write_duckdb

    return lambda crew, folder, holes, persons: write_duckdb(crew, folder, holes, output, persons)


def _tables(settings: Settings, ways: Ways, output: Path) -> Put:
    from customer_timeline.runtime.replay.tables import replay_tables, write_tables

    schema = str(output)
    tables = replay_tables(settings, schema)
    # Before the log is read: what Postgres does not allow should not be found out at the end.
    tables.prepare(replace=ways.from_start)
    return lambda crew, folder, holes, persons: write_tables(crew, folder, holes, tables, schema, persons)


def _python(question: Question, reference: str, output: Path | None) -> tuple[Question, Write]:
    from customer_timeline.runtime.files import write_private
    from customer_timeline.runtime.replay.folding import fold_history, handled_types, load_projection

    projection = load_projection(reference)
    details = {"projection": reference, "name": projection.name, "version": projection.version}
    selection = replace(question.selection, types=handled_types(reference, projection))

    def write(crew: Crew, work: Work, decided: Decided) -> Mapping[str, Any]:
        text = fold_history(crew, work.folder, decided.holes, reference, projection) + "\n"
        if output is None:
            print(text, end="")
        else:
            write_private(output, text.encode())
        return {"projection": projection.name, "version": projection.version}

    return replace(question, selection=selection, details=details), write


def _run(settings: Settings, question: Question, ways: Ways, write: Write, as_json: bool) -> None:
    from customer_timeline.runtime.replay.run import replay

    started = time.monotonic()
    try:
        # A second Ctrl-C ends it at once: in the middle of ending its processes it would wait for them for ever.
        with interruptible(), _progress() as observe:
            outcome = replay(settings, question, ways, write, observe)
    except Interrupted:
        go_on = "" if ways.output is None else " Run the same command again to go on."
        print(f"customer-timeline: interrupted.{go_on}", file=sys.stderr)
        raise typer.Exit(EXIT_CODE) from None
    _tell(outcome, question, ways, time.monotonic() - started, as_json)


def _tell(outcome: Outcome, question: Question, ways: Ways, seconds: float, as_json: bool) -> None:
    told: dict[str, Any] = {
        "output": None if ways.output is None else str(ways.output),
        "events": outcome.events,
        "records_read": outcome.read,
        "dead_letters": outcome.dead_letters,
        "superseded": outcome.superseded,
        "retracted": outcome.retracted,
        "resumed": outcome.resumed,
        "seconds": round(seconds, 3),
        "positions": {str(part): list(found) for part, found in outcome.bounds.items()},
        **outcome.written,
    }
    if as_json:
        print(json.dumps(told), file=sys.stderr)
        return
    written = "records" if question.records else "events"
    print(
        f"{outcome.events:,} {written} from {outcome.read:,} records in {seconds:.1f} s "
        f"({outcome.dead_letters:,} dead letters, {outcome.superseded:,} copies and superseded records, "
        f"{outcome.retracted:,} retracted events left out)",
        file=sys.stderr,
    )


@contextmanager
def _progress() -> Iterator[Observe]:
    """A bar with the time that is left, on stderr while it is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step, behind, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def observe(step: str, behind: int, total: int) -> None:
            bar.update(task, description=step, completed=behind, total=total or None)

        yield observe
