"""The part of the contract of `TimelineReader` that is about identity, run on memory and on Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, get_args

import pytest
from view_links import component, review_page
from view_rows import Views, event, identifier_id, viewed

from customer_timeline.projections.identity_review import IdentityChange, ReviewFilter, ReviewList, ReviewRow
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.schemas.decoded import to_micros

pytestmark = pytest.mark.anyio
ANN, ANN_PHONE, BOB = ("email", "ann@example.com"), ("phone", "+14155550123"), ("email", "bob@example.com")
Read = Callable[[Views], TimelineReader]


def us(at: str) -> int:
    return to_micros(datetime.fromisoformat(at))


def decided(number: int, type_: str, at: str, a: tuple[str, str], b: tuple[str, str]) -> dict[str, Any]:
    """An operator's decision about two identifiers."""
    data = {"a": dict(zip(("kind", "value"), a, strict=True)), "b": dict(zip(("kind", "value"), b, strict=True))}
    told = event(number, type_, at, {**data, "reason": "asked", "operator": "op-1"}, channel=None)
    del told["data"]["identifiers"]
    return told


def tangled() -> Views:
    """Ann's email and member number; one that limits refuse, one that was parted, a shared phone; and a stranger."""
    views = Views()
    member, other, crm = ("member_id", "M-1"), ("member_id", "M-2"), ("crm_id", "C-1")
    views.customer(
        [
            event(1, "page.viewed.v1", "2026-03-05T00:00:00Z", {"url": "https://a.example"}, [member, ANN]),
            event(2, "page.viewed.v1", "2026-03-04T00:00:00Z", {"url": "https://a.example"}, [member, ANN]),
            event(3, "page.viewed.v1", "2026-03-06T00:00:00Z", {"url": "https://a.example"}, [ANN, ANN_PHONE]),
            event(4, "page.viewed.v1", "2026-03-06T00:00:00Z", {"url": "https://a.example"}, [member, BOB]),
        ],
    )
    phone_id, bob_id = identifier_id(*ANN_PHONE), identifier_id(*BOB)
    (ann_id,) = views.members
    views.members[phone_id] = [m for m in views.members[ann_id] if m.identifier_id == phone_id]
    views.members[bob_id] = [m for m in views.members[ann_id] if m.identifier_id == bob_id]
    views.members[ann_id] = [m for m in views.members[ann_id] if m.identifier_id not in (phone_id, bob_id)]
    views.facts |= {phone_id: views.facts[ann_id], bob_id: views.facts[ann_id]}
    views.shared.add(phone_id)
    both = event(5, "page.viewed.v1", "2026-03-09T00:00:00Z", {"url": "https://a.example"}, [other, ANN])
    views.land(both)
    views.customer([viewed(6, "2026-03-08T00:00:00Z", other)], also=[crm])
    views.land(decided(7, "identity.unlinked.v1", "2026-03-09T00:00:00Z", BOB, member))
    views.land(decided(8, "identity.linked.v1", "2026-03-08T00:00:00Z", BOB, member))
    views.land(decided(9, "identity.linked.v1", "2026-03-10T00:00:00Z", other, crm))
    views.customer([viewed(10, "2026-03-08T00:00:00Z", ("email", "stranger@example.com"))])
    return views


async def test_the_component_of_an_identifier_holds_all_that_decides_who_is_who(read: Read) -> None:
    views = tangled()
    reader = read(views)
    found = await reader.identity(identifier_id(*ANN))
    assert found == component(views, identifier_id(*ANN))
    assert found is not None
    assert {m.value for m in found.inside} == {"M-1", "ann@example.com", "M-2", "C-1"}
    assert {m.value: m.shared for m in found.ends} == {"+14155550123": True, "bob@example.com": False}
    # Of the two events that name Ann and M-1 the earlier one counts; it beats the other on one time only.
    (pair,) = (
        link
        for link in found.links
        if {m.value for m in found.inside if m.identifier_id in link.pair} == {"M-1", "ann@example.com"}
    )
    assert [(one.occurred_us, one.source, one.type) for one in pair.evidence] == [
        (us("2026-03-04T00:00:00Z"), "https://shop.example.com", "page.viewed.v1")
    ]
    assert [
        (one.verdict, one.operator, one.reason) for one in sorted(found.decisions, key=lambda d: d.occurred_us)
    ] == [
        ("linked", "op-1", "asked"),
        ("unlinked", "op-1", "asked"),
        ("linked", "op-1", "asked"),
    ]
    assert not found.links_left_out
    for who in (BOB, ANN_PHONE, ("crm_id", "C-1"), ("email", "stranger@example.com")):
        assert await reader.identity(identifier_id(*who)) == component(views, identifier_id(*who))
    assert await reader.identity(identifier_id("email", "nobody@example.com")) is None


@pytest.mark.parametrize("of", get_args(ReviewList))
async def test_the_lists_of_the_review_are_the_same_in_pages_of_any_size(read: Read, of: ReviewList) -> None:
    views = tangled()
    at_us = us("2026-03-09T00:00:00Z")
    views.changes += [IdentityChange(identifier_id(*who), (identifier_id(*BOB),), at_us) for who in (ANN, BOB)]
    reader, wanted = read(views), ReviewFilter(of, size=2)
    whole = await reader.identity_review(wanted, limit=50)
    assert whole == review_page(views, wanted, 50, None)
    assert whole.rows
    assert whole.after is None
    found: list[ReviewRow] = []
    after = None
    while True:
        page = await reader.identity_review(wanted, limit=1, after=after)
        found += page.rows
        after = page.after
        if after is None:
            break
    assert found == list(whole.rows)


async def test_events_of_identifiers_are_those_that_stand_there_and_at_their_things(read: Read) -> None:
    views = tangled()
    bought = {"order_id": "o-1", "total": {"amount": "5", "currency": "USD"}}
    views.land(event(20, "delivery.completed.v1", "2026-03-11T00:00:00Z", {"order_id": "o-1"}))
    views.land(event(21, "purchase.completed.v1", "2026-03-10T00:00:00Z", bought, [BOB]))
    views.thing("order", "o-1", owner=identifier_id(*BOB))
    reader = read(views)
    ids = [identifier_id("member_id", "M-2"), identifier_id(*BOB)]
    found = await reader.events_of(ids, limit=4)
    assert found is not None
    assert sorted(json.loads(one.event)["id"] for one in found) == ["e20", "e21", "e5", "e6"]
    assert await reader.events_of(ids, limit=3) is None
    assert await reader.events_of([identifier_id(*ANN_PHONE)], limit=3) == ()
