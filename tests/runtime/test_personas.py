"""The demo's invented customers: the same from the same arguments, valid, and of many types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from customer_timeline.runtime.demo import Plan, remembered
from customer_timeline.runtime.personas import HIGHLIGHTS, persona_events
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import codec, identifier_space
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import DecodedEvent

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)


def _bytes(customers: int, seed: int = 1) -> list[bytes]:
    encode = codec(Settings()).encode
    return [encode(event) for event in persona_events(customers=customers, days=365, seed=seed, until=UNTIL)]


@pytest.fixture(scope="module")
def decoded() -> list[DecodedEvent]:
    decode = codec(Settings()).decode
    return [decode(value, appended_at=UNTIL) for value in _bytes(60)]


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert _bytes(5) == _bytes(5)
    assert _bytes(5) != _bytes(5, seed=2)


def test_more_customers_do_not_change_those_before_them() -> None:
    few = _bytes(5)
    assert _bytes(8)[: len(few)] == few


def test_types_of_many_families_happen(decoded: list[DecodedEvent]) -> None:
    # Later types are for later stories; these are the ones that the demo was written for.
    assert len({event.type for event in decoded}) >= 18
    assert {event.type for event in decoded} <= set(CATALOGUE)


def test_every_identifier_is_usable(decoded: list[DecodedEvent]) -> None:
    assert [event.data_quality for event in decoded if event.data_quality] == []


def test_no_two_records_are_one_event_but_the_correction_and_the_retraction(decoded: list[DecodedEvent]) -> None:
    revised = [event for event in decoded if event.revision]
    assert sorted((event.type, event.id) for event in revised) == [
        ("event.retracted.v1", "shop:A-5"),
        ("purchase.completed.v1", "shop:A-4"),
    ]
    first = [event.event_id for event in decoded if not event.revision]
    assert len(first) == len(set(first))
    assert {event.event_id for event in revised} <= set(first)


def test_everything_happens_within_the_given_time(decoded: list[DecodedEvent]) -> None:
    assert min(event.occurred_at for event in decoded) >= UNTIL - timedelta(days=365)
    assert max(event.occurred_at for event in decoded) <= UNTIL


def test_the_highlights_name_customers_that_are_there(decoded: list[DecodedEvent]) -> None:
    known = {identifier.identifier_id for event in decoded for identifier in event.identifiers}
    space = identifier_space(Settings())
    for highlight in HIGHLIGHTS:
        kind, _, value = highlight.ref.partition(":")
        found = space.normalise(kind, value)
        assert not isinstance(found, str)
        assert found.identifier_id in known


def test_a_demo_on_a_kept_folder_ends_when_the_first_one_did(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "data"
    plan = Plan(5, 365, 1, UNTIL)
    assert remembered(folder, plan) == plan
    assert remembered(folder, plan._replace(until=UNTIL + timedelta(days=1))) == plan
    assert remembered(None, plan) == plan
