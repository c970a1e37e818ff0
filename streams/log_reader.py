"""Reads stretches of the log in bulk, without a group: what replays, copies and checks histories uses it.

Records come as they are: nothing is decoded, nothing is committed. A stretch is bounded by positions that the caller
takes from `bounds`, so a log that goes on growing makes no endless read. confluent-kafka is used where it is installed
(the extra `fast`): it hands over about ten times as many records a second as kafka-python.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, Literal, NamedTuple, Protocol

from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.kafka_errors import KafkaSilent, TopicUnknown

Client = Literal["auto", "kafka-python", "confluent"]

# A thousand at once cost half as much again for each: they leave the processor's cache before they are looked at.
BATCH_RECORDS: Final = 200
_ANSWER_S: Final = 10.0
_AGAIN_S: Final = 0.1
_STALLED_S: Final = 60.0  # nothing came for so long although records are there: Kafka is away
_POLL_S: Final = 0.5
_FETCH_BYTES: Final = 1 << 20


class LogRecord(NamedTuple):
    """One record of one partition, as it stands in the log. `timestamp`: append time in milliseconds."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


# As the constructor, which is a Python frame each time.
_record: Final[Callable[[tuple[Any, ...]], LogRecord]] = partial(tuple.__new__, LogRecord)


class Bounds(NamedTuple):
    """Positions of one partition: `first` is the oldest record's, `end` that of the next to come."""

    first: int
    end: int


class LogUnreachable(KafkaSilent):
    """Kafka did not answer, or stopped answering while a stretch was read."""


class LogMissing(TopicUnknown):
    """There is no such topic."""


class LogUnreadable(CustomerTimelineError):  # noqa: N818
    """A position is not in the log (any more), or what lies there cannot be unpacked. `cause_name`: the client's."""

    def __init__(self, topic: str, partition: int, position: int, cause_name: str) -> None:
        self.topic = topic
        self.partition = partition
        self.position = position
        self.cause_name = cause_name
        super().__init__(
            f"Partition {partition} of {topic} cannot be read at position {position} ({cause_name}): the records are "
            "gone or damaged. Nothing is skipped: where they are gone, begin anew (a replay with --from-start), or "
            "restore the log."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (LogUnreadable, (self.topic, self.partition, self.position, self.cause_name))


def _nothing() -> None:
    pass


class LogReader(Protocol):
    """Reads one topic. Used by one thread at a time, and by the process that made it."""

    def bounds(self) -> Mapping[int, Bounds]:
        """Where every partition begins and ends now. Raises LogUnreachable or LogMissing."""
        ...

    def read(
        self, partition: int, start: int, until: int, *, while_silent: Callable[[], None] = _nothing
    ) -> Iterator[Sequence[LogRecord]]:
        """The records of a partition from `start` (inclusive) to `until` (exclusive), in order, in batches.

        None is empty. Positions that hold no record (markers of transactions) are passed over. Ends early only by
        LogUnreachable or LogUnreadable. One stretch at a time: a new one ends the one before. `while_silent` is called
        every half second in which nothing comes; what it raises ends the reading, which would wait for a minute.
        """
        ...

    def close(self) -> None:
        """Give the connection back; safe to call twice."""
        ...


def open_log(bootstrap: str, topic: str, *, client: Client = "auto") -> LogReader:
    """A reader of `topic`. `auto`: confluent-kafka where it is installed, else kafka-python."""
    if client == "confluent" or (client == "auto" and find_spec("confluent_kafka")):
        return ConfluentLogReader(bootstrap, topic)
    return KafkaLogReader(bootstrap, topic)


class ConfluentLogReader:
    """Reads with librdkafka, which fetches and unpacks in its own threads."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        from confluent_kafka import Consumer

        self._bootstrap = bootstrap
        self._topic = topic
        self._consumer: Any = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "customer-timeline-reader",  # must be set; nobody joins it
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "allow.auto.create.topics": False,
                "isolation.level": "read_uncommitted",  # as the projector reads
                "enable.partition.eof": True,
                "check.crcs": True,
                "fetch.max.bytes": 4 * _FETCH_BYTES,
                "max.partition.fetch.bytes": _FETCH_BYTES,
                # What waits here is memory, unpacked. Where it is full the client looks again after a while; unless it
                # is told otherwise a second, in which whoever reads quickly runs dry.
                "queued.max.messages.kbytes": 4_096,
                "fetch.queue.backoff.ms": 10,
                # A fetch that waits for more at the end of the log holds up the next stretch, on the same connection.
                "fetch.wait.max.ms": 10,
                "log_level": 0,  # its retries are not for the user: what matters of them ends in an error
            }
        )

    def bounds(self) -> Mapping[int, Bounds]:
        """See `LogReader.bounds`."""
        from confluent_kafka import KafkaException
        from confluent_kafka.cimpl import KafkaError

        # A topic that was just made has no leader yet, or one that does not know of it.
        passing = (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError.LEADER_NOT_AVAILABLE,
            KafkaError.NOT_LEADER_FOR_PARTITION,
        )
        until = time.monotonic() + _ANSWER_S
        while True:
            try:
                return self._bounds_now()
            except KafkaException as exc:
                error = exc.args[0]
                passes = error.retriable() or error.code() in passing
                if not passes or time.monotonic() > until:
                    raise LogUnreachable(self._bootstrap, _ANSWER_S) from exc
                time.sleep(_AGAIN_S)

    def _bounds_now(self) -> Mapping[int, Bounds]:
        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.cimpl import KafkaError

        found = self._consumer.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic]
        if found.error is not None and found.error.code() == KafkaError.LEADER_NOT_AVAILABLE:
            raise KafkaException(found.error)
        if found.error is not None or not found.partitions:
            raise LogMissing(self._topic, self._bootstrap)
        return {
            partition: Bounds(
                *self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_ANSWER_S)
            )
            for partition in sorted(found.partitions)
        }

    def read(
        self, partition: int, start: int, until: int, *, while_silent: Callable[[], None] = _nothing
    ) -> Iterator[Sequence[LogRecord]]:
        """See `LogReader.read`."""
        from confluent_kafka import TopicPartition

        if start >= until:
            return
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        at, answered = start, time.monotonic()
        try:
            while at < until:
                # More than there can be would be waited for until the time is up.
                count = min(BATCH_RECORDS, until - at)
                batch, at = self._taken(self._consumer.consume(count, _POLL_S), partition, at, until)
                if batch:
                    yield batch
                if batch or at >= until:
                    answered = time.monotonic()
                    continue
                while_silent()
                if time.monotonic() - answered > _STALLED_S:
                    raise LogUnreachable(self._bootstrap, _STALLED_S)
        finally:
            if self._consumer is not None:  # closed while somebody was reading
                self._consumer.unassign()

    def _taken(self, messages: list[Any], partition: int, at: int, until: int) -> tuple[list[LogRecord], int]:
        """What of `messages` lies before `until`, and where the reading stands after them."""
        from confluent_kafka.cimpl import KafkaError

        batch: list[LogRecord] = []
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # Whatever lies between here and `until` are markers: the log ends behind them.
                    return batch, max(at, until)
                if error.retriable() or error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                    continue
                raise LogUnreadable(self._topic, partition, at, error.name())
            offset = message.offset()
            if offset >= until:
                return batch, until
            batch.append(
                _record(
                    (
                        partition,
                        offset,
                        message.timestamp()[1],
                        message.key(),
                        message.value(),
                        message.headers() or (),
                    )
                )
            )
            at = offset + 1
        return batch, at

    def close(self) -> None:
        """See `LogReader.close`."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


class KafkaLogReader:
    """Reads with kafka-python, which is always there."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        self._bootstrap = bootstrap
        self._topic = topic
        try:
            self._consumer: Any = KafkaConsumer(
                bootstrap_servers=bootstrap,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                max_poll_records=BATCH_RECORDS,
                fetch_max_bytes=4 * _FETCH_BYTES,
                max_partition_fetch_bytes=_FETCH_BYTES,
                bootstrap_timeout_ms=int(_ANSWER_S * 1000),
            )
        except KafkaError as exc:
            raise LogUnreachable(bootstrap, _ANSWER_S) from exc

    def bounds(self) -> Mapping[int, Bounds]:
        """See `LogReader.bounds`."""
        from kafka import TopicPartition
        from kafka.errors import KafkaError

        try:
            found = self._consumer.partitions_for_topic(self._topic)
            if not found:
                raise LogMissing(self._topic, self._bootstrap)
            places = [TopicPartition(self._topic, number) for number in sorted(found)]
            first, end = self._consumer.beginning_offsets(places), self._consumer.end_offsets(places)
        except KafkaError as exc:
            raise LogUnreachable(self._bootstrap, _ANSWER_S) from exc
        return {place.partition: Bounds(first[place], end[place]) for place in places}

    def read(
        self, partition: int, start: int, until: int, *, while_silent: Callable[[], None] = _nothing
    ) -> Iterator[Sequence[LogRecord]]:
        """See `LogReader.read`."""
        from kafka import TopicPartition
        from kafka.errors import KafkaError

        if start >= until:
            return
        place = TopicPartition(self._topic, partition)
        self._consumer.assign([place])
        self._consumer.seek(place, start)
        answered = time.monotonic()
        at = start
        while at < until:
            try:
                found = self._consumer.poll(timeout_ms=int(_POLL_S * 1000), max_records=BATCH_RECORDS).get(place, [])
                stands = self._consumer.position(place)
            except KafkaError as exc:
                raise LogUnreadable(self._topic, partition, at, type(exc).__name__) from exc
            batch = [
                LogRecord(partition, one.offset, one.timestamp, one.key, one.value, one.headers or ())
                for one in found
                if one.offset < until
            ]
            if batch:
                yield batch
            if batch or stands != at:
                answered = time.monotonic()
            else:
                while_silent()
                if time.monotonic() - answered > _STALLED_S:
                    raise LogUnreachable(self._bootstrap, _STALLED_S)
            at = stands

    def close(self) -> None:
        """See `LogReader.close`."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
