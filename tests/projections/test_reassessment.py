"""Reassessing after new events gives what assessing everything gives, whatever came before and whatever is new."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lifecycle_events import ZONES, History, RandomHistory, day, facts_of, histories

from customer_timeline.projections.calendar import DAY_US, HOUR_US, BusinessCalendar
from customer_timeline.projections.lifecycle import Schedule, StageEntry, stage_schedule
from customer_timeline.projections.reassessment import schedule_after, stands_after
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.json_schema import example_event

RULES = StageRules()


def reassessed(
    events: list[DecodedEvent], new: Iterable[str], rules: StageRules, calendar: BusinessCalendar, less_us: int = 0
) -> tuple[Schedule, Schedule]:
    """The schedule after new events (by id), and that of all events. `less_us`: how far the bound lies before them."""
    ids = set(new)
    old = [event for event in events if event.event_id not in ids]
    earliest_us = min(event.occurred_us for event in events if not ids or event.event_id in ids)
    before = stage_schedule(facts_of(old, calendar), rules, calendar)
    facts = facts_of(events, calendar)
    return (
        schedule_after(before, facts, rules, calendar, earliest_us - less_us),
        stage_schedule(facts, rules, calendar),
    )


# -- laws --


@settings(max_examples=300)
@given(history=histories(max_size=12), data=st.data())
def test_the_schedule_after_new_events_is_that_of_all_events(history: RandomHistory, data: st.DataObject) -> None:
    events, rules, calendar = history
    earliest_us = data.draw(st.sampled_from(sorted({event.occurred_us for event in events})))
    # Old events may lie at the earliest new one or after it.
    later = [event.event_id for event in events if event.occurred_us >= earliest_us]
    new = data.draw(st.sets(st.sampled_from(later), min_size=1))
    for less_us in (0, 1, *data.draw(st.lists(st.integers(0, 500 * DAY_US), max_size=3))):
        after, whole = reassessed(events, new, rules, calendar, less_us)
        assert after == whole, less_us


@settings(max_examples=300)
@given(history=histories(max_size=12), data=st.data())
def test_events_told_one_by_one_in_any_order_give_the_schedule_of_all(
    history: RandomHistory, data: st.DataObject
) -> None:
    events, rules, calendar = history
    schedule: Schedule = ()
    told: list[DecodedEvent] = []
    for event in data.draw(st.permutations(events)):
        told.append(event)
        schedule = schedule_after(schedule, facts_of(told, calendar), rules, calendar, event.occurred_us)
    assert schedule == stage_schedule(facts_of(events, calendar), rules, calendar)


@settings(max_examples=300)
@given(history=histories(max_size=12), data=st.data())
def test_a_schedule_that_stands_is_that_of_all_events(history: RandomHistory, data: st.DataObject) -> None:
    events, rules, calendar = history
    quiet = [event for event in events if not event.sign_of_life]
    assume(quiet)
    new = data.draw(st.lists(st.sampled_from(quiet), min_size=1, unique=True))
    before = stage_schedule(facts_of([event for event in events if event not in new], calendar), rules, calendar)
    if stands_after(before, new, min(event.occurred_us for event in new)):
        assert stage_schedule(facts_of(events, calendar), rules, calendar) == before


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_of_every_type_it_is_known_whether_it_can_move_a_stage(name: str) -> None:
    history = History().purchase(day(0)).purchase(day(9)).answered(day(10), csat=1)
    record = orjson.dumps({**example_event(CATALOGUE[name]), "time": "2026-07-01T00:00:00Z"})
    event = Codec(IdentityPolicy(), b"a secret of the tests").decode(
        record, appended_at=datetime(2026, 7, 2, tzinfo=UTC)
    )
    before, calendar = stage_schedule(history.facts(), RULES, history.calendar), history.calendar
    after = stage_schedule(facts_of([*history.events, event], calendar), RULES, calendar)
    assert not stands_after(before, [event], event.occurred_us) or after == before


def _a_long_life(zone: str, start_us: int, rng: random.Random) -> list[DecodedEvent]:
    """Some 150 events over up to four years, with pauses, of a customer with habits."""
    history = History(zone)
    makers: list[Callable[[int], object]] = [
        history.page,
        history.page,
        history.mail,
        history.purchase,
        history.purchase,
        lambda us: history.purchase(us, recurring=True),
        lambda us: history.answered(us, csat=rng.choice((1, 5)), nps=rng.choice((None, 0, 9))),
    ]
    some_companies: list[Callable[[int], object]] = [
        lambda us: history.purchase(us, actor="company"),
        lambda us: history.case(rng.choice(("opened", "resolved")), us, rng.choice(("c-1", "c-2"))),
        lambda us: history.ended(us),
        lambda us: history.signed(us, "2026-01-10", rng.choice(("2026-03-01", "2027-01-01"))),
    ]
    makers += rng.choice(([], some_companies))
    longest = rng.choice((3, 20, 60))
    at_us = start_us
    for _ in range(150):
        at_us += rng.choice((0, HOUR_US, DAY_US, rng.randrange(longest * DAY_US), rng.randrange(longest * DAY_US)))
        at_us += 250 * DAY_US if rng.random() < 0.02 else 0
        rng.choice(makers)(at_us)
    return history.events


@pytest.mark.parametrize("zone", sorted(ZONES))
def test_long_lives_are_reassessed_exactly(zone: str) -> None:
    rng = random.Random(zone)
    calendar, start_us = ZONES[zone]
    for _ in range(4):
        events = _a_long_life(calendar.zone_name, start_us, rng)
        for rules in (RULES, StageRules(won_back_days=400, churn_days=20, silent_days=5, loyal_purchase_days=30)):
            for _ in range(6):
                # Mostly the newest, as in a log; sometimes a late one among them.
                first = rng.choice((len(events) - 1, rng.randrange(1, len(events))))
                new = {event.event_id for event in events[first:] if rng.random() < 0.5} or {events[first].event_id}
                after, whole = reassessed(events, new, rules, calendar)
                assert after == whole


# -- examples --


def test_a_customer_without_a_schedule_is_assessed_as_a_whole() -> None:
    history = History().purchase(day(0))
    facts = history.facts()
    assert schedule_after((), facts, RULES, history.calendar, day(0)) == stage_schedule(facts, RULES, history.calendar)


def test_a_mail_that_we_sent_leaves_the_schedule_as_it_stands_and_a_page_does_not() -> None:
    history = History().purchase(day(0)).mail(day(20)).page(day(21))
    before = stage_schedule(facts_of(history.events[:1], history.calendar), RULES, history.calendar)
    mail, page = history.events[1:]
    assert stands_after(before, [mail], mail.occurred_us)
    assert not stands_after(before, [mail, page], mail.occurred_us)
    assert not stands_after(before, [mail], day(0) - 1)  # it would be the first event
    assert not stands_after((), [mail], mail.occurred_us)


def test_an_event_before_all_others_assesses_everything_again() -> None:
    history = History().purchase(day(10)).purchase(day(40)).page(day(3))
    after, whole = reassessed(history.events, [history.events[2].event_id], RULES, history.calendar)
    assert after == whole
    assert after[:2] == (StageEntry(day(3), "prospect", ()), StageEntry(day(10), "new", ()))


def test_an_event_that_changes_nothing_at_its_instant_begins_no_entry() -> None:
    history = History().purchase(day(0)).page(day(20))
    after, whole = reassessed(history.events, [history.events[1].event_id], RULES, history.calendar)
    # New until day 90, but silent from day 50, 30 days after the page.
    assert after == whole
    assert after[:3] == (
        StageEntry(day(0), "new", ()),
        StageEntry(day(50), "new", ("silent",)),
        StageEntry(day(90), "at_risk", ("silent",)),
    )


def test_a_sign_of_life_in_time_takes_a_coming_stage_back() -> None:
    history = History().purchase(day(0)).page(day(170))
    after, whole = reassessed(history.events, [history.events[1].event_id], RULES, history.calendar)
    assert after == whole
    assert StageEntry(day(180), "churned", ("silent",)) not in after
    assert after[-1] == StageEntry(day(350), "churned", ("silent",))


def test_a_purchase_at_the_instant_of_churn_is_no_return_and_one_after_it_is() -> None:
    # Silence of 180 days holds from day 180 on, but for a sign of life at that instant.
    in_time = History().purchase(day(0)).purchase(day(180))
    late = History().purchase(day(0)).purchase(day(180) + 1)
    for history, stage in ((in_time, "active"), (late, "won_back")):
        after, whole = reassessed(history.events, [history.events[1].event_id], RULES, history.calendar)
        assert after == whole
        assert next(entry.stage for entry in after if entry.from_us == history.events[1].occurred_us) == stage


def test_a_purchase_long_after_the_end_of_a_churned_span_is_its_return() -> None:
    # Churned from day 180, ended by a page on day 200, come back on day 220.
    history = History().purchase(day(0)).page(day(200)).purchase(day(220))
    after, whole = reassessed(history.events, [history.events[2].event_id], RULES, history.calendar)
    assert after == whole
    assert StageEntry(day(220), "won_back", ()) in after


def test_an_answer_before_the_new_event_counts_until_its_time_is_over() -> None:
    history = History().purchase(day(0)).answered(day(100), csat=1).page(day(120))
    after, whole = reassessed(history.events, [history.events[2].event_id], RULES, history.calendar)
    assert after == whole
    assert StageEntry(day(190), "at_risk", ("silent",)) in after  # unhappy from 100 to 190, silent from 150 on


def test_the_newest_purchase_of_many_makes_the_usual_gap_longer() -> None:
    history = History()
    for number in range(20):
        history.purchase(day(20 * number))
    history.purchase(day(420))
    after, whole = reassessed(history.events, [history.events[-1].event_id], RULES, history.calendar)
    assert after == whole
    # Gaps of 20 days and one of 40: median 20, silent after 2 x 20 days.
    assert StageEntry(day(460), "at_risk", ("silent",)) in after
