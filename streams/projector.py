"""The projector: a service of the Faust app that takes the log into Postgres, batch by batch.

It has a consumer of its own, outside Faust's agents (ADR 0002), and takes its offsets from Postgres (ADR 0003). While
Postgres works on one batch, the next is decoded in another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from mode import Service

from customer_timeline.projections.journal import (
    Applied,
    Batch,
    FencedError,
    Observer,
    RefusedError,
    Span,
    TransientStorageError,
)
from customer_timeline.projections.postgres.journal import PostgresJournal
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import EPOCH
from customer_timeline.streams import interpreter
from customer_timeline.streams.assignments import Assignments
from customer_timeline.streams.consumer import ProjectorConfig, new_consumer
from customer_timeline.streams.decoding import decode_batch, joined
from customer_timeline.streams.metrics import ProjectorMetrics
from customer_timeline.streams.positions import DAMAGED, check_position, damaged, lost_position, unforeseen
from customer_timeline.streams.topic_identity import TopicIdentity

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_REPLACED_PAUSE_S = 0.5
_LONGEST_REPLACED_PAUSE_S = 30.0
_TOPIC_CHECK_EVERY_S = 3.0
_TELL_EVERY_S, _TELL_PATIENCE_S = 1.0, 3.0
_POLL_MS = 200
_LOOK_EVERY_S, _LONGEST_LOOK_S = 0.003, 0.05
_ENOUGH = 1 / 8
"""Of a full batch: with that many decoded the rest of the preparation begins, whatever the batch before does."""


class _Prepared(NamedTuple):
    batch: Batch
    arrivals: Any
    generation: int

    def knowing(self, idle: Mapping[int, datetime]) -> _Prepared:
        """The same, and which partitions are empty."""
        return self._replace(batch=self.batch._replace(idle=idle))


class _Rejoin(Exception):  # noqa: N818 - control flow inside this module
    """Leave the group and join again: this worker's partitions are another's, or in doubt."""


class Projector(Service):
    """Reads the topic, applies batches, survives what may pass, stops at what must not be guessed.

    `journal` is used by one thread at a time. `observer` is told each step of a batch as it ends. When it stops by
    itself, `failure` holds the reason.
    """

    abstract = False

    def __init__(
        self,
        config: ProjectorConfig,
        codec: Codec,
        journal: PostgresJournal,
        metrics: ProjectorMetrics,
        identity: TopicIdentity,
        *,
        observer: Observer = lambda step: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = config
        self._codec = codec
        self._journal = journal
        self._metrics = metrics
        self._identity = identity
        self._observer = observer
        self._next: dict[int, int] = {}
        self._applied: dict[int, int] = {}
        self._standing: dict[int, int] = {}
        self.partitions = sys.maxsize  # of the topic, once the log has said so
        self.let_first: Callable[[], object] = journal.turns.let_first
        """Return when no batch is being computed."""
        self._generation = 0
        self._collector = interpreter.Collector()
        self._turn = asyncio.Lock()
        self._database = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._trouble: Exception | None = None
        self.failure: BaseException | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    @Service.task
    async def _project(self) -> None:
        """Read and apply until told to stop."""
        interpreter.settle()
        loop = asyncio.get_running_loop()
        pause, replaced = _FIRST_PAUSE_S, _REPLACED_PAUSE_S
        while not self.should_stop:
            began = loop.time()
            try:
                await self._consume()
                pause = _FIRST_PAUSE_S
            except _Rejoin:
                # Two processes must not take the partitions from each other many times a second; as the one that was
                # replaced waits, longer each time, the other gets on with the work.
                lasted_s = loop.time() - began
                replaced = _REPLACED_PAUSE_S if lasted_s > _LONGEST_REPLACED_PAUSE_S else replaced
                await self.sleep(replaced)
                replaced = min(replaced * 2, _LONGEST_REPLACED_PAUSE_S)
                pause = _FIRST_PAUSE_S
            except TransientStorageError as error:
                self._metrics.storage_up.set(0)
                log.warning("storage_unavailable", error=str(error), retry_in_s=pause)
                pause = await self._pause(pause)
            except OffsetOutOfRangeError as error:
                await self._fail(lost_position(self._config.topic, error))
                return
            except KafkaError as error:
                log.warning("kafka_unavailable", error=type(error).__name__, retry_in_s=pause)
                pause = await self._pause(pause)
            except asyncio.CancelledError:
                raise
            except RefusedError as error:
                await self._fail(error)
                return
            except Exception as error:
                log.exception("worker_stopped_by_unforeseen_error", error=type(error).__name__)
                await self._fail(unforeseen(error, self._config.topic, self._standing))
                return

    async def on_stop(self) -> None:
        """Let the batch in hand finish, then give the connection back."""
        async with self._turn:
            with contextlib.suppress(TransientStorageError):
                await self._in_database(self._journal.release, self._config.topic)
            await self._in_database(self._journal.close)
        await asyncio.to_thread(self._identity.close)
        self._database.shutdown(wait=False)
        self._decoder.shutdown(wait=False)

    async def _fail(self, failure: BaseException) -> None:
        self.failure = failure
        log.error("worker_refuses_to_go_on", error=str(failure))
        # A crash stops the worker with a non-zero exit code; a quiet stop would look like success.
        await self.crash(failure)

    async def _pause(self, pause: float) -> float:
        await self.sleep(pause)
        return min(pause * 2, _LONGEST_PAUSE_S)

    # -- consuming ----------------------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        config = self._config
        self._trouble = None
        # Two sets of tables follow the log side by side: their workers must not share its partitions.
        suffix = await self._in_database(self._journal.group_suffix)
        consumer = new_consumer(config, f"{config.group}{suffix}")
        await consumer.start()
        try:
            consumer.subscribe([config.topic], listener=Assignments(self, consumer))
            await self._pump(consumer)
        finally:
            await self._leave(consumer)

    async def _pump(self, consumer: AIOKafkaConsumer) -> None:
        """Fetch and decode batch k + 1 while Postgres works on batch k."""
        loop = asyncio.get_running_loop()
        working: asyncio.Task[None] | None = None
        checked_at = told_at = loop.time()
        try:
            while not self.should_stop:
                prepared = await self._ahead(consumer, working)
                if working is not None:
                    await working
                    working = None
                tell = loop.time() - told_at > _TELL_EVERY_S
                if tell and prepared is None:
                    prepared = await self._past_markers(consumer, self._generation)
                if prepared is not None and prepared.generation == self._generation:
                    if tell:
                        prepared = prepared.knowing(await self._idle(consumer, prepared.batch.spans.keys()))
                    working = asyncio.create_task(self._apply(prepared, consumer))
                if tell:
                    told_at = loop.time()
                    await self._tell_kafka(consumer)
                    if working is None:
                        await self._pass_time(consumer)
                        self._collector.idle(loop.time())
                if loop.time() - checked_at > _TOPIC_CHECK_EVERY_S:
                    checked_at = told_at = loop.time()
                    await self._check_topic()
        finally:
            if working is not None:
                await asyncio.wait([working])
                # Raised above already, perhaps; raised twice, it would forget where it came from.
                if (error := working.exception()) is not None and error is not sys.exc_info()[1]:
                    raise error

    async def _ahead(self, consumer: AIOKafkaConsumer, working: asyncio.Task[None] | None) -> _Prepared | None:
        """The next batch, decoded; None where nothing came.

        While the one before is being applied anyway, it takes in what comes meanwhile: whoever waits for a batch of
        their own waits for two.
        """
        most, pause_s = self._config.batch_events, _LOOK_EVERY_S
        batch, generation = None, self._generation
        fetched = await self._fetch(consumer, most, _POLL_MS)
        while True:
            if self._generation != generation:
                # Taken over anew meanwhile: what was fetched before begins elsewhere.
                batch, generation = None, self._generation
            batch = joined(batch, await self._decode(fetched))
            if batch is None:
                return None
            if working is None or working.done() or batch.records >= max(1, most * _ENOUGH):
                break
            await asyncio.wait([working], timeout=pause_s)
            fetched = await self._fetch(consumer, most - batch.records, 0)
            pause_s = _LOOK_EVERY_S if fetched else min(pause_s * 2, _LONGEST_LOOK_S)
        arrivals = await self._ahead_of_database(self._journal.prepare, batch)
        self._observer("decoded")
        return _Prepared(batch, arrivals, generation)

    async def _fetch(
        self, consumer: AIOKafkaConsumer, most: int, patience_ms: int
    ) -> Mapping[TopicPartition, Sequence[Any]]:
        try:
            fetched: Mapping[TopicPartition, Sequence[Any]] = await consumer.getmany(
                timeout_ms=patience_ms, max_records=most
            )
        except KafkaError as error:
            # Without a position after a failed take-over, the consumer complains of just that: tell the cause.
            raise self._trouble or error from error
        except DAMAGED as error:
            raise damaged(error, self._config.topic, self._standing) from error
        if self._trouble is not None:
            raise self._trouble
        return fetched

    async def _decode(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> Batch | None:
        by_partition = {
            tp.partition: records for tp, records in fetched.items() if records and tp.partition in self._next
        }
        if not by_partition:
            return None
        self._observer("polled")
        starts = {
            partition: self._expected(partition, records[0].offset) for partition, records in by_partition.items()
        }
        let_first = self._journal.turns.let_first
        batch: Batch = await self._ahead_of_database(
            decode_batch, self._config.topic, by_partition, starts, self._codec, let_first
        )
        self._next.update({partition: span.until for partition, span in batch.spans.items()})
        return batch

    async def _ahead_of_database(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._decoder, work, *arguments)

    def _expected(self, partition: int, first: int) -> int:
        expected = self._next[partition]
        if first < expected:
            raise _Rejoin
        return expected

    async def _apply(self, prepared: _Prepared, consumer: AIOKafkaConsumer) -> None:
        """Apply a batch; retry for ever what may pass, unless the partitions are given to another meanwhile."""
        pause = _FIRST_PAUSE_S
        while True:
            async with self._turn:
                if prepared.generation != self._generation:
                    return
                try:
                    outcome = await self._in_database(self._journal.apply, prepared.batch, prepared.arrivals)
                    break
                except TransientStorageError as error:
                    self._metrics.storage_up.set(0)
                    self._metrics.retries.inc()
                    log.warning("batch_will_be_retried", error=str(error), retry_in_s=pause)
                except FencedError as error:
                    self._metrics.fenced.inc()
                    log.warning("worker_was_replaced", error=str(error))
                    raise _Rejoin from error
            if self.should_stop:
                return
            pause = await self._pause(pause)
        await self._after(prepared.batch, outcome, consumer)

    async def _after(self, batch: Batch, outcome: Applied, consumer: AIOKafkaConsumer) -> None:
        self._metrics.applied(outcome, batch.records)
        self._collector.passed(batch.records)
        for partition, span in batch.spans.items():
            at = TopicPartition(self._config.topic, partition)
            if at in consumer.assignment():
                highwater = consumer.highwater(at)
                behind = max(0, (highwater or span.until) - span.until)
                self._metrics.lag_events.labels(partition).set(behind)
                age = time.time() - span.appended_at.timestamp() if behind else 0.0
                self._metrics.lag_seconds.labels(partition).set(max(0.0, age))
            self._applied[partition] = self._standing[partition] = span.until

    # -- assignment ---------------------------------------------------------------------------------------------------

    async def take_over(self, consumer: AIOKafkaConsumer, partitions: Sequence[int]) -> None:
        """Make this worker the one that writes `partitions`, and go on where Postgres stands."""
        async with self._turn:
            self._generation += 1
            self._next.clear()
            self._standing.clear()
            places = [TopicPartition(self._config.topic, partition) for partition in partitions]
            for place in places:
                # Until Postgres has said where to go on; without any position the consumer would complain meanwhile.
                consumer.pause(place)
                consumer.seek(place, 0)
            topic_id = await asyncio.to_thread(self._identity.read)
            pause = _FIRST_PAUSE_S
            while True:
                try:
                    taken = await self._in_database(self._journal.assign, self._config.topic, topic_id, partitions)
                    break
                except TransientStorageError as error:
                    self._metrics.storage_up.set(0)
                    log.warning("take_over_will_be_retried", error=str(error), retry_in_s=pause)
                    if self.should_stop:
                        return
                    pause = await self._pause(pause)
            self._metrics.storage_up.set(1)
            if not partitions:
                return
            first, end = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            for place in places:
                at = taken[place.partition].next_offset
                check_position(self._config.topic, place.partition, at, first[place], end[place])
                consumer.seek(place, at)
                consumer.resume(place)
                self._next[place.partition] = self._standing[place.partition] = at
            log.info("partitions_taken_over", partitions=list(partitions), next_offsets=dict(self._next))

    def trouble(self, error: Exception) -> None:
        """Remember why a take-over failed; the next poll raises it."""
        self._trouble = error

    async def give_up(self) -> None:
        """Let the batch in hand finish and drop what is prepared: the partitions go to another."""
        async with self._turn:
            self._generation += 1
            self._next.clear()
            # Where Postgres is away, the successor ends the connection instead.
            with contextlib.suppress(TransientStorageError):
                await self._in_database(self._journal.release, self._config.topic)

    async def _check_topic(self) -> None:
        await asyncio.to_thread(self._identity.check)

    async def _tell_kafka(self, consumer: AIOKafkaConsumer) -> None:
        """Move the group's offsets, for displays only: Postgres owns them."""
        told, self._applied = self._applied, {}
        if told:
            # A failure means a rebalance, or that Kafka is away; the next poll sees either.
            offsets = {TopicPartition(self._config.topic, at): next_ for at, next_ in told.items()}
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(consumer.commit(offsets), _TELL_PATIENCE_S)

    async def _pass_time(self, consumer: AIOKafkaConsumer) -> None:
        """Tell Postgres that nothing waits in a partition: the sweeper goes as far as all partitions have come."""
        async with self._turn:
            idle = await self._idle(consumer)
            if idle:
                with contextlib.suppress(TransientStorageError):  # the next batch meets it, and retries
                    await self._in_database(self._journal.pass_time, self._config.topic, idle)

    async def _idle(self, consumer: AIOKafkaConsumer, but: Set[int] = frozenset()) -> dict[int, datetime]:
        """Partitions of which all is read, and when the log last said that there is no more."""
        self.partitions = len(consumer.partitions_for_topic(self._config.topic) or ()) or self.partitions
        idle = {}
        for at in consumer.assignment() & {
            TopicPartition(self._config.topic, part) for part in self._next.keys() - but
        }:
            # Not the last record: the markers of transactions have positions too.
            if consumer.highwater(at) == await consumer.position(at):
                idle[at.partition] = EPOCH + timedelta(milliseconds=consumer.last_poll_timestamp(at))
        return idle

    async def _past_markers(self, consumer: AIOKafkaConsumer, generation: int) -> _Prepared | None:
        """A batch of no records, to move on where all that is left in a partition are the markers of transactions: they
        have positions, but nobody is handed them, so the partition would seem to be behind for ever.
        """
        spans = {}
        for part, at in (await self._idle(consumer)).items():
            # Read only now, and not the end of the log, which may have grown: whatever lies before it was handed over.
            position = await consumer.position(TopicPartition(self._config.topic, part))
            if generation == self._generation and position > self._next[part]:
                spans[part] = Span(self._next[part], position, at)
        if not spans or generation != self._generation:
            return None
        self._next.update({part: span.until for part, span in spans.items()})
        batch = Batch(self._config.topic, (), (), spans)
        return _Prepared(batch, self._journal.prepare(batch), generation)

    async def _leave(self, consumer: AIOKafkaConsumer) -> None:
        await self._tell_kafka(consumer)
        self._generation += 1
        self._next.clear()
        with contextlib.suppress(KafkaError):
            await consumer.stop()

    async def _in_database(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._database, work, *arguments)
