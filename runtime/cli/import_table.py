"""`customer-timeline import FILE --mapping M.toml`: existing histories, from tables into the log."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from customer_timeline.runtime import wiring
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.confirming import PUBLISHING
from customer_timeline.runtime.files import STANDARD_INPUT, FileUnusable, SideFile, opened, size_of
from customer_timeline.runtime.giving_up import close_without_patience
from customer_timeline.runtime.import_report import print_report
from customer_timeline.runtime.interrupts import between_events
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.errors import CustomerTimelineError

if TYPE_CHECKING:
    from customer_timeline.producers.protocol import Publisher
    from customer_timeline.producers.tables.cells import Row
    from customer_timeline.producers.tables.errors import Rejection
    from customer_timeline.producers.tables.importer import TableImport
    from customer_timeline.producers.tables.mapping import Mapping
    from customer_timeline.producers.tables.report import ImportReport
    from customer_timeline.producers.tables.resume import ImportState


def register(app: typer.Typer) -> None:
    """Add the command `import`."""
    app.command("import")(import_table)


def import_table(
    file: str = typer.Argument(
        help="The table: CSV, columns, JSON lines or Parquet; - reads text from standard input."
    ),
    mapping: Path = typer.Option(..., help="What the columns mean, as TOML."),
    rejects: Path | None = typer.Option(
        None, help="Where rejected rows go; an older file is replaced. [default: FILE.rejected.ndjson]"
    ),
    mended: bool = typer.Option(
        False, "--mended", help="FILE is such a file of rejected rows, with what stands under `original` mended."
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Check every row and show the first ones as events; publish nothing; needs no Kafka."
    ),
    show: int = typer.Option(3, min=0, help="How many rows a dry run shows as events."),
    from_start: bool = typer.Option(
        False, "--from-start", help="Publish every row, also those that an interrupted run has published."
    ),
    state: Path | None = typer.Option(
        None, help="Where it is kept how far the import is. [default: FILE.import-state.json]"
    ),
    as_json: bool = typer.Option(False, "--json", help="The report, and rows shown as events, as one JSON object."),
) -> None:
    """Import a table: each row becomes the events that the mapping says. Importing it again changes nothing.

    Every event is checked as the projector will check it. A row that gives an invalid one goes to the side file with
    its number, the reason and the row as it was; all others are published. A run that was stopped, even killed, is
    continued by the same command: rows that are in the log already are checked and counted again, not published again.
    Exit code 1 when a row was rejected.
    """
    run = _Import(file, mapping, dry_run=dry_run, as_json=as_json)
    run.side_file = rejects or Path("stdin.rejected.ndjson" if file == STANDARD_INPUT else f"{file}.rejected.ndjson")
    run.state_file = None if file == STANDARD_INPUT else state or Path(f"{file}.import-state.json")
    run.mended, run.from_start, run.show = mended, from_start, show
    run.execute()
    if run.told["rows"]["rejected"]:
        raise typer.Exit(1)


class _Import:
    """One run of the command: what is opened for it, and what it tells."""

    side_file: Path
    state_file: Path | None
    mended: bool
    from_start: bool
    show: int

    def __init__(self, file: str, mapping: Path, *, dry_run: bool, as_json: bool) -> None:
        self.file = file
        self.mapping_file = mapping
        self.dry_run = dry_run
        self.as_json = as_json
        self.examples: list[dict[str, Any]] = []
        self.told: dict[str, Any] = {}

    def execute(self) -> None:
        """Import everything and tell of it. Stopped or failed, it tells of that before the exception goes on."""
        from customer_timeline.producers.tables.importer import TableImport
        from customer_timeline.producers.tables.opening import check_mapping, open_table
        from customer_timeline.producers.tables.rejects import rejected_row

        # Its retries are not for the user: what matters of them ends in an error, the rest is the bar standing still.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        settings = load_settings()
        codec = wiring.codec(settings)
        mapping, text = self._mapping()
        check_mapping(mapping, codec)
        with ExitStack() as stack:
            source = stack.enter_context(self._source(mapping))
            table, plan, report = open_table(source, mapping, mended=self.mended)
            stack.enter_context(report)
            rejects = stack.enter_context(SideFile(self.side_file, beside=self.file))
            state = self._state(settings, text)
            before = state.rows() if state is not None and not self.from_start else 0
            publisher: Publisher | None = None
            if not self.dry_run:
                with shown_step(PUBLISHING):
                    publisher = made = stack.enter_context(wiring.publisher(settings))
                stack.enter_context(between_events(lambda: made.handing_over))

            def reject(row: Row, error: Rejection) -> None:
                rejects.add(rejected_row(row, table.columns, error))

            run = TableImport(
                plan,
                codec,
                publisher,
                report,
                reject=reject,
                now=SystemClock().now,
                save=None if state is None else state.save,
                published_before=before,
            )
            rows = self._with_examples(table.rows, run) if self.dry_run else table.rows
            self._run(run, publisher, state, stack.enter_context(_shown(rows, report, source, table.total_rows)))

    def _run(
        self, run: TableImport, publisher: Publisher | None, state: ImportState | None, rows: Iterator[Row]
    ) -> None:
        started = time.monotonic()
        try:
            run.run(rows)
        except (KeyboardInterrupt, CustomerTimelineError) as exc:
            if publisher is not None:
                close_without_patience(publisher)  # the count below says what was not delivered
                with contextlib.suppress(CustomerTimelineError):
                    if state is not None and publisher.counts.acknowledged == publisher.counts.accepted:
                        state.save(max(run.published_rows, run.published_before))
            self._tell(run, publisher, started, interrupted=isinstance(exc, KeyboardInterrupt))
            if not self.dry_run:
                print(
                    "Run the same command again to go on: what is published already changes nothing.", file=sys.stderr
                )
            raise
        self._tell(run, publisher, started, interrupted=False)
        if state is not None:
            state.remove()

    def _tell(self, run: TableImport, publisher: Publisher | None, started: float, *, interrupted: bool) -> None:
        seconds = time.monotonic() - started
        self.told = {
            "file": self.file,
            "mapping": str(self.mapping_file),
            "dry_run": self.dry_run,
            "interrupted": interrupted,
            "published": publisher.counts.acknowledged if publisher is not None else 0,
            "token": None if publisher is None or publisher.token is None else str(publisher.token),
            "published_before": min(run.published_before, run.report.rows_read),
            "rejects": str(self.side_file) if run.report.rows_rejected else None,
            "seconds": round(seconds, 3),
            "rows_per_second": round(run.report.rows_read / seconds) if seconds else 0,
            **run.report.summary(),
        }
        if self.as_json:
            print(json.dumps({**self.told, **({"examples": self.examples} if self.dry_run else {})}))
        else:
            print_report(self.told, sys.stderr if interrupted else sys.stdout)

    def _with_examples(self, rows: Iterator[Row], run: TableImport) -> Iterator[Row]:
        """The same rows, once the first of them were shown as events."""
        from rich.console import Console

        head = list(islice(rows, self.show))
        self.examples = [_example(row, run) for row in head]
        if not self.as_json:
            for example in self.examples:
                Console().print_json(data=example)
        return chain(head, rows)

    def _mapping(self) -> tuple[Mapping, str]:
        from customer_timeline.producers.tables.mapping import parse_mapping

        try:
            text = self.mapping_file.read_text(encoding="utf-8")
        except OSError as exc:
            raise FileUnusable.because("read", self.mapping_file, exc) from exc
        except UnicodeDecodeError as exc:
            raise FileUnusable("read", str(self.mapping_file), "it is not encoded in utf-8") from exc
        return parse_mapping(text), text

    @contextlib.contextmanager
    def _source(self, mapping: Mapping) -> Iterator[BinaryIO]:
        if self.file == STANDARD_INPUT and mapping.source.format == "parquet" and not self.mended:
            raise FileUnusable("read", "Parquet from standard input", "its end has to be read first; name a file")
        with opened(self.file) as stream:
            yield stream

    def _state(self, settings: Settings, mapping: str) -> ImportState | None:
        from customer_timeline.producers.tables.resume import ImportState, fingerprint

        if self.dry_run or self.state_file is None:
            return None
        log = f"{settings.kafka_bootstrap} {settings.touchpoints_topic}"
        state = ImportState(self.state_file, fingerprint(Path(self.file), mapping, log))
        # Now, and not after a minute, it is found out that nothing can be written there.
        state.save(0 if self.from_start else state.rows())
        return state


def _example(row: Row, run: TableImport) -> dict[str, Any]:
    try:
        return {"row": row.number, "events": [json.loads(decoded.value) for _, decoded, _ in run.checked(row)]}
    except CustomerTimelineError as error:
        return {"row": row.number, "rejected": str(error)}


@contextlib.contextmanager
def _shown(
    rows: Iterator[Row], report: ImportReport, source: BinaryIO, total_rows: int | None
) -> Iterator[Iterator[Row]]:
    """The rows, with a bar on stderr that follows them; without a terminal there is no bar."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield rows
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total_rows or size_of(source))
        started = time.monotonic()

        def followed() -> Iterator[Row]:
            for row in rows:
                yield row
                if report.rows_read % 500 == 0:
                    rate = report.rows_read / (time.monotonic() - started)
                    text = f"{report.rows_read:,} rows, {report.rows_rejected:,} rejected, {rate:,.0f}/s"
                    done = report.rows_read if total_rows else _position(source)
                    bar.update(task, completed=done, description=text)

        yield followed()


def _position(source: BinaryIO) -> int:
    """Bytes read so far, compressed ones where the file is; 0 where it cannot be known."""
    try:
        return source.tell()
    except OSError:  # a pipe
        return 0
