"""What the reader says of dead letters, in memory and on Postgres."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from view_rows import Views, identifier_id, thing_id, viewed

from customer_timeline.projections.dead_letters import (
    DeadLetterFilter,
    DeadLetterGroupKey,
    DeadLetterPlace,
    DeadLetterState,
    StoredDeadLetters,
    fingerprint,
)
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.errors import RejectionReason

pytestmark = pytest.mark.anyio
Read = Callable[..., TimelineReader]
ALL = DeadLetterFilter()
ANN = ("email", "ann@example.com")
SURVEY = "survey.answered.v1"
CSAT = f"invalid_field ({SURVEY} at data.csat): Input should be less than or equal to 5"
STATES: tuple[DeadLetterState, ...] = ("open", "healed", "discarded", "replaced")
THEME = f"invalid_field ({SURVEY} at data.themes[{{}}]): Input should be a valid string"


def us(text: str) -> int:
    return to_micros(datetime.fromisoformat(text))


@pytest.fixture
def letters() -> Views:
    """One that is no JSON, two of one cause at different places of a list, one of another cause."""
    views = Views()
    views.dead_letter(1, "not_json", "2026-03-01T00:00:00Z", error="not_json: EOF at line 1 column 1")
    views.dead_letter(2, "invalid_field", "2026-03-02T00:00:00Z", error=THEME.format(0), type_=SURVEY)
    views.dead_letter(3, "invalid_field", "2026-03-03T00:00:00Z", error=CSAT, type_=SURVEY)
    views.dead_letter(4, "invalid_field", "2026-03-03T00:00:00Z", error=THEME.format(17), type_=SURVEY)
    return views


async def test_groups_come_with_count_first_and_last_the_newest_first(read: Read, letters: Views) -> None:
    found = await read(letters).dead_letter_groups(ALL, limit=9)
    assert not found.more
    assert {(g.error, g.records, g.first_us, g.last_us, g.last) for g in found.rows} == {
        (
            "invalid_field (survey.answered.v# at data.themes[#]): Input should be a valid string",
            2,
            us("2026-03-02T00:00:00Z"),
            us("2026-03-03T00:00:00Z"),
            DeadLetterPlace("touchpoints", 1, 4),
        ),
        (
            "invalid_field (survey.answered.v# at data.csat): Input should be less than or equal to #",
            1,
            us("2026-03-03T00:00:00Z"),
            us("2026-03-03T00:00:00Z"),
            DeadLetterPlace("touchpoints", 1, 3),
        ),
        (
            "not_json: EOF at line # column #",
            1,
            us("2026-03-01T00:00:00Z"),
            us("2026-03-01T00:00:00Z"),
            DeadLetterPlace("touchpoints", 1, 1),
        ),
    }
    assert [g.key for g in found.rows] == sorted((g.key for g in found.rows), reverse=True)
    assert {g.fingerprint for g in found.rows} == {letter.summary.fingerprint for letter in letters.letters}


async def test_pages_of_groups_leave_none_out_and_show_none_twice(read: Read, letters: Views) -> None:
    reader = read(letters)
    whole = (await reader.dead_letter_groups(ALL, limit=9)).rows
    after: DeadLetterGroupKey | None = None
    for n, group in enumerate(whole):
        page = await reader.dead_letter_groups(ALL, limit=1, after=after)
        assert (page.rows, page.more) == ((group,), n < len(whole) - 1)
        after = group.key


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (ALL, [4, 3, 2, 1]),
        (DeadLetterFilter(reason="not_json"), [1]),
        (DeadLetterFilter(type="survey.answered"), [4, 3, 2]),
        (DeadLetterFilter(type=SURVEY), [4, 3, 2]),
        (DeadLetterFilter(type="survey.answered.v2"), []),
        (DeadLetterFilter(since_us=us("2026-03-02T00:00:00Z")), [4, 3, 2]),
        (DeadLetterFilter(until_us=us("2026-03-02T00:00:00Z")), [1]),
        (DeadLetterFilter(fingerprint=fingerprint("invalid_field", SURVEY, THEME.format(5))), [4, 2]),
    ],
)
async def test_filters_choose_records_and_what_groups_count(
    read: Read, letters: Views, wanted: DeadLetterFilter, offsets: list[int]
) -> None:
    reader = read(letters)
    assert [one.offset for one in (await reader.dead_letters(wanted, limit=9)).rows] == offsets
    assert sum(group.records for group in (await reader.dead_letter_groups(wanted, limit=9)).rows) == len(offsets)


async def test_records_are_paged_from_one_on_newest_first(read: Read, letters: Views) -> None:
    reader = read(letters)
    first = await reader.dead_letters(ALL, limit=2)
    assert ([one.offset for one in first.rows], first.more) == ([4, 3], True)
    second = await reader.dead_letters(ALL, limit=2, after=DeadLetterPlace("touchpoints", 1, 3))
    assert ([one.offset for one in second.rows], second.more) == ([2, 1], False)
    assert (await reader.dead_letters(ALL, limit=2, after=DeadLetterPlace("touchpoints", 1, 99))).rows == ()


async def test_what_is_stored_is_counted_by_reason(read: Read, letters: Views) -> None:
    found = await read(letters).stored_dead_letters()
    assert found.by_reason == {"not_json": 1, "invalid_field": 3}
    assert found.size_bytes > 0


async def test_an_event_is_read_with_the_place_of_its_record(read: Read) -> None:
    views = Views()
    views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN), viewed(2, "2026-03-02T00:00:00Z", ANN)])
    reader = read(views)
    second = views.events[1].event
    found = await reader.stored_event(second.event_id)
    assert found is not None
    assert (found.recorded_us, found.partition, found.offset) == (to_micros(second.recorded_at), 0, 1)
    assert not await reader.applied_operation(second.event_id)


async def test_with_no_dead_letter_nothing_is_counted(read: Read) -> None:
    reader = read(Views())
    found = await reader.stored_dead_letters()
    assert found == StoredDeadLetters({}, found.size_bytes)
    assert (await reader.dead_letter_groups(ALL, limit=1)).rows == ()


async def test_a_dead_letter_keeps_the_original_bytes(read: Read) -> None:
    views = Views()
    views.dead_letter(7, "not_json", "2026-03-01T00:00:00Z", value=b"\xff\x00{", error="not JSON at byte 0")
    reader = read(views)
    found = await reader.dead_letter("touchpoints", 1, 7)
    assert found == views.letters[0]
    assert await reader.dead_letter("touchpoints", 1, 8) is None


@pytest.mark.parametrize("reason", RejectionReason)
def test_a_fingerprint_tells_reasons_types_and_fields_apart_and_no_numbers(reason: RejectionReason) -> None:
    one = fingerprint(reason, SURVEY, f"{reason} at data.items[3].amount: no")
    assert one == fingerprint(reason, SURVEY, f"{reason} at data.items[12].amount: no")
    assert len({one, fingerprint(reason, None, f"{reason} at data.items[3].amount: no")}) == 2
    assert one != fingerprint(reason, SURVEY, f"{reason} at data.items[3].sku: no")


async def test_the_highest_revision_of_an_event_is_told(read: Read) -> None:
    views = Views()
    views.customer([{**viewed(1, "2026-03-01T00:00:00Z", ANN), "revision": 4}])
    reader = read(views)
    assert await reader.stored_revision(views.events[0].event.event_id) == 4
    assert await reader.stored_revision(identifier_id(*ANN)) is None


async def test_a_thing_leads_to_its_owner_itself_or_through_others(read: Read) -> None:
    views = Views()
    ann = views.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    views.thing("order", "o1", owner=identifier_id(*ANN))
    views.thing("case", "c1", via=("order", "o1"))
    views.thing("order", "o2")
    reader = read(views)
    found = [await reader.owner_of(thing_id(*one)) for one in (("order", "o1"), ("case", "c1"), ("order", "o2"))]
    assert found == [ann, ann, None]
    assert await reader.owner_of(thing_id("order", "o3")) is None


async def test_what_healed_is_listed_only_when_asked_for_and_what_was_decided_with_its_state(read: Read) -> None:
    views = Views()
    for number, state in enumerate(STATES, start=1):
        views.dead_letter(number, "not_json", f"2026-03-0{number}T00:00:00Z", state=state)
    reader = read(views)
    listed = (await reader.dead_letters(ALL, limit=9)).rows
    assert [(one.offset, one.state) for one in listed] == [(4, "replaced"), (3, "discarded"), (1, "open")]
    for number, state in enumerate(STATES, start=1):
        wanted = DeadLetterFilter(state=state)
        assert [one.offset for one in (await reader.dead_letters(wanted, limit=9)).rows] == [number]
        (group,) = (await reader.dead_letter_groups(wanted, limit=9)).rows
        assert (group.records, group.open, group.last.offset) == (1, state == "open", number)
    (group,) = (await reader.dead_letter_groups(ALL, limit=9)).rows
    assert (group.records, group.open) == (3, 1)


async def test_only_what_nobody_has_decided_about_is_counted(read: Read) -> None:
    views = Views()
    for number, state in enumerate(STATES, start=1):
        views.dead_letter(number, "not_json", "2026-03-01T00:00:00Z", state=state)
    assert (await read(views).stored_dead_letters()).by_reason == {"not_json": 1}


async def test_a_dead_letter_tells_who_decided_what(read: Read) -> None:
    views = Views()
    views.dead_letter(1, "not_json", "2026-03-01T00:00:00Z", state="discarded")
    views.dead_letter(2, "not_json", "2026-03-01T00:00:00Z")
    reader = read(views)
    found = await reader.dead_letter("touchpoints", 1, 1)
    assert found is not None
    assert found.decision is not None
    assert found.decision[:3] == ("ops", "so", None)
    undecided = await reader.dead_letter("touchpoints", 1, 2)
    assert undecided is not None
    assert undecided.decision is None
