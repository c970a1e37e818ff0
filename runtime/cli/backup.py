"""`customer-timeline backup`: the log into a folder of checksummed segments, and whether such a folder is whole."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from customer_timeline.runtime import wiring
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.interrupts import EXIT_CODE, Interrupted, interruptible
from customer_timeline.runtime.record_progress import shown_records
from customer_timeline.runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from customer_timeline.runtime.backup.manifest import Manifest

_MIB = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the command `backup`."""
    app.command("backup")(backup)


def backup(
    output: Path | None = typer.Option(
        None, "--output", help="Folder of the backup: an empty one, or an earlier backup of the same log to continue."
    ),
    verify: Path | None = typer.Option(
        None, "--verify", help="Make no backup: check the one in this folder. Needs no Kafka."
    ),
    segment_mib: int = typer.Option(
        64, "--segment-mib", min=1, max=4096, help="Size of a file before compression; a kill costs at most one."
    ),
    as_json: bool = typer.Option(False, "--json", help="Tell the outcome as one JSON object."),
) -> None:
    """Copy the log, byte for byte, into a folder; again into the same folder, and what is new is added.

    Keys, values, headers, times, order and partitions are kept, in compressed segments, with a manifest of positions
    and SHA-256 checksums. What arrives after the start is left to the next run. A run that was stopped, even killed, is
    continued by the same command. The folder holds personal data: only its owner may read it. Exit codes: 0 done,
    1 refused or damaged, 2 wrong usage, 3 Kafka is not reachable, 130 interrupted.
    """
    if (output is None) == (verify is None):
        raise typer.BadParameter("either --output or --verify says what to do.")
    if verify is not None:
        _verify(verify, as_json)
    elif output is not None:
        _save(output, segment_mib * _MIB, as_json)


def _verify(folder: Path, as_json: bool) -> None:
    from customer_timeline.runtime.backup.checking import check_backup
    from customer_timeline.runtime.backup.manifest import required_manifest

    manifest = required_manifest(folder)
    with shown_records("checking", records_of(manifest)) as observe:
        check_backup(folder, manifest, observe)
    _tell(folder, manifest, {"verified": True}, as_json, "The backup is whole")


def _save(folder: Path, segment_bytes: int, as_json: bool) -> None:
    from customer_timeline.runtime.backup.kafka_topics import kafka_topics
    from customer_timeline.runtime.backup.manifest import sole_use
    from customer_timeline.runtime.backup.saving import Backup
    from customer_timeline.streams.log_reader import open_log

    settings = load_settings()
    started = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(sole_use(folder))
        topics = stack.enter_context(kafka_topics(settings.kafka_bootstrap))
        run = Backup(
            folder,
            topics,
            lambda name: open_log(settings.kafka_bootstrap, name),
            SystemClock().now,
            version("customer-timeline"),
        )
        stack.callback(run.close)
        stretches = run.plan(source_topics(settings), settings.kafka_bootstrap)
        before = records_of(run.manifest)
        try:
            with (
                interruptible(),
                shown_records("saving", sum(one.until - one.start for one in stretches)) as observe,
            ):
                run.run(stretches, segment_bytes, observe)
        except Interrupted:
            told = f"interrupted; {records_of(run.manifest) - before:,} records more are safe in {folder}"
            print(f"customer-timeline: {told}. Run the same command again to go on.", file=sys.stderr)
            raise typer.Exit(EXIT_CODE) from None
    added = records_of(run.manifest) - before
    seconds = round(time.monotonic() - started, 3)
    _tell(
        folder, run.manifest, {"added": added, "seconds": seconds}, as_json, f"Saved {added:,} records in {seconds} s"
    )


def source_topics(settings: Settings) -> list[str]:
    """The topics that hold what nothing else could tell."""
    return [spec.name for spec in wiring.topics(settings) if spec.is_source]


def records_of(manifest: Manifest | None) -> int:
    """How many records the backup holds."""
    return 0 if manifest is None else sum(topic.records for topic in manifest.topics.values())


def _tell(folder: Path, manifest: Manifest | None, told: dict[str, Any], as_json: bool, headline: str) -> None:
    topics = {} if manifest is None else manifest.topics
    positions = {
        name: {str(part): topic.next_position(part) or 0 for part in range(topic.partitions)}
        for name, topic in topics.items()
    }
    segments = [segment for topic in topics.values() for segment in topic.segments]
    summary = {
        "folder": str(folder),
        **told,
        "records": records_of(manifest),
        "segments": len(segments),
        "bytes": sum(segment.bytes for segment in segments),
        "raw_bytes": sum(segment.raw_bytes for segment in segments),
        "positions": positions,
    }
    if as_json:
        print(json.dumps(summary))
        return
    print(f"{headline}.")
    print(f"{folder}: {summary['records']:,} records in {len(segments):,} segments, {summary['bytes']:,} bytes")
    for name, found in positions.items():
        for part, position in found.items():
            print(f"covers       {name}/{part} up to {position:,}")
