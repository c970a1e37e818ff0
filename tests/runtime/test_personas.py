"""The demo's invented customers: the same from the same arguments, valid, of every family, at their promised stages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from demo_customers import Customers, DemoCustomer, demo_customers, identifier_id

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.lifecycle import Schedule, StageEntry, entry_at, stage_schedule
from customer_timeline.runtime.demo import Plan, remembered
from customer_timeline.runtime.personas import HIGHLIGHTS, Highlight, persona_events
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import codec
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
# The demo ends with yesterday; who looks at it does so within the day after.
LOOKED_AT = (UNTIL, UNTIL + timedelta(hours=12), UNTIL + timedelta(hours=24))


def _bytes(customers: int, seed: int = 1) -> list[bytes]:
    encode = codec(Settings()).encode
    return [encode(event) for event in persona_events(customers=customers, days=365, seed=seed, until=UNTIL)]


@pytest.fixture(scope="module")
def decoded() -> list[DecodedEvent]:
    decode = codec(Settings()).decode
    return [decode(value, appended_at=UNTIL) for value in _bytes(60)]


def _family(type_name: str) -> str:
    return type_name.partition(".")[0]


@pytest.fixture(scope="module")
def customers() -> Customers:
    return demo_customers(200, UNTIL)


def _at(customers: Customers, ref: str) -> DemoCustomer:
    return customers[identifier_id(ref)]


def _schedule(customers: Customers, ref: str) -> Schedule:
    settings = Settings()
    return stage_schedule(_at(customers, ref).facts, settings.stages, BusinessCalendar(settings.business_time_zone))


def _stage(schedule: Schedule, at: datetime) -> StageEntry:
    entry = entry_at(schedule, to_micros(at))
    assert entry is not None
    return entry


@pytest.mark.parametrize("highlight", HIGHLIGHTS, ids=lambda highlight: highlight.title)
def test_each_story_ends_at_the_stage_that_it_promises(customers: Customers, highlight: Highlight) -> None:
    schedule = _schedule(customers, highlight.ref)
    assert [_stage(schedule, at).stage for at in LOOKED_AT] == [highlight.stage] * 3


def test_the_stories_do_not_depend_on_how_far_other_histories_reach_back() -> None:
    encode = codec(Settings()).encode
    short, long = ([*map(encode, persona_events(customers=0, days=d, seed=1, until=UNTIL))] for d in (1, 3650))
    assert short == long


def test_the_silent_regular_will_churn_on_a_known_day(customers: Customers) -> None:
    # The gap is 40 days: silent 80 days after the last sign of life (90.4 days before the end), churned after 180.
    schedule = _schedule(customers, "member_id:M-CLEO-1")
    now, then = _stage(schedule, UNTIL), schedule[-1]
    assert from_micros(now.from_us) == UNTIL - timedelta(days=10.4)
    assert (then.stage, from_micros(then.from_us)) == ("churned", UNTIL + timedelta(days=89.6))


def test_the_complaint_made_the_customer_one_at_risk_before_silence_lost_him(customers: Customers) -> None:
    # Reopened 270.3 days before the end, at risk 7 days later. Last sign of life 250.4 days before, lost 180 days on.
    schedule = _schedule(customers, "email:ben.ortiz@example.com")
    stages = {entry.stage: entry for entry in reversed(schedule)}
    assert from_micros(stages["at_risk"].from_us) == UNTIL - timedelta(days=263.3)
    assert from_micros(stages["churned"].from_us) == UNTIL - timedelta(days=70.4)
    assert _stage(schedule, UNTIL).flags == ("complaint_open", "silent")


def test_the_household_is_two_customers_and_its_telephone_stays_with_the_first(customers: Customers) -> None:
    cho, dana = _at(customers, "member_id:M-PARK-1"), _at(customers, "member_id:M-PARK-2")
    assert cho.customer_id != dana.customer_id
    assert _at(customers, "phone:+17715550177") is cho
    assert _stage(_schedule(customers, "member_id:M-PARK-2"), UNTIL).stage == "new"
    assert cho.facts.activity["by_type"]["call.completed"] == 1


def test_people_of_one_account_are_customers_of_their_own(customers: Customers) -> None:
    gil, ida, jo = (_at(customers, f"crm_id:C-HALDEN-{number}") for number in (1, 2, 3))
    assert len({person.customer_id for person in (gil, ida, jo)}) == 3
    assert set(gil.facts.contracts) == {"erp:K-1", "erp:K-2"}
    assert _stage(_schedule(customers, "crm_id:C-HALDEN-2"), UNTIL).stage == "prospect"


def test_the_one_won_back_had_churned_and_will_be_an_ordinary_customer(customers: Customers) -> None:
    # Last sign of life 330.4 days before the end, and 180 days; back 12.4 days before the end, for 90 days.
    schedule = _schedule(customers, "open_id:wechat:oFINN-0001")
    churned = next(entry for entry in schedule if entry.stage == "churned")
    assert from_micros(churned.from_us) == UNTIL - timedelta(days=150.4)
    back = next(entry for entry in schedule if entry.stage == "won_back")
    after = schedule[schedule.index(back) + 1]
    assert from_micros(back.from_us) == UNTIL - timedelta(days=12.4)
    assert from_micros(after.from_us) > UNTIL


def test_nobody_of_the_others_is_taken_for_somebody_of_a_story(customers: Customers) -> None:
    told = {_at(customers, ref).customer_id for highlight in HIGHLIGHTS for ref in (highlight.ref, *highlight.beside)}
    others = {_at(customers, f"member_id:M-{number:06}").customer_id for number in range(200)}
    assert told.isdisjoint(others)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert _bytes(5) == _bytes(5)
    assert _bytes(5) != _bytes(5, seed=2)


def test_more_customers_do_not_change_those_before_them() -> None:
    few = _bytes(5)
    assert _bytes(8)[: len(few)] == few


def test_every_family_of_the_catalogue_happens(decoded: list[DecodedEvent]) -> None:
    assert {_family(event.type) for event in decoded} == {_family(name) for name in CATALOGUE}


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


def test_the_others_live_within_the_days_asked_for() -> None:
    lives = [e for e in persona_events(customers=60, days=1, seed=1, until=UNTIL) if e.id.startswith("p1-")]
    assert min(event.time for event in lives) >= UNTIL - timedelta(days=1)
    assert max(event.time for event in lives) <= UNTIL


def test_a_demo_on_a_kept_folder_ends_when_the_first_one_did(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "data"
    plan = Plan(5, 365, 1, UNTIL)
    assert remembered(folder, plan) == plan
    assert remembered(folder, plan._replace(until=UNTIL + timedelta(days=1))) == plan
    assert remembered(None, plan) == plan
