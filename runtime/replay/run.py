"""One replay from its question to its output: the three steps in order."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from customer_timeline.projections.selection import Selection
from customer_timeline.runtime import wiring
from customer_timeline.runtime.interrupts import aside
from customer_timeline.runtime.replay.crew import Crew
from customer_timeline.runtime.replay.deciding import Decided, decide, events_left
from customer_timeline.runtime.replay.errors import NoSuchPartition, ReplayWithoutRoom
from customer_timeline.runtime.replay.folder import Work, take_up, work_folder
from customer_timeline.runtime.replay.people import TELLING
from customer_timeline.runtime.replay.reading import Details, Stretch
from customer_timeline.runtime.replay.spool import Lost, forget, read_note
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.streams.log_reader import Bounds, Client, LogReader, open_log
from customer_timeline.streams.topic_identity import TopicIdentity


@dataclass(frozen=True, slots=True)
class Question:
    """What a replay is asked for. `to` and `details` say what becomes of it: a run goes on only with the same."""

    to: str
    selection: Selection = field(default_factory=Selection)
    records: bool = False
    partition: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ways:
    """How it is done; nothing of it changes the result."""

    output: Path | None = None
    max_rate: float | None = None
    jobs: int | None = None
    client: Client = "auto"
    from_start: bool = False


@dataclass(slots=True)
class Outcome:
    """What was done. `read`: records of the log; `written`: what the output says of itself."""

    read: int
    events: int
    dead_letters: int
    superseded: int
    retracted: int
    resumed: bool
    bounds: Mapping[int, Bounds]
    written: Mapping[str, Any]


_DISK: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_DETAILS: Final[Mapping[str, Details]] = {"ndjson": "none", "parquet": "columns", "duckdb": "columns"}

Observe = Callable[[str, int, int], None]
"""Told the step, how much of it is behind, and how much it is in all."""

Write = Callable[[Crew, Work, Decided], Mapping[str, Any]]
"""The last step: puts what won to the output, and says what it wrote."""


def replay(settings: Settings, question: Question, ways: Ways, write: Write, observe: Observe) -> Outcome:
    """Read, decide, write. A run that is stopped leaves what it has beside the output; the next goes on with it.

    Raises LogUnreachable, LogMissing, LogUnreadable, NoSuchPartition, ReplayTaken, OtherReplay, ReplayBroken,
    ReplayWithoutRoom and what `write` raises.
    """
    with work_folder(ways.output, from_start=ways.from_start) as folder, _room_in(folder):
        # librdkafka lets no signal through while it waits for Kafka. A reader that still waits is left to the process's
        # end: to close it meanwhile would take from under the other thread what it works with.
        reader, bounds = aside(lambda: _opened(settings, ways.client))
        try:
            work = take_up(folder, _asked(settings, question), _chosen(bounds, question))
            jobs = max(1, min(ways.jobs or os.cpu_count() or 1, len(work.bounds)))
            with Crew(settings, ways.client, jobs, work.bounds) as crew:
                crew.read(_stretches(work, question, ways.max_rate, jobs), _reading(work, observe))
                observe("deciding", 0, 0)
                decided = _decided(crew, question, work)
                observe("writing", 0, 0)
                outcome = _outcome(work, decided, write(crew, work, decided))
                crew.each(forget, [(work.folder, number) for number in work.bounds])
        finally:
            reader.close()
        return outcome


def _opened(settings: Settings, client: Client) -> tuple[LogReader, Mapping[int, Bounds]]:
    reader = open_log(settings.kafka_bootstrap, settings.touchpoints_topic, client=client)
    try:
        return reader, reader.bounds()
    except CustomerTimelineError:
        reader.close()
        raise


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    """What the disk refuses, here or in one of the processes, is told as such."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in _DISK:
            raise
        raise ReplayWithoutRoom(str(folder), os.strerror(exc.errno)) from exc


def _chosen(bounds: Mapping[int, Bounds], question: Question) -> Mapping[int, Bounds]:
    """Records of one partition are in it; a record that beats one of them may be in any."""
    if question.partition is not None and question.partition not in bounds:
        raise NoSuchPartition(question.partition, len(bounds))
    if question.records and question.partition is not None:
        return {number: found for number, found in bounds.items() if number == question.partition}
    return bounds


def _asked(settings: Settings, question: Question) -> dict[str, Any]:
    selection = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(question.selection).items()
    }
    identity = TopicIdentity(settings.kafka_bootstrap, settings.touchpoints_topic)
    try:
        topic_id = identity.read()
    finally:
        identity.close()
    return {
        "to": question.to,
        **selection,
        "records": question.records,
        "partition": question.partition,
        **question.details,
        "topic": settings.touchpoints_topic,
        "topic_id": topic_id,
        # The codec, and so what is an event at all, depends on these settings.
        "projection_version": wiring.projection_version(settings),
    }


def _stretches(work: Work, question: Question, max_rate: float | None, jobs: int) -> list[Stretch]:
    rate = None if max_rate is None else max_rate / jobs
    nothing = replace(question.selection, types=frozenset())
    return [
        Stretch(
            work.folder,
            number,
            found.first,
            found.end,
            question.selection if question.partition in (None, number) else nothing,
            question.records,
            rate,
            _DETAILS.get(question.to, "lines"),
            work.buckets,
            names=question.to in TELLING,
        )
        # The longest first, so that none is left to one process while the others have nothing to do.
        for number, found in sorted(work.bounds.items(), key=lambda one: (one[1].first - one[1].end, one[0]))
    ]


def _reading(work: Work, observe: Observe) -> Callable[[Mapping[int, int]], None]:
    total = sum(found.end - found.first for found in work.bounds.values())
    return lambda behind: observe("reading", sum(behind.values()), total)


def _decided(crew: Crew, question: Question, work: Work) -> Decided:
    if question.records:
        return Decided({number: Lost().holes() for number in work.bounds}, {})
    return decide(crew, work.folder, work.bounds, work.buckets, question.selection)


def _outcome(work: Work, decided: Decided, written: Mapping[str, Any]) -> Outcome:
    notes = [note for number in work.bounds if (note := read_note(work.folder, number))]
    return Outcome(
        read=sum(note.records for note in notes),
        events=events_left(work.folder, decided),
        dead_letters=sum(note.dead_letters for note in notes),
        superseded=decided.superseded + sum(note.copies for note in notes),
        retracted=decided.retracted,
        resumed=work.resumed,
        bounds=work.bounds,
        written=written,
    )
