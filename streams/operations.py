"""Operations: a service of the Faust app that applies what operators decide about dead letters.

Every worker reads the whole topic, which is small; whichever is first applies a record, and moves the offset in
Postgres in the same transaction. The others see that and go on. Nobody needs a group, and a worker that dies leaves
nothing undone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from mode import Service

from customer_timeline.projections.journal import StorageError
from customer_timeline.projections.operations import OperationApplied, OperationRecord, OperationsStore
from customer_timeline.schemas.decoded import EPOCH
from customer_timeline.streams.metrics import ProjectorMetrics
from customer_timeline.streams.positions import check_position

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 15.0
_POLL_MS: Final = 500
_MOST_RECORDS: Final = 20


@dataclass(frozen=True, slots=True)
class OperationsConfig:
    """Which topic to read, and where."""

    bootstrap: str
    topic: str
    client_id: str = "customer-timeline-operations"


class Operations(Service):
    """Reads and applies until told to stop; what may pass is tried again for ever. `failure`: why it gave up."""

    abstract = False

    def __init__(
        self, config: OperationsConfig, store: OperationsStore, metrics: ProjectorMetrics, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._config = config
        self._store = store
        self._metrics = metrics
        self._consumer: Any = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="operations")

    @Service.task
    async def _operate_for_ever(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self.should_stop:
            try:
                await self._in_thread(self.step)
                pause = _FIRST_PAUSE_S
                continue
            except StorageError as error:
                # Neither what passes nor what needs somebody's hand may keep the projector from its work.
                log.warning("operations_will_be_retried", error=str(error), retry_in_s=pause)
            except KafkaError as error:
                log.warning("operations_will_be_retried", error=type(error).__name__, retry_in_s=pause)
            except _NoTopicYet:
                log.info("operations_topic_missing", topic=self._config.topic)
                pause = _LONGEST_PAUSE_S
            await self._in_thread(self._let_go)
            await self.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def on_stop(self) -> None:
        """Let the operation in hand finish, then give the connections back."""
        await self._in_thread(self._let_go)
        self._thread.shutdown(wait=False)

    def step(self) -> None:
        """Wait a moment for operations, and apply those that came."""
        if self._consumer is None:
            self._consumer = self._opened()
        for records in self._consumer.poll(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS).values():
            for raw in records:
                stamp = EPOCH + timedelta(milliseconds=raw.timestamp)
                self._apply(OperationRecord(self._config.topic, raw.offset, stamp, raw.value))

    def _apply(self, record: OperationRecord) -> None:
        applied = self._store.operate(record)
        if applied is None:
            return
        self._metrics.healed.inc(applied.healed)
        if applied.refused is not None:
            log.error("operation_refused", position=record.position, problem=applied.refused)
        else:
            log.info("operation_applied", position=record.position, **_counts(applied))

    def _opened(self) -> Any:
        config = self._config
        consumer: Any = KafkaConsumer(
            bootstrap_servers=config.bootstrap,
            client_id=config.client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            reconnect_backoff_max_ms=1000,
        )
        try:
            # Listing is the one question about a topic that never creates it, on any broker.
            if config.topic not in consumer.topics():
                raise _NoTopicYet
            at = TopicPartition(config.topic, 0)
            consumer.assign([at])
            position = self._store.next_offset(config.topic)
            self._store.close()  # nothing may come for months
            first, end = consumer.beginning_offsets([at])[at], consumer.end_offsets([at])[at]
            check_position(config.topic, 0, position, first, end)
            consumer.seek(at, position)
        except BaseException:
            consumer.close()
            raise
        return consumer

    def _let_go(self) -> None:
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            with contextlib.suppress(KafkaError):
                consumer.close()
        with contextlib.suppress(StorageError):
            self._store.close()

    async def _in_thread(self, work: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _NoTopicYet(Exception):  # noqa: N818 - control flow inside this module
    """The topic does not exist (yet): whoever set the worker up by hand made only the log."""


def _counts(applied: OperationApplied) -> Mapping[str, object]:
    return {"kind": applied.kind, "records": applied.records, "healed": applied.healed, "failed": applied.failed}
