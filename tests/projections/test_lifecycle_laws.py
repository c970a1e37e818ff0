"""The laws of stages, over random histories: the past does not depend on the future, and a second opinion agrees."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_events import RandomHistory, facts_of, histories
from naive_stages import NaiveStages

from customer_timeline.projections.lifecycle import entry_at, next_change_us, stage_schedule
from customer_timeline.projections.reasons import explain

# The second opinion asks at hundreds of instants, so an example takes its time.
THOROUGH = settings(max_examples=300)


def asked(history: RandomHistory, data: st.DataObject) -> list[int]:
    """Some of the instants at which something changes, and their neighbours."""
    events, rules, calendar = history
    instants = NaiveStages(events, rules, calendar).instants
    return sorted(set(data.draw(st.lists(st.sampled_from(instants), min_size=1, max_size=12))))


@THOROUGH
@given(history=histories())
def test_the_schedule_agrees_with_a_second_opinion_at_every_instant_of_change(history: RandomHistory) -> None:
    events, rules, calendar = history
    naive = NaiveStages(events, rules, calendar)
    schedule = stage_schedule(facts_of(events, calendar), rules, calendar)
    for at_us in naive.instants:
        entry = entry_at(schedule, at_us)
        assert (entry and entry[1:]) == naive.at(at_us), at_us - events[0].occurred_us


@THOROUGH
@given(history=histories(), data=st.data())
def test_the_entry_at_t_is_that_of_the_events_until_t(history: RandomHistory, data: st.DataObject) -> None:
    events, rules, calendar = history
    whole = facts_of(events, calendar)
    schedule = stage_schedule(whole, rules, calendar)
    for at_us in asked(history, data):
        until = facts_of(events, calendar, at_us)
        assert entry_at(schedule, at_us) == entry_at(stage_schedule(until, rules, calendar), at_us)


@THOROUGH
@given(history=histories(), data=st.data())
def test_the_reasons_at_t_are_those_of_the_events_until_t(history: RandomHistory, data: st.DataObject) -> None:
    events, rules, calendar = history
    whole = facts_of(events, calendar)
    for at_us in asked(history, data):
        told = explain(whole, rules, calendar, at_us)
        told_then = explain(facts_of(events, calendar, at_us), rules, calendar, at_us)
        if told is None or told_then is None:
            assert told is None
            assert told_then is None
            continue
        # Until when is the one part that the future decides.
        assert told._replace(until_us=None) == told_then._replace(until_us=None)


@given(history=histories(), data=st.data())
def test_an_explanation_is_of_the_entry_and_the_same_for_all_of_it(history: RandomHistory, data: st.DataObject) -> None:
    events, rules, calendar = history
    facts = facts_of(events, calendar)
    schedule = stage_schedule(facts, rules, calendar)
    for at_us in asked(history, data):
        entry, told = entry_at(schedule, at_us), explain(facts, rules, calendar, at_us)
        if entry is None or told is None:
            assert entry is None
            assert told is None
            continue
        assert (told.since_us, told.stage, told.flags) == entry
        assert told.until_us == next_change_us(schedule, at_us)
        assert told == explain(facts, rules, calendar, entry.from_us)
        assert [reason.of for reason in told.reasons] == ["stage", *told.flags]
        assert told.rule == told.reasons[0].rule
        assert all(reason.evidence for reason in told.reasons)
        known = {(event.occurred_us, event.event_id) for event in events}
        instants = {event.occurred_us for event in events}
        for evidence in (item for reason in told.reasons for item in reason.evidence):
            assert evidence.at_us <= entry.from_us
            assert evidence.at_us in instants
            assert evidence.event_id is None or (evidence.at_us, evidence.event_id) in known


@given(history=histories())
def test_a_schedule_ascends_from_the_first_event_and_neighbours_differ(history: RandomHistory) -> None:
    events, rules, calendar = history
    schedule = stage_schedule(facts_of(events, calendar), rules, calendar)
    assert schedule[0].from_us == min(event.occurred_us for event in events)
    for earlier, later in pairwise(schedule):
        assert earlier.from_us < later.from_us
        assert earlier[1:] != later[1:]


@settings(max_examples=30)
@given(history=histories(), data=st.data())
def test_a_schedule_does_not_depend_on_the_order_of_arrival(history: RandomHistory, data: st.DataObject) -> None:
    events, rules, calendar = history
    shuffled = data.draw(st.permutations(events))
    assert stage_schedule(facts_of(events, calendar), rules, calendar) == stage_schedule(
        facts_of(shuffled, calendar), rules, calendar
    )
