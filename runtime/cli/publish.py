"""`customer-timeline publish FILE|-`: import CloudEvents, one JSON object a line, into the log."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from customer_timeline.runtime import wiring
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.confirming import PUBLISHING
from customer_timeline.runtime.files import SideFile, opened, size_of
from customer_timeline.runtime.giving_up import close_without_patience
from customer_timeline.runtime.interrupts import between_events
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import load_settings
from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent

if TYPE_CHECKING:
    from customer_timeline.producers.importing import ImportProgress, Line
    from customer_timeline.producers.protocol import Publisher


def register(app: typer.Typer) -> None:
    """Add the command `publish`."""
    app.command("publish")(publish)


def publish(
    file: str = typer.Argument(help="CloudEvents, one JSON object a line; - reads standard input."),
    rejects: Path | None = typer.Option(
        None, help="Where rejected lines go; an older file is replaced. [default: FILE.rejected.ndjson]"
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check every line, publish nothing; needs no Kafka."),
    as_json: bool = typer.Option(False, "--json", help="Summary as one JSON object."),
) -> None:
    """Publish events from a file. Publishing the same file again changes nothing.

    Every line is checked as the projector will check it. A line that is no event goes to the side file with its number,
    the reason and the field at fault; all others are published. Exit code 1 when a line was rejected.
    """
    side_file = rejects or Path("stdin.rejected.ndjson" if file == "-" else f"{file}.rejected.ndjson")
    run = _Import(file, side_file, dry_run=dry_run, as_json=as_json)
    run.execute()
    run.report(sys.stdout)
    if run.progress.rejected_lines:
        raise typer.Exit(1)


class _Import:
    """One run of the command: what is opened for it, and what it tells."""

    def __init__(self, file: str, side_file: Path, *, dry_run: bool, as_json: bool) -> None:
        from customer_timeline.producers.importing import ImportProgress

        self.file = file
        self.side_file = side_file
        self.dry_run = dry_run
        self.as_json = as_json
        self.progress: ImportProgress = ImportProgress()
        self.published = 0
        self.unacknowledged = 0
        self.token: str | None = None
        self.interrupted = False
        self.seconds = 0.0

    def execute(self) -> None:
        """Import everything. Interrupted or failed, it says how far it was before the exception goes on."""
        from customer_timeline.producers.importing import import_lines, read_lines, rejected_line

        # Its retries are not for the user: what matters of them ends in an error, the rest is the bar standing still.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        settings = load_settings()
        with ExitStack() as stack:
            source = stack.enter_context(opened(self.file))
            rejects = stack.enter_context(SideFile(self.side_file, beside=self.file))
            publisher: Publisher | None = None
            if not self.dry_run:
                with shown_step(PUBLISHING):
                    publisher = made = stack.enter_context(wiring.publisher(settings))
                stack.enter_context(between_events(lambda: made.handing_over))
            lines = stack.enter_context(_shown(read_lines(source), self.progress, size_of(source)))
            started = time.monotonic()

            def reject(line: Line, error: InvalidEvent) -> None:
                rejects.add(rejected_line(line, error))

            try:
                import_lines(lines, wiring.codec(settings), publisher, reject, SystemClock().now, self.progress)
            except KeyboardInterrupt:
                self.interrupted = True
                self._stop(publisher, started)
                raise
            except CustomerTimelineError:
                self._stop(publisher, started)
                raise
            self._account(publisher, started)

    def _stop(self, publisher: Publisher | None, started: float) -> None:
        if publisher is not None:
            close_without_patience(publisher)  # the count below says what was not delivered
        self._account(publisher, started)
        self.report(sys.stdout if self.as_json else sys.stderr)
        print("Run the same command again to go on: what is published already changes nothing.", file=sys.stderr)

    def _account(self, publisher: Publisher | None, started: float) -> None:
        if publisher is not None:
            counts = publisher.counts
            self.published, self.unacknowledged = counts.acknowledged, counts.accepted - counts.acknowledged
            self.token = None if publisher.token is None else str(publisher.token)
        self.seconds = time.monotonic() - started

    def summary(self) -> dict[str, Any]:
        """What `--json` prints. `published` counts what Kafka acknowledged; `valid` what passed the check.

        `unacknowledged` counts what was handed to Kafka and not acknowledged: it may be in the log or not.
        `token` stands for the positions of what was published, for reads that must see it.
        """
        rejected = self.progress.rejected_lines
        return {
            "file": self.file,
            "read": self.progress.read,
            "valid": self.progress.accepted,
            "published": self.published,
            "unacknowledged": self.unacknowledged,
            "token": self.token,
            "rejected": rejected,
            "reasons": dict(sorted(self.progress.rejected.items())),
            "rejects": str(self.side_file) if rejected else None,
            "last_line": self.progress.last_line,
            "dry_run": self.dry_run,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "events_per_second": round(self.progress.read / self.seconds) if self.seconds else 0,
        }

    def report(self, stream: Any) -> None:
        """Print the summary, for people or for programs."""
        told = self.summary()
        if self.as_json:
            print(json.dumps(told), file=stream)
            return
        done = f"{told['valid']:,} valid" if self.dry_run else f"{told['published']:,} published"
        stopped = f"Stopped at line {told['last_line']:,}. " if self.interrupted else ""
        speed = f"{told['seconds']:.1f} s, {told['events_per_second']:,} lines/s"
        print(f"{stopped}Read {told['read']:,}: {done}, {told['rejected']:,} rejected ({speed}).", file=stream)
        if told["unacknowledged"]:
            more = f"{told['unacknowledged']:,} more were handed over, and Kafka has not acknowledged them"
            print(f"{more}: they may be in the log or not.", file=stream)
        if told["token"]:
            print(f"Position token: {told['token']}", file=stream)
        if told["rejected"]:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in told["reasons"].items())
            print(f"Rejected lines with their reasons ({reasons}): {self.side_file}", file=stream)


@contextlib.contextmanager
def _shown(lines: Iterator[Line], progress: ImportProgress, total: int | None) -> Iterator[Iterator[Line]]:
    """The lines, with a bar on stderr that follows them; without a terminal there is no bar."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lines
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        started = time.monotonic()

        def followed() -> Iterator[Line]:
            for line in lines:
                yield line
                if line.number % 500 == 0:
                    rate = progress.read / (time.monotonic() - started)
                    text = f"{progress.read:,} read, {progress.rejected_lines:,} rejected, {rate:,.0f}/s"
                    bar.update(task, completed=progress.read_bytes, description=text)

        yield followed()
