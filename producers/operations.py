"""Appending what operators decide to the topic of operations: seldom, one by one, acknowledged by all replicas."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from customer_timeline.producers.errors import KafkaUnreachable, OperationNotAcknowledged, TopicMissing
from customer_timeline.producers.protocol import Position
from customer_timeline.schemas.operations import Operation

_CONNECT_S: Final = 10.0
_DELIVERY_S: Final = 30.0
_CLOSE_S: Final = 5.0
_REQUEST_BYTES: Final = 1 << 20


class OperationsLog:
    """The topic of operations. Connects when made: raises KafkaUnreachable or TopicMissing then."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        try:
            self._producer: Any = KafkaProducer(
                bootstrap_servers=bootstrap,
                client_id="customer-timeline-operator",
                enable_idempotence=True,
                acks="all",
                max_request_size=_REQUEST_BYTES,
                bootstrap_timeout_ms=round(_CONNECT_S * 1000),
                max_block_ms=round(_CONNECT_S * 1000),
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        except KafkaError as exc:
            raise KafkaUnreachable(bootstrap, _CONNECT_S) from exc
        try:
            found = self._producer.partitions_for(topic)
        except KafkaError as exc:
            self.close()
            raise TopicMissing(topic, bootstrap, "OPERATIONS_TOPIC") from exc
        if not found:
            self.close()
            raise TopicMissing(topic, bootstrap, "OPERATIONS_TOPIC")

    def append(self, operation: Operation) -> Position:
        """Append one operation and wait until it is in the log. Raises OperationNotAcknowledged."""
        try:
            future = self._producer.send(self._topic, value=operation.encode(), partition=0)
            self._producer.flush(_DELIVERY_S)
            record = future.get(_DELIVERY_S)
        except KafkaError as exc:
            raise OperationNotAcknowledged(self._topic, type(exc).__name__) from exc
        return Position(record.topic, record.partition, record.offset)

    def close(self) -> None:
        """Give the connection back."""
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=_CLOSE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
