"""From a folder into an empty Kafka: the same bytes in the same order, partitions and times. ADR 0016.

The whole backup is checked before the first record is written. While it runs the topic keeps the times that records
come with, a state that workers refuse to work on; its own settings come last. A run that was killed is continued by
the next one, which compares what the topic holds with the backup, record by record, and appends the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from customer_timeline.runtime.backup.checking import Observe, check_backup
from customer_timeline.runtime.backup.errors import BackupRefused
from customer_timeline.runtime.backup.kafka_topics import TopicFacts, Topics
from customer_timeline.runtime.backup.manifest import Manifest, TopicBackup
from customer_timeline.runtime.backup.moves import Moves, Translated
from customer_timeline.runtime.backup.segments import read_segment
from customer_timeline.runtime.backup.writers import RecordWriter
from customer_timeline.schemas.topics import TopicSpec
from customer_timeline.streams.log_reader import Bounds, LogReader, LogRecord

_APPENDED_AT_ONCE: Final = 5_000


class RestoredPartition(NamedTuple):
    """What became of a partition. `positions_kept`: every record stands where it stood in the log it came from.

    `renamed`: operations that name records by their new positions; `left_out`: those that name no record of the backup.
    """

    topic: str
    partition: int
    records: int
    found: int
    positions_kept: bool
    renamed: int = 0
    left_out: int = 0


class Restore:
    """One run. Check first, then run. `operations`: the topic whose records name others by their positions."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        topics: Topics,
        open_log: Callable[[str], LogReader],
        open_writer: Callable[[str], RecordWriter],
        operations: str,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._topics = topics
        self._open_log = open_log
        self._open_writer = open_writer
        self._operations = operations
        self._moves = Moves(manifest.topics, lambda segment: read_segment(folder, segment.file, segment.partition))

    def check(self, specs: Mapping[str, TopicSpec], observe: Observe = lambda _: None) -> None:
        """Refuse whatever could not be restored as it was. Raises BackupRefused or BackupDamaged."""
        unknown = sorted(set(self._manifest.topics) - set(specs))
        if unknown:
            raise BackupRefused(
                f"The backup holds the topic {unknown[0]}, but this deployment's are {', '.join(sorted(specs))}: "
                "set CUSTOMER_TIMELINE_TOUCHPOINTS_TOPIC to its name."
            )
        for name, backup in self._manifest.topics.items():
            facts = self._topics.facts(name)
            if facts is not None:
                self._refuse_used(name, backup, facts)
        check_backup(self._folder, self._manifest, observe)

    def run(self, specs: Mapping[str, TopicSpec], observe: Observe = lambda _: None) -> list[RestoredPartition]:
        """Restore every topic. Raises RestoreInterrupted where Kafka goes away; the next run goes on there."""
        done: list[RestoredPartition] = []
        for name, backup in self._manifest.topics.items():
            if self._topics.facts(name) is None:
                spec = specs[name]
                config = _config(backup, spec)
                self._topics.create_for_restore(name, backup.partitions, spec.replication_factor, config)
            else:
                self._topics.prepare_for_restore(name)
            done += self._fill(name, backup, observe)
        # Last, and of all topics together: until then another run can go on.
        self._topics.finish_restore(
            {name: _config(backup, specs[name]) for name, backup in self._manifest.topics.items()}
        )
        return done

    def _refuse_used(self, name: str, backup: TopicBackup, facts: TopicFacts) -> None:
        reader = self._open_log(name)
        try:
            bounds = reader.bounds()
        finally:
            reader.close()
        if facts.partitions != backup.partitions:
            raise BackupRefused(
                f"The topic {name} has {facts.partitions} partitions, the backup {backup.partitions}. Where it is "
                "empty, delete it: the restore creates it."
            )
        if any(one.first for one in bounds.values()) or (_any_records(bounds) and not facts.keeps_given_times):
            raise BackupRefused(
                f"The topic {name} holds records, or did: a restore needs a Kafka without it, so that no event is "
                "there twice or out of order. Nothing was changed."
            )

    def _fill(self, name: str, backup: TopicBackup, observe: Observe) -> Iterator[RestoredPartition]:
        reader, writer = self._open_log(name), self._open_writer(name)
        try:
            bounds = reader.bounds()
            ends = []
            for partition in range(backup.partitions):
                filled = self._fill_partition(name, backup, partition, bounds[partition], reader, writer, observe)
                ends.append(filled.records)
                yield filled
            _compare_ends(name, ends, reader.bounds())
        finally:
            writer.close()
            reader.close()

    def _fill_partition(
        self,
        name: str,
        backup: TopicBackup,
        partition: int,
        bounds: Bounds,
        reader: LogReader,
        writer: RecordWriter,
        observe: Observe,
    ) -> RestoredPartition:
        records = self._records(backup, partition)
        translated = Translated(self._moves)
        if name == self._operations:
            records = translated.records(records)
        found = 0
        for batch in reader.read(partition, 0, bounds.end):
            for there in batch:
                if not _is_same(there, next(records, None)) or there.offset != found:
                    raise BackupRefused(
                        f"Partition {partition} of {name} holds at position {there.offset} another record than the "
                        "backup: somebody else wrote to it. Delete the topic, and restore again."
                    )
                found += 1
            observe(len(batch))
        position = found
        while chunk := [(record, position + n) for n, record in enumerate(islice(records, _APPENDED_AT_ONCE))]:
            writer.append(chunk)
            position += len(chunk)
            observe(len(chunk))
        segments = backup.of(partition)
        kept = not segments or (segments[0].first == 0 and segments[-1].next == position)
        return RestoredPartition(name, partition, position, found, kept, translated.renamed, translated.left_out)

    def _records(self, backup: TopicBackup, partition: int) -> Iterator[LogRecord]:
        for segment in backup.of(partition):
            yield from read_segment(self._folder, segment.file, partition)


def _compare_ends(name: str, wanted: Sequence[int], bounds: Mapping[int, Bounds]) -> None:
    for partition, end in enumerate(wanted):
        if bounds[partition].end != end:
            raise BackupRefused(
                f"Partition {partition} of {name} ends at {bounds[partition].end} instead of {end}: somebody "
                "else wrote to it. Delete the topic, and restore again."
            )


def _config(backup: TopicBackup, spec: TopicSpec) -> dict[str, str]:
    """The settings that the topic had; how many copies must be written is this cluster's affair."""
    return {**backup.config, "min.insync.replicas": spec.config["min.insync.replicas"]}


def _any_records(bounds: Mapping[int, Bounds]) -> bool:
    return any(one.end > one.first for one in bounds.values())


def _is_same(there: LogRecord, wanted: LogRecord | None) -> bool:
    """All but the position."""
    return wanted is not None and (there.timestamp, there.key, there.value, list(there.headers)) == (
        wanted.timestamp,
        wanted.key,
        wanted.value,
        list(wanted.headers),
    )
