"""Apply the log, and what operators decided, up to chosen positions and no further. For `rebuild verify`.

Without a consumer group; the same decoding and the same journals as a worker's, one batch after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from customer_timeline.projections.journal import Batch, RefusedError, Span
from customer_timeline.projections.operations import OperationRecord, OperationsStore
from customer_timeline.projections.postgres.journal import PostgresJournal
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import EPOCH
from customer_timeline.streams.decoding import decode_batch
from customer_timeline.streams.positions import check_position
from customer_timeline.streams.topic_identity import TopicIdentity

_POLL_MS = 500


class Bounds(NamedTuple):
    """Where each partition is to stand in the end: the position of the first record that is not applied."""

    topic: str
    until: Mapping[int, int]


def apply_until(
    bootstrap: str,
    bounds: Bounds,
    codec: Codec,
    journal: PostgresJournal,
    *,
    batch_events: int,
    observe: Callable[[int], object] = lambda records: None,
) -> None:
    """Take the partitions over and apply what lies before the bounds. `observe` is told the records of each batch.

    Raises RefusedError where a partition is past its bound already or the log lost its position, and what the journal
    raises.
    """
    topic = bounds.topic
    with closing(TopicIdentity(bootstrap, topic)) as identity:
        taken = journal.assign(topic, identity.read(), sorted(bounds.until))
    nexts = {part: assignment.next_offset for part, assignment in taken.items()}
    for part, at in nexts.items():
        if at > bounds.until[part]:
            raise RefusedError(f"Partition {part} of {topic} is applied up to {at} already, past {bounds.until[part]}.")
    waiting = {part: at for part, at in nexts.items() if at < bounds.until[part]}
    if not waiting:
        return
    consumer: Any = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_poll_records=batch_events,
    )
    with closing(consumer):
        places = [TopicPartition(topic, part) for part in waiting]
        consumer.assign(places)
        first, end = consumer.beginning_offsets(places), consumer.end_offsets(places)
        for place in places:
            check_position(topic, place.partition, waiting[place.partition], first[place], end[place])
            consumer.seek(place, waiting[place.partition])
        while any(nexts[part] < bounds.until[part] for part in waiting):
            fetched = consumer.poll(timeout_ms=_POLL_MS)
            batch = _batch(consumer, bounds, nexts, fetched, codec)
            if batch.spans:
                journal.apply(batch)
                nexts.update({part: span.until for part, span in batch.spans.items()})
                observe(batch.records)


def operate_until(bootstrap: str, topic: str, until: int, store: OperationsStore) -> None:
    """Apply the operations before the position `until`, from where the store is; nothing where it is further.

    Raises RefusedError where the topic lost the store's position, and what the store raises.
    """
    position = store.next_offset(topic)
    if position >= until:
        return
    consumer: Any = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="none"
    )
    with closing(consumer):
        at = TopicPartition(topic, 0)
        consumer.assign([at])
        check_position(topic, 0, position, consumer.beginning_offsets([at])[at], consumer.end_offsets([at])[at])
        consumer.seek(at, position)
        while consumer.position(at) < until:
            for raw in consumer.poll(timeout_ms=_POLL_MS).get(at, ()):
                if raw.offset < until:
                    stamp = EPOCH + timedelta(milliseconds=raw.timestamp)
                    store.operate(OperationRecord(topic, raw.offset, stamp, raw.value))


def _batch(
    consumer: Any, bounds: Bounds, nexts: Mapping[int, int], fetched: Mapping[Any, Sequence[Any]], codec: Codec
) -> Batch:
    """What was fetched before the bounds. The markers of transactions are handed to nobody, but have positions."""
    within = {
        place.partition: [one for one in records if one.offset < bounds.until[place.partition]]
        for place, records in fetched.items()
    }
    batch = decode_batch(bounds.topic, {part: found for part, found in within.items() if found}, nexts, codec)
    spans = dict(batch.spans)
    for place in consumer.assignment():
        part, until = place.partition, bounds.until[place.partition]
        reached = min(consumer.position(place), until)
        before = spans.get(part)
        if before is None and reached > nexts[part]:
            spans[part] = Span(nexts[part], reached, EPOCH)
        elif before is not None and reached > before.until:
            spans[part] = before._replace(until=reached)
    return batch._replace(spans=spans)
