"""The contract of `TimelineReader`, run on memory and on Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from view_rows import (
    PROJECTION,
    VERSION,
    Views,
    event,
    identifier_id,
    thing_id,
    viewed,
)

from customer_timeline.projections.progress import DeadPosition, PartitionProgress
from customer_timeline.projections.reading import (
    TimelineFilter,
    TimelineKey,
    TimelinePage,
    TimelineReader,
    ViewsOutOfDateError,
)
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.position_token import EventPosition

pytestmark = pytest.mark.anyio
ANN, ANN_PHONE, BOB = ("email", "ann@example.com"), ("phone", "+14155550123"), ("email", "bob@example.com")
ALL = TimelineFilter()
Read = Callable[[Views], TimelineReader]


def us(at: str) -> int:
    return to_micros(datetime.fromisoformat(at))


def names(page: TimelinePage | None) -> list[str]:
    """Ids that the sources gave, in the order of the page."""
    if page is None:
        raise AssertionError("the identifier is unknown")
    return [json.loads(row.event)["id"] for row in page.rows]


async def pages(reader: TimelineReader, who: str, limit: int, wanted: TimelineFilter = ALL) -> list[list[str]]:
    """All pages of a timeline, each begun where the one before ended."""
    found, before = [], None
    while True:
        page = await reader.timeline(who, wanted, limit=limit, before=before)
        found.append(names(page))
        if page is None or not page.more:
            return found
        before = page.rows[-1].key


async def test_any_identifier_leads_to_its_customer_with_all_members(read: Read) -> None:
    views = Views()
    first = event(1, "call.missed.v1", "2026-03-01T09:00:00Z", {"direction": "inbound"}, [ANN_PHONE], channel="phone")
    both = event(2, "page.viewed.v1", "2026-03-02T09:00:00Z", {"url": "https://a.example"}, [ANN, ANN_PHONE])
    customer_id = views.customer([both, first], also=[("crm_id", "C-7")])
    views.customer([viewed(3, "2026-03-01T00:00:00Z", BOB)])
    reader = read(views)
    for who in (ANN, ANN_PHONE, ("crm_id", "C-7")):
        found = await reader.customer(identifier_id(*who))
        assert found is not None
        assert found.customer_id == customer_id == identifier_id(*ANN_PHONE)
        # First seen first; what only a decision named comes last.
        assert [(m.kind, m.value, m.first_seen_us) for m in found.members] == [
            ("phone", "+14155550123", us("2026-03-01T09:00:00Z")),
            ("email", "ann@example.com", us("2026-03-02T09:00:00Z")),
            ("crm_id", "C-7", None),
        ]
        assert found.facts is not None
        assert PROJECTION.decode(found.facts).activity["events"] == 2


async def test_an_identifier_that_nobody_named_is_no_customer_and_has_no_timeline(read: Read) -> None:
    views = Views()
    views.customer([viewed(1, "2026-03-01T00:00:00Z", BOB)])
    reader = read(views)
    assert await reader.customer(identifier_id(*ANN)) is None
    assert await reader.timeline(identifier_id(*ANN), ALL, limit=1) is None


async def test_the_timeline_is_newest_first_and_equal_times_go_by_event_id(read: Read) -> None:
    views = Views()
    same = "2026-03-02T00:00:00.000001Z"
    given = [viewed(1, "2026-03-01T00:00:00Z", ANN), *(viewed(n, same, ANN) for n in (2, 3, 4))]
    customer_id = views.customer([*given, viewed(5, "2026-03-02T00:00:00Z", ANN)])
    tied = sorted(
        (landed.event for landed in views.events if landed.event.id in ("e2", "e3", "e4")),
        key=lambda e: e.event_id,
        reverse=True,
    )
    page = await read(views).timeline(customer_id, ALL, limit=10)
    assert names(page) == [*(e.id for e in tied), "e5", "e1"]
    assert page is not None
    assert not page.more


async def test_a_row_tells_where_and_when_the_log_took_the_event_in(read: Read) -> None:
    views = Views()
    views.customer([viewed(1, "2026-03-01T00:00:00Z", BOB)])
    broken = event(2, "page.viewed.v1", "2026-03-01T00:00:00Z", {"url": "https://a.example"}, [ANN, ("phone", "12")])
    customer_id = views.customer([broken])
    page = await read(views).timeline(customer_id, ALL, limit=1)
    assert page is not None
    row = page.rows[0]
    # The second record of its partition, appended a second after it happened.
    assert (row.partition, row.offset) == (0, 1)
    assert row.recorded_us - row.occurred_us == 1_000_000
    assert row.data_quality is not None
    assert "not_normalisable" in row.data_quality


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_laid_end_to_end_are_the_whole_timeline(read: Read, limit: int) -> None:
    views = Views()
    # 7 events at 3 anchors (two identifiers, an order), two of them at one instant.
    at = [f"2026-03-0{day}T00:00:00Z" for day in (1, 2, 3, 3, 4, 5, 6)]
    own = [viewed(n, at[n], ANN if n % 2 else ANN_PHONE) for n in range(5)]
    link = event(5, "page.viewed.v1", at[5], {"url": "https://a.example"}, [ANN, ANN_PHONE])
    customer_id = views.customer([*own, link])
    views.thing("order", "o1", owner=identifier_id(*ANN))
    views.land(event(6, "delivery.completed.v1", at[6], {"order_id": "o1"}))
    reader = read(views)
    whole = names(await reader.timeline(customer_id, ALL, limit=200))
    assert len(whole) == 7
    found = await pages(reader, customer_id, limit)
    assert [name for page in found for name in page] == whole
    assert all(len(page) == limit for page in found[:-1])


async def test_a_full_last_page_says_that_nothing_follows(read: Read) -> None:
    views = Views()
    customer_id = views.customer([viewed(n, f"2026-03-0{n}T00:00:00Z", ANN) for n in (1, 2)])
    page = await read(views).timeline(customer_id, ALL, limit=2)
    assert page is not None
    assert not page.more


async def test_events_at_a_thing_belong_to_its_owner(read: Read) -> None:
    views = Views()
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    stranger = views.customer([viewed(2, "2026-03-01T00:00:00Z", BOB)])
    views.thing("order", "o1", owner=identifier_id(*ANN))
    views.land(event(3, "delivery.completed.v1", "2026-03-02T00:00:00Z", {"order_id": "o1"}))
    reader = read(views)
    assert names(await reader.timeline(customer_id, ALL, limit=9)) == ["e3", "e1"]
    assert names(await reader.timeline(stranger, ALL, limit=9)) == ["e2"]


async def test_a_thing_without_owner_follows_the_thing_that_it_came_with_five_steps_and_no_further(read: Read) -> None:
    views = Views()
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    views.thing("order", "t0", owner=identifier_id(*ANN))
    for step in range(1, 7):
        views.thing("order", f"t{step}", via=("order", f"t{step - 1}"))
    for step in range(7):
        at = f"2026-03-02T00:00:0{step}Z"
        views.land(event(10 + step, "delivery.completed.v1", at, {"order_id": f"t{step}"}))
    found = names(await read(views).timeline(customer_id, ALL, limit=99))
    assert found == ["e15", "e14", "e13", "e12", "e11", "e10", "e1"]


async def test_an_owner_of_its_own_counts_more_than_the_thing_that_it_came_with(read: Read) -> None:
    views = Views()
    ann = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    bob = views.customer([viewed(2, "2026-03-01T00:00:00Z", BOB)])
    views.thing("order", "o1", owner=identifier_id(*ANN))
    views.thing("case", "c1", owner=identifier_id(*BOB), via=("order", "o1"))
    views.land(event(3, "complaint.resolved.v1", "2026-03-02T00:00:00Z", {"case_id": "c1"}))
    reader = read(views)
    assert names(await reader.timeline(ann, ALL, limit=9)) == ["e1"]
    assert names(await reader.timeline(bob, ALL, limit=9)) == ["e3", "e2"]


async def test_retractions_and_decisions_are_in_no_timeline(read: Read) -> None:
    views = Views()
    retraction = {"reason": "test", "operator": "op"}
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    given = event(9, "event.retracted.v1", "2026-03-02T00:00:00Z", retraction, channel=None)
    given["data"].pop("identifiers", None)
    views.land({**given, "revision": 1})
    assert names(await read(views).timeline(customer_id, ALL, limit=9)) == ["e1"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (TimelineFilter(type="page.viewed"), ["e3", "e1"]),
        (TimelineFilter(type="page.viewed.v1"), ["e3", "e1"]),
        (TimelineFilter(type="page.viewed.v2"), []),
        (TimelineFilter(type="page"), []),
        (TimelineFilter(type="page_viewed"), []),  # _ and % are no wildcards
        (TimelineFilter(type="page%"), []),
        (TimelineFilter(channel="email"), ["e2"]),
        (TimelineFilter(channel="web", type="email.sent"), []),
        (TimelineFilter(from_us=to_micros(datetime(2026, 3, 2, tzinfo=UTC))), ["e3", "e2"]),
        (TimelineFilter(until_us=to_micros(datetime(2026, 3, 2, tzinfo=UTC))), ["e1"]),
        (TimelineFilter(from_us=to_micros(datetime(2026, 3, 2, tzinfo=UTC)) + 1), ["e3"]),
        (TimelineFilter(until_us=to_micros(datetime(2026, 3, 2, tzinfo=UTC)) + 1), ["e2", "e1"]),
        (TimelineFilter(until_us=0), []),
    ],
)
async def test_filters_cut_the_timeline(read: Read, wanted: TimelineFilter, expected: list[str]) -> None:
    views = Views()
    mail = event(2, "email.sent.v1", "2026-03-02T00:00:00Z", {"message_id": "m"}, [ANN], channel="email")
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN), mail, viewed(3, "2026-03-03T00:00:00Z", ANN)])
    assert names(await read(views).timeline(customer_id, wanted, limit=9)) == expected


async def test_filters_hold_from_page_to_page_over_many_anchors(read: Read) -> None:
    views = Views()
    own = [viewed(n, f"2026-03-01T00:{n:02}:00Z", ANN) for n in range(10)]
    customer_id = views.customer(own)
    for n in range(10, 22):
        views.thing("order", f"o{n}", owner=identifier_id(*ANN))
        views.land(event(n, "delivery.completed.v1", f"2026-03-01T00:{n:02}:00Z", {"order_id": f"o{n}"}))
        views.land(
            event(
                n + 50,
                "complaint.opened.v1",
                f"2026-03-02T00:{n:02}:00Z",
                {"order_id": f"o{n}", "case_id": f"c{n}", "theme": "late"},
            )
        )
    reader = read(views)
    only = TimelineFilter(
        type="delivery.completed", from_us=us("2026-03-01T00:12:00Z"), until_us=us("2026-03-01T00:20:00Z")
    )
    # Two events a page, thirteen anchors: more anchors than the page has room for.
    assert await pages(reader, customer_id, 2, only) == [["e19", "e18"], ["e17", "e16"], ["e15", "e14"], ["e13", "e12"]]


async def test_the_key_of_a_page_stays_good_when_customers_merge(read: Read) -> None:
    views = Views()
    ann = views.customer([viewed(n, f"2026-03-0{n}T00:00:00Z", ANN) for n in (2, 4, 6)])
    bob = views.customer([viewed(n, f"2026-03-0{n}T00:00:00Z", BOB) for n in (1, 5, 7)])
    merged = Views(**vars(views))
    merged.members, merged.facts = {k: list(v) for k, v in views.members.items()}, dict(views.facts)
    merged.merge(ann, bob)
    # Ann's first page ended at e4; after the merge it goes on with everything older, Bob's included.
    reader = read(merged)
    before = TimelineKey(us("2026-03-04T00:00:00Z"), next(e.event.event_id for e in views.events if e.event.id == "e4"))
    page = await reader.timeline(ann, ALL, limit=9, before=before)
    assert names(page) == ["e2", "e1"]
    found = await reader.customer(ann)
    assert found is not None
    assert found.customer_id == bob


async def test_events_at_instants_are_all_listed_events_of_the_customer_at_them(read: Read) -> None:
    views = Views()
    same, later = "2026-03-02T00:00:00.000001Z", "2026-03-03T00:00:00Z"
    mail = event(3, "email.sent.v1", same, {"message_id": "m"}, [ANN], channel="email")
    customer_id = views.customer(
        [viewed(1, "2026-03-01T00:00:00Z", ANN), viewed(2, same, ANN), mail, viewed(4, later, ANN)]
    )
    views.customer([viewed(5, same, BOB)])
    views.thing("order", "o1", owner=identifier_id(*ANN))
    views.land(event(6, "delivery.completed.v1", same, {"order_id": "o1"}))
    retraction = event(9, "event.retracted.v1", same, {"reason": "test", "operator": "op"}, channel=None)
    retraction["data"].pop("identifiers", None)
    views.land({**retraction, "revision": 1})
    ids = {landed.event.id: landed.event.event_id for landed in views.events}
    reader = read(views)
    found = await reader.events_at(customer_id, {us(same), us(later)})
    at_once = sorted(
        (ids[name], type_, alive)
        for name, type_, alive in (
            ("e2", "page.viewed.v1", True),
            ("e3", "email.sent.v1", False),
            ("e6", "delivery.completed.v1", False),
        )
    )
    assert [tuple(one) for one in found] == [
        *((us(same), *rest) for rest in at_once),
        (us(later), ids["e4"], "page.viewed.v1", True),
    ]
    assert await reader.events_at(customer_id, [us(same) + 1]) == ()
    assert await reader.events_at(customer_id, []) == ()
    assert await reader.events_at(identifier_id(*ANN_PHONE), [us(same)]) == ()


async def test_views_of_another_version_are_refused(read: Read) -> None:
    views = Views(version="customer-0-old")
    customer_id = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    reader = read(views)
    with pytest.raises(ViewsOutOfDateError) as caught:
        await reader.customer(customer_id)
    assert (caught.value.found, caught.value.expected) == ("customer-0-old", VERSION)
    assert not (await reader.health()).current
    with pytest.raises(ViewsOutOfDateError):
        await reader.timeline(customer_id, ALL, limit=1)
    with pytest.raises(ViewsOutOfDateError):
        await reader.events_at(customer_id, [0])


async def test_views_that_no_worker_has_written_yet_are_current_and_empty(read: Read) -> None:
    reader = read(Views(version=None))
    assert (await reader.health()).current
    assert await reader.customer(identifier_id(*ANN)) is None


async def test_the_progress_of_a_topic_is_that_of_its_partitions_and_of_no_other(read: Read) -> None:
    views = Views()
    topic_id = "0b8f6a52-3c9f-4a0e-9d0c-7e1d5b2f4a61"
    views.progress["touchpoints", 0] = PartitionProgress(topic_id, 5, us("2026-03-01T00:00:00.000001Z"))
    views.progress["touchpoints", 3] = PartitionProgress(None, 1 << 40, None)
    views.progress["other", 0] = PartitionProgress(topic_id, 7, None)
    reader = read(views)
    assert await reader.progress("touchpoints") == {
        0: PartitionProgress(topic_id, 5, us("2026-03-01T00:00:00.000001Z")),
        3: PartitionProgress(None, 1 << 40, None),
    }
    assert await reader.progress("elsewhere") == {}


async def test_progress_of_another_projection_version_is_refused(read: Read) -> None:
    views = Views(version="customer-0-other")
    views.progress["touchpoints", 0] = PartitionProgress(None, 5, None)
    with pytest.raises(ViewsOutOfDateError):
        await read(views).progress("touchpoints")


async def test_of_some_positions_the_dead_letters_are_told_with_their_reason(read: Read) -> None:
    views = Views()
    views.dead_letter(7, "not_json", "2026-03-01T00:00:00Z")
    views.dead_letter(9, "unknown_type", "2026-03-02T00:00:00Z")
    views.dead_letter(11, "unknown_type", "2026-03-02T00:00:00Z")
    asked = [EventPosition(1, 9), EventPosition(1, 8), EventPosition(0, 11), EventPosition(1, 7)]
    reader = read(views)
    assert await reader.dead_positions("touchpoints", asked) == (
        DeadPosition(1, 7, "not_json"),
        DeadPosition(1, 9, "unknown_type"),
    )
    assert await reader.dead_positions("elsewhere", asked) == ()


async def test_a_thing_is_no_reference_to_a_customer(read: Read) -> None:
    views = Views()
    views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    views.thing("order", "o1", owner=identifier_id(*ANN))
    assert await read(views).customer(thing_id("order", "o1")) is None
