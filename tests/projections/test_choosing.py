"""Choosing from entries of fixed size is choosing among the records themselves; and what a selection lets through."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.projections.choosing import (
    ENTRY_BYTES,
    Entry,
    choose,
    contested,
    entries_of,
    pack_entry,
    unclear,
)
from customer_timeline.projections.records import bytes_hash, settle
from customer_timeline.projections.selection import Selection, is_of_type
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

CODEC = Codec(IdentityPolicy(), b"secret of the tests")
FIRST = datetime(2026, 1, 10, tzinfo=UTC)


def _value(revision: int, day: int, url: str, indent: int | None) -> bytes:
    event = {
        "specversion": "1.0",
        "id": "v1",
        "source": "/shop",
        "type": "page.viewed.v1",
        "time": f"2026-01-0{day}T00:00:00Z",
        "revision": revision,
        "data": {"url": url, "channel": "web", "identifiers": [{"kind": "email", "value": "ann@example.com"}]},
    }
    return json.dumps(event, indent=indent).encode()


VALUES = [_value(*made) for made in product((0, 1), (1, 2), ("https://a.example/", "https://b.example/"), (None, 1))]
TELLINGS = st.lists(st.tuples(st.sampled_from(VALUES), st.integers(0, 3)), min_size=1, max_size=8)


def _decoded(value: bytes, recorded_day: int) -> DecodedEvent:
    return CODEC.decode(value, appended_at=FIRST + timedelta(days=recorded_day))


def _entry(event: DecodedEvent, offset: int) -> bytes:
    return pack_entry(
        b"e" * 16,
        bytes_hash(event.value),
        offset,
        to_micros(event.recorded_at),
        event.occurred_us,
        offset * 10,
        event.revision,
        10,
        False,
    )


@given(TELLINGS)
def test_the_choice_is_that_among_the_records(told: list[tuple[bytes, int]]) -> None:
    records = [_decoded(*one) for one in told]
    group = list(entries_of(b"".join(_entry(event, offset) for offset, event in enumerate(records)), 0))
    hashes = {entry.place: CODEC.canonical_hash(records[entry.offset]) for entry in unclear(group)}
    choice = choose(group, hashes)
    settled = settle(records, CODEC.canonical_hash).event
    assert records[choice.winner.offset].value == settled.value
    assert choice.recorded_us == to_micros(settled.recorded_at)
    assert sorted((choice.winner, *choice.losers)) == sorted(group)


def test_the_content_is_asked_for_only_where_nothing_else_decides() -> None:
    copy, corrected, other = VALUES[0], VALUES[8], VALUES[2]
    for values, asked in (((copy, copy), 0), ((copy, corrected), 0), ((copy, other), 2), ((copy, other, corrected), 0)):
        packed = b"".join(_entry(_decoded(value, 0), offset) for offset, value in enumerate(values))
        assert len(unclear(list(entries_of(packed, 0)))) == asked


def test_only_events_with_several_records_are_contested_wherever_they_lie() -> None:
    def entry(event_id: bytes) -> bytes:
        return pack_entry(event_id * 16, b"h" * 16, 0, 0, 0, 0, 0, 0, False)

    groups = contested([(0, entry(b"a") + entry(b"b")), (1, entry(b"c") + entry(b"a")), (2, b"")])
    assert [[(one.event_id[:1], one.partition) for one in group] for group in groups] == [[(b"a", 0), (b"a", 1)]]
    assert len(entry(b"a")) == ENTRY_BYTES
    assert isinstance(groups[0][0], Entry)


@pytest.mark.parametrize("asked", ["purchase.completed.v1", "purchase.completed", "purchase"])
def test_a_type_is_of_itself_without_its_version_and_of_its_family(asked: str) -> None:
    assert is_of_type("purchase.completed.v1", asked)


@pytest.mark.parametrize("asked", ["purch", "purchase.comp", "purchase.completed.v", "purchase.completed.v10", ""])
def test_a_part_of_a_word_is_no_type(asked: str) -> None:
    assert not is_of_type("purchase.completed.v1", asked)


def test_bounds_begin_at_the_first_instant_and_end_before_the_second() -> None:
    event = _decoded(VALUES[0], 0)
    at = to_micros(event.recorded_at)
    assert Selection(from_us=at).wants(event)
    assert not Selection(from_us=at + 1).wants(event)
    assert Selection(until_us=at + 1).competes(at)
    assert not Selection(until_us=at).competes(at)
    assert Selection(occurred_from_us=event.occurred_us, occurred_until_us=event.occurred_us + 1).wants(event)
    assert not Selection(occurred_until_us=event.occurred_us).wants(event)
