"""Records of the log to a batch: what decodes is placed, what does not is rejected with its reason. Nothing is
skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from customer_timeline.projections.journal import Batch, Placed, Record, Rejected, Span
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.errors import InvalidEvent

RECORDED_HEADER = "recordedtime"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FetchedRecord(Protocol):
    """What this module reads of a consumer's record (aiokafka's `ConsumerRecord`)."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def decode_batch(
    topic: str, fetched: Mapping[int, Sequence[FetchedRecord]], next_offsets: Mapping[int, int], codec: Codec
) -> Batch:
    """Decode what was fetched, by partition. `next_offsets`: where each partition stands before it."""
    placed: list[Placed] = []
    rejected: list[Rejected] = []
    records: list[Record] = []
    spans: dict[int, Span] = {}
    stamped, appended_at = 0, _EPOCH
    for partition, found in fetched.items():
        for raw in found:
            if raw.timestamp != stamped:  # records that were appended together share it
                # Kafka's append time is in whole milliseconds.
                stamped, appended_at = raw.timestamp, _EPOCH + timedelta(milliseconds=raw.timestamp)
            record = Record(partition, raw.offset, appended_at, raw.key, raw.value, tuple(raw.headers))
            records.append(record)
            try:
                event = codec.decode(
                    raw.value or b"", appended_at=appended_at, recorded_header=_recorded_header(record.headers)
                )
            except InvalidEvent as error:
                rejected.append(Rejected(record, error))
            else:
                placed.append(Placed(event, partition, raw.offset))
        if found:
            spans[partition] = Span(next_offsets[partition], found[-1].offset + 1)
    return Batch(topic, placed, rejected, spans, records)


def _recorded_header(headers: Sequence[tuple[str, bytes]]) -> str | None:
    for name, content in headers:
        if name == RECORDED_HEADER:
            return content.decode("utf-8", errors="replace")
    return None
