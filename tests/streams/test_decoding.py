"""A batch says of every record what became of it, and how far the offsets move."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from two_hands import POLICY, SECRET, TOPIC, Log, event

from customer_timeline.projections.journal import Span, appended_at
from customer_timeline.schemas.codec import Codec
from customer_timeline.streams.decoding import decode_batch, joined

CODEC = Codec(POLICY, SECRET)


def test_what_decodes_is_placed_and_the_rest_is_rejected_with_its_reason() -> None:
    fetched, _ = Log().append(2, [event("e1", 1, "email:a@x.test"), b"{", event("e2", 2, "email:b@x.test")])
    batch = decode_batch(TOPIC, {2: fetched}, {2: 0}, CODEC)
    assert [(placed.raw.partition, placed.raw.offset) for placed in batch.placed] == [(2, 0), (2, 2)]
    assert [(rejected.record.position, rejected.error.reason) for rejected in batch.rejected] == [(1, "not_json")]
    assert batch.spans == {2: Span(0, 3, appended_at(fetched[2]))}
    assert batch.records == 3


def test_the_span_begins_where_the_partition_stood_although_the_log_left_positions_out() -> None:
    fetched, _ = Log().append(0, [event(f"e{n}", n, "email:a@x.test") for n in range(1, 4)])
    batch = decode_batch(TOPIC, {0: fetched[1:]}, {0: 0}, CODEC)
    assert batch.spans == {0: Span(0, 3, appended_at(fetched[2]))}


def test_nothing_fetched_moves_nothing() -> None:
    batch = decode_batch(TOPIC, {}, {}, CODEC)
    assert (batch.placed, batch.rejected, batch.spans) == ([], [], {})


@pytest.mark.parametrize("missing", [None, b""])
def test_a_record_without_a_value_is_a_dead_letter(missing: bytes | None) -> None:
    fetched, _ = Log().append(0, [event("e1", 1, "email:a@x.test")])
    fetched[0].value = missing  # type: ignore[assignment]
    batch = decode_batch(TOPIC, {0: fetched}, {0: 0}, CODEC)
    assert [rejected.error.reason for rejected in batch.rejected] == ["not_json"]


def test_the_header_says_when_the_log_first_took_the_event_in() -> None:
    fetched, _ = Log().append(0, [event("e1", 1, "email:a@x.test")])
    fetched[0].headers = [("recordedtime", b"2025-06-01T00:00:00Z")]
    (placed,) = decode_batch(TOPIC, {0: fetched}, {0: 0}, CODEC).placed
    assert placed.event.recorded_at == datetime(2025, 6, 1, tzinfo=UTC)


def test_a_header_that_is_no_text_is_a_dead_letter() -> None:
    fetched, _ = Log().append(0, [event("e1", 1, "email:a@x.test")])
    fetched[0].headers = [("recordedtime", b"\xff\xfe")]
    batch = decode_batch(TOPIC, {0: fetched}, {0: 0}, CODEC)
    assert [rejected.error.reason for rejected in batch.rejected] == ["invalid_envelope"]


def test_what_is_fetched_piece_by_piece_is_the_batch_of_all_of_it() -> None:
    log = Log()
    values = [event(f"e{n}", n, "email:a@x.test") for n in range(1, 6)]
    first, _ = log.append(0, [values[0], b"{", values[1]])
    second, _ = log.append(1, [values[2], values[3], b""])
    whole = decode_batch(TOPIC, {0: first, 1: second}, {0: 0, 1: 0}, CODEC)
    pieces = [
        decode_batch(TOPIC, {0: first[:1], 1: second[:2]}, {0: 0, 1: 0}, CODEC),
        decode_batch(TOPIC, {0: first[1:]}, {0: 1}, CODEC),
        decode_batch(TOPIC, {1: second[2:]}, {1: 2}, CODEC),
    ]
    together = joined(joined(joined(None, pieces[0]), pieces[1]), pieces[2])
    assert together is not None
    assert together.spans == whole.spans
    assert together.records == whole.records
    for part in (0, 1):
        assert [one for one in together.placed if one.raw.partition == part] == [
            one for one in whole.placed if one.raw.partition == part
        ]
    assert sorted(one.record.position for one in together.rejected) == [1, 2]
    assert joined(whole, None) is whole
    assert joined(None, None) is None
