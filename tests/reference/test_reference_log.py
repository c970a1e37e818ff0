"""The model of the whole log: small logs worked out by hand, and its own independence of order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from digest import difference
from generators import seeded_log, shuffled
from reference.log_model import Digest, Record, reference

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy

POLICY = IdentityPolicy()
CODEC = Codec(POLICY, b"a secret of the tests")
APPENDED = datetime(2025, 1, 1, tzinfo=UTC)
ANN = {"kind": "email", "value": "ann@example.com"}
PHONE = {"kind": "phone", "value": "+14155552671"}


def page(number: str, day: int, *who: dict[str, str], **changes: Any) -> dict[str, Any]:
    data = {"url": "https://example.com", "channel": "web", "identifiers": list(who)}
    time = f"2024-01-{day:02d}T00:00:00Z"
    return {
        "specversion": "1.0",
        "id": number,
        "source": "s",
        "type": "page.viewed.v1",
        "time": time,
        "data": data,
    } | changes


def delivered(number: str, day: int, order: str, *who: dict[str, str]) -> dict[str, Any]:
    data = {"order_id": order, "channel": "mail", "identifiers": list(who)}
    return page(number, day) | {"type": "delivery.completed.v1", "data": data}


def retracted(event: dict[str, Any], revision: int) -> dict[str, Any]:
    data = {"reason": "wrong", "operator": "ops"}
    return event | {"type": "event.retracted.v1", "revision": revision, "data": data}


def read(*events: dict[str, Any]) -> Digest:
    records = [Record(json.dumps(e).encode(), APPENDED + timedelta(seconds=n)) for n, e in enumerate(events)]
    return reference(records, CODEC, POLICY, CustomerProjection(BusinessCalendar("UTC")))


def events_of(digest: Digest) -> list[int]:
    return sorted(row["events"] for row in digest["customers"].values())


def test_a_plain_duplicate_is_one_event_recorded_when_the_first_copy_was() -> None:
    once = page("1", 1, ANN)
    found = read(once, once)
    assert events_of(found) == [1]
    assert found["superseded"] == {}
    assert list(found["recorded"].values()) == [APPENDED]


def test_greatest_revision_wins_then_earliest_time() -> None:
    found = read(page("1", 5, ANN, revision=1), page("1", 9, ANN), page("1", 4, ANN, revision=1))
    (row,) = found["timeline"].values()
    assert (row["revision"], row["occurred_at"].day) == (1, 4)
    assert sorted((revision, at.day) for _, revision, at, _ in found["superseded"]) == [(0, 9), (1, 5)]


def test_a_retraction_empties_its_event_but_its_identifiers_remain() -> None:
    event = page("1", 5, ANN, PHONE)
    found = read(retracted(event, 1), event)
    assert events_of(found) == [0, 0]
    assert [row["occurred_at"] for row in found["links"].values()] == [None]
    assert {row["first_seen_at"] for row in found["identifiers"].values()} == {None}


def test_events_of_a_thing_wait_for_its_owner() -> None:
    carrier = delivered("1", 5, "o1")
    assert read(carrier)["customers"] == {}
    found = read(carrier, delivered("2", 9, "o1", ANN))
    assert events_of(found) == [2]
    assert len(found["things"]) == 1


def test_an_event_with_nul_is_unstorable() -> None:
    found = read(page("1", 1, ANN), page("2", 1, ANN, subject=None) | {"data": page("2", 1, ANN)["data"] | NUL})
    assert [reason for _, reason in found["dead_letters"]] == ["unstorable"]
    assert events_of(found) == [1]


NUL = {"title": "a\x00b"}


@pytest.mark.parametrize("seed", range(5))
def test_reference_is_independent_of_order_and_copies(seed: int) -> None:
    log = seeded_log(seed)

    def digest(variant: int) -> Digest:
        sent = shuffled(log, variant, twice_percent=20)
        return reference(
            [Record(s.value, APPENDED) for s in sent], CODEC, POLICY, CustomerProjection(BusinessCalendar("UTC"))
        )

    assert difference(digest(1), digest(2)) == ""


def test_difference_tells_what_differs() -> None:
    told = difference(read(page("1", 1, ANN)), read(page("1", 2, ANN)))
    assert ".occurred_at: expected 2024-01-01" in told
    assert "customers: 1 of 1 rows differ" in told or "customers" in told
