"""`customer-timeline restore DIR`: a backup back into an empty Kafka."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from customer_timeline.runtime import wiring
from customer_timeline.runtime.cli.backup import records_of
from customer_timeline.runtime.interrupts import EXIT_CODE, Interrupted, interruptible
from customer_timeline.runtime.record_progress import shown_records
from customer_timeline.runtime.settings import load_settings

if TYPE_CHECKING:
    from customer_timeline.runtime.backup.restoring import RestoredPartition


def register(app: typer.Typer) -> None:
    """Add the command `restore`."""
    app.command("restore")(restore)


def restore(
    folder: Path = typer.Argument(help="Folder of the backup."),
    as_json: bool = typer.Option(False, "--json", help="Tell the outcome as one JSON object."),
) -> None:
    """Restore a backup into a Kafka without its topics; refuses where one holds records.

    The whole backup is checked before anything is written. Bytes, order, keys, partitions and recorded times are those
    of the original, so workers with an empty database fill the same views. Until it is done the topic has settings that
    workers refuse. A run that was stopped, even killed, is continued by the same command. Exit codes: 0 done, 1 refused
    or damaged, 3 Kafka is not reachable, 130 interrupted.
    """
    from customer_timeline.runtime.backup.kafka_topics import kafka_topics
    from customer_timeline.runtime.backup.manifest import required_manifest
    from customer_timeline.runtime.backup.restoring import Restore
    from customer_timeline.runtime.backup.writers import open_writer
    from customer_timeline.streams.log_reader import open_log

    settings = load_settings()
    started = time.monotonic()
    manifest = required_manifest(folder)
    specs = {spec.name: spec for spec in wiring.topics(settings) if spec.is_source}
    bootstrap, records = settings.kafka_bootstrap, records_of(manifest)
    with ExitStack() as stack:
        topics = stack.enter_context(kafka_topics(bootstrap))
        logs, writers = partial(open_log, bootstrap), partial(open_writer, bootstrap)
        run = Restore(folder, manifest, topics, logs, writers, settings.operations_topic)
        try:
            with interruptible():
                with shown_records("checking", records) as observe:
                    run.check(specs, observe)
                with shown_records("restoring", records) as observe:
                    done = run.run(specs, observe)
        except Interrupted:
            print("customer-timeline: interrupted. Run the same command again to go on.", file=sys.stderr)
            raise typer.Exit(EXIT_CODE) from None
    _tell(done, round(time.monotonic() - started, 3), as_json)


def _tell(done: list[RestoredPartition], seconds: float, as_json: bool) -> None:
    restored, found = sum(one.records for one in done), sum(one.found for one in done)
    if as_json:
        partitions = [one._asdict() for one in done]
        print(json.dumps({"records": restored, "found": found, "seconds": seconds, "partitions": partitions}))
        return
    print(f"Restored {restored:,} records in {seconds} s.")
    if found:
        print(f"{found:,} of them an earlier run had restored; they were compared with the backup.")
    for one in done:
        told = "" if one.positions_kept else "  (positions are not those of the original log)"
        print(f"restored     {one.topic}/{one.partition} up to {one.records:,}{told}")
        if one.renamed or one.left_out:
            print(
                f"translated   {one.renamed:,} operations to the new positions of the records that they name; "
                f"{one.left_out:,} left out that name no record of the backup"
            )
