"""From the log into a folder: what the log has and the backup does not have yet, segment by segment.

The end of every partition is taken once, at the start, so that a log that goes on growing makes no endless backup. A
segment counts once the manifest names it; a run that was killed leaves nothing else behind that matters.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from customer_timeline.runtime.backup.checking import Observe, check_continuity
from customer_timeline.runtime.backup.errors import BackupRefused
from customer_timeline.runtime.backup.kafka_topics import TopicFacts, Topics
from customer_timeline.runtime.backup.manifest import (
    Manifest,
    Segment,
    TopicBackup,
    read_manifest,
    write_manifest,
)
from customer_timeline.runtime.backup.segments import SegmentWriter
from customer_timeline.runtime.files import FileUnusable
from customer_timeline.streams.log_reader import Bounds, LogMissing, LogReader, LogRecord

SEGMENT_BYTES: Final = 64 << 20
"""Unpacked; with it the loss by a kill, and what a restore reads before it publishes, is bounded."""

OpenLog = Callable[[str], LogReader]


class Stretch(NamedTuple):
    """Records of a partition to be saved: from `start` to `until` (exclusive)."""

    topic: str
    partition: int
    start: int
    until: int


class Backup:
    """One run into one folder, which nobody else uses meanwhile. `manifest` says what is safe at any moment."""

    def __init__(
        self, folder: Path, topics: Topics, open_log: OpenLog, now: Callable[[], datetime], product_version: str
    ) -> None:
        self._folder = folder
        self._topics = topics
        self._open_log = open_log
        self._now = now
        self._version = product_version
        self.manifest: Manifest | None = read_manifest(folder)
        self._readers: dict[str, LogReader] = {}

    def plan(self, names: Sequence[str], bootstrap: str) -> list[Stretch]:
        """What is to be saved of these topics, the log first; of the others, those that somebody has made by now.

        Raises BackupRefused where the folder holds another log's backup, and LogMissing.
        """
        self._refuse_other_files()
        before = set() if self.manifest is None else set(self.manifest.topics)
        cluster = self._topics.cluster_id
        found = {name: self._topics.facts(name) for name in names}
        for name, facts in found.items():
            if facts is None:
                if name == names[0] or name in before:
                    setting = "TOUCHPOINTS_TOPIC" if name == names[0] else "OPERATIONS_TOPIC"
                    raise LogMissing(name, bootstrap, setting)
                continue
            if facts.keeps_given_times:
                raise BackupRefused(
                    f"The topic {name} is being restored, or a restore of it was interrupted: run "
                    "`customer-timeline restore` again before a backup is made of it."
                )
        known = {name: facts for name, facts in found.items() if facts is not None}
        self._adopt(cluster, known)
        return [stretch for name in known for stretch in self._stretches(name)]

    def run(
        self, stretches: Sequence[Stretch], segment_bytes: int = SEGMENT_BYTES, observe: Observe = lambda _: None
    ) -> None:
        """Save them. Whatever ends it early, `manifest` names what is complete, and another run goes on there."""
        for stretch in stretches:
            self._save(stretch, segment_bytes, observe)
        self._continued()

    def close(self) -> None:
        """Give connections back."""
        for reader in self._readers.values():
            reader.close()

    def _refuse_other_files(self) -> None:
        # A kill before the first manifest leaves segments behind, finished or not; they are written again.
        ours = (".partial", ".zst", ".lock")
        files = [file for file in self._folder.rglob("*") if file.is_file() and not file.name.endswith(ours)]
        if self.manifest is None and files:
            raise BackupRefused(f"{self._folder} holds other files, and no backup. Use an empty folder.")

    def _adopt(self, cluster: str, found: Mapping[str, TopicFacts]) -> None:
        """Begin the manifest, or hold it against the topics as they are now."""
        now = self._now()
        before = self.manifest
        topics: dict[str, TopicBackup] = {} if before is None else dict(before.topics)
        for name, facts in found.items():
            old = topics.get(name)
            if old is not None and old.topic_id != facts.topic_id:
                raise BackupRefused(
                    f"{self._folder} holds the backup of another topic {name}: its id was {old.topic_id} and is "
                    f"{facts.topic_id}. It was deleted and created again, or this is another Kafka. Use another folder."
                )
            segments = () if old is None else old.segments
            topics[name] = TopicBackup(
                topic_id=facts.topic_id, partitions=facts.partitions, config=dict(facts.config), segments=segments
            )
            check_continuity(self._folder, topics[name])
        self.manifest = Manifest(
            product_version=self._version,
            cluster_id=cluster,
            made_at=now if before is None else before.made_at,
            continued_at=now,
            topics=topics,
        )

    def _stretches(self, name: str) -> Iterator[Stretch]:
        reader = self._readers[name] = self._open_log(name)
        for partition, bounds in reader.bounds().items():
            start = self._topic(name).next_position(partition)
            if start is not None:
                self._refuse_gap(name, partition, start, bounds)
            begin = bounds.first if start is None else start
            if begin < bounds.end:
                yield Stretch(name, partition, begin, bounds.end)

    def _refuse_gap(self, name: str, partition: int, start: int, bounds: Bounds) -> None:
        if bounds.first <= start <= bounds.end:
            return
        what = f"begins at position {bounds.first}" if start < bounds.first else f"ends at position {bounds.end}"
        raise BackupRefused(
            f"Partition {partition} of {name} {what}, but the backup in {self._folder} covers it up to {start}: "
            "records were deleted. Keep this backup as it is, and make another one in an empty folder."
        )

    def _save(self, stretch: Stretch, segment_bytes: int, observe: Observe) -> None:
        at = stretch.start
        records = (
            record
            for batch in self._readers[stretch.topic].read(stretch.partition, stretch.start, stretch.until)
            for record in batch
        )
        pending = next(records, None)
        while at < stretch.until:
            at, pending = self._save_segment(stretch, at, pending, records, segment_bytes, observe)

    def _save_segment(
        self,
        stretch: Stretch,
        first: int,
        pending: LogRecord | None,
        records: Iterator[LogRecord],
        segment_bytes: int,
        observe: Observe,
    ) -> tuple[int, LogRecord | None]:
        """Save one segment from `first` on; returns where it ends, and the record that begins the next one."""
        file = f"{stretch.topic}/{stretch.partition:05d}-{first:020d}.zst"
        with self._writer(file) as writer:
            while pending is not None and (writer.raw_bytes < segment_bytes or not writer.records):
                writer.add(pending)
                pending = next(records, None)
                if writer.records % 1_000 == 0:
                    observe(1_000)
            until = stretch.until if pending is None else pending.offset
            content = writer.finish(self._folder / file)
        observe(content.records % 1_000)
        self._name(
            stretch.topic,
            Segment(file=file, partition=stretch.partition, first=first, next=until, **content._asdict()),
        )
        return until, pending

    def _writer(self, file: str) -> SegmentWriter:
        path = self._folder / file
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            for left in path.parent.glob("*.partial"):
                left.unlink()  # of a run that was killed
        except OSError as exc:
            raise FileUnusable.because("write to", path.parent, exc) from exc
        return SegmentWriter(path.with_name(f"{path.name}.{os.getpid()}.partial"))

    def _topic(self, name: str) -> TopicBackup:
        if self.manifest is None:
            raise BackupRefused("The backup was not planned.")
        return self.manifest.topics[name]

    def _name(self, name: str, segment: Segment) -> None:
        """Make the segment part of the backup."""
        topic = self._topic(name)
        ordered = sorted((*topic.segments, segment), key=lambda one: (one.partition, one.first))
        self._write({name: topic.model_copy(update={"segments": tuple(ordered)})})

    def _continued(self) -> None:
        self._write({})

    def _write(self, changed: Mapping[str, TopicBackup]) -> None:
        if self.manifest is None:
            raise BackupRefused("The backup was not planned.")
        topics = {**self.manifest.topics, **changed}
        self.manifest = self.manifest.model_copy(update={"topics": topics, "continued_at": self._now()})
        write_manifest(self._folder, self.manifest)
