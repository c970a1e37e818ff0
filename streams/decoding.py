"""Records of the log to a batch: what decodes is placed, what does not is rejected with its reason. Nothing is
skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from customer_timeline.projections.journal import (
    Batch,
    FetchedRecord,
    Placed,
    Record,
    Rejected,
    Span,
    appended_at,
    as_placed,
)
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import EPOCH
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.record_times import RECORDED_HEADER


def decode_batch(
    topic: str,
    fetched: Mapping[int, Sequence[FetchedRecord]],
    next_offsets: Mapping[int, int],
    codec: Codec,
    between: Callable[[], object] = lambda: None,
) -> Batch:
    """Decode what was fetched, by partition. `next_offsets`: where each partition stands before it.

    `between` is called between any two records.
    """
    placed: list[Placed] = []
    rejected: list[Rejected] = []
    spans: dict[int, Span] = {}
    decode = codec.decode
    stamped, stamp = 0, EPOCH
    for partition, found in fetched.items():
        for raw in found:
            between()
            if raw.timestamp != stamped:  # records that were appended together share it
                stamped, stamp = raw.timestamp, appended_at(raw)
            recorded = recorded_header(raw.headers) if raw.headers else None
            try:
                event = decode(raw.value, appended_at=stamp, recorded_header=recorded)
            except InvalidEvent as error:
                rejected.append(Rejected(Record.of(raw), error))
            else:
                placed.append(as_placed((event, raw)))
        if found:
            spans[partition] = Span(next_offsets[partition], found[-1].offset + 1, appended_at(found[-1]))
    return Batch(topic, placed, rejected, spans)


def joined(before: Batch | None, after: Batch | None) -> Batch | None:
    """One batch of two that follow each other in the log; None where there is neither."""
    if before is None or after is None:
        return before or after
    spans = dict(before.spans)
    for partition, span in after.spans.items():
        begun = spans.get(partition, span)
        spans[partition] = Span(begun.expected, span.until, span.appended_at)
    placed, rejected = [*before.placed, *after.placed], [*before.rejected, *after.rejected]
    return Batch(after.topic, placed, rejected, spans)


def recorded_header(headers: Sequence[tuple[str, bytes]]) -> str | None:
    """What restore and copy tools say about when a log first took the record in; None where they say nothing."""
    for name, content in headers:
        if name == RECORDED_HEADER:
            return content.decode("utf-8", errors="replace")
    return None
