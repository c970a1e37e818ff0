"""What the sweeper tells, takes back, and when it looks again."""

from __future__ import annotations

from uuid import UUID

import orjson
from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.projections.lifecycle import Schedule, StageEntry, next_change_us
from customer_timeline.projections.sweeping import (
    Announced,
    Due,
    Standing,
    Transition,
    after_fold,
    after_sweep,
    announcement_id_of,
    assessed_at,
    decoded,
    due,
    encoded,
)

ANN, BOB = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
NEW = StageEntry(100 * DAY_US, "new", ())
SILENT = StageEntry(130 * DAY_US, "new", ("silent",))
AT_RISK = StageEntry(190 * DAY_US, "at_risk", ("silent",))
CHURNED = StageEntry(280 * DAY_US, "churned", ("silent",))
SCHEDULE: Schedule = (NEW, SILENT, AT_RISK, CHURNED)


def day(number: float) -> int:
    return int(number * DAY_US)


def told(entry: StageEntry, *, n: int = 0, customer_id: str = ANN, withdrawn: bool = False) -> Announced:
    announcement_id = announcement_id_of(customer_id, entry.from_us, entry.stage, n)
    return Announced(announcement_id, customer_id, entry, n, withdrawn)


def test_a_new_customer_is_looked_at_when_its_first_recent_entry_begins() -> None:
    assert after_fold(SCHEDULE, [], day(100), day(100)) == Standing(None, NEW.from_us, day(93))


def test_what_was_over_long_ago_when_first_computed_is_no_appointment() -> None:
    # Imported on day 200: at_risk began ten days ago, churned is still to come.
    assert after_fold(SCHEDULE, [], day(100), day(200)) == Standing(None, CHURNED.from_us, day(193))
    assert after_fold(SCHEDULE, [], day(100), day(400)) == Standing(None, None, day(393))


def test_an_event_after_the_last_sweep_only_moves_the_appointment_forward() -> None:
    swept = Standing(day(120), day(130), day(93))
    later = (NEW, StageEntry(day(155), "new", ("silent",)))
    assert after_fold(later, [swept], day(125), day(125)) == Standing(day(120), day(130), day(118))
    sooner = (NEW, StageEntry(day(126), "at_risk", ("unhappy",)))
    assert after_fold(sooner, [swept], day(126), day(126)) == Standing(day(120), day(126), day(119))


def test_an_event_at_the_last_sweep_or_before_it_is_looked_at_at_once() -> None:
    swept = Standing(day(120), day(130), day(93))
    for earliest in (day(120), day(110)):
        assert after_fold(SCHEDULE, [swept], earliest, day(125)) == Standing(day(120), day(120), day(118))


def test_customers_that_become_one_or_are_folded_again_are_looked_at_at_once() -> None:
    swept, fresh = Standing(day(120), day(130), day(93)), Standing(None, day(124), day(117))
    assert after_fold(SCHEDULE, [swept, fresh], day(124), day(125)) == Standing(day(120), day(120), day(118))
    assert after_fold(SCHEDULE, [swept], None, day(125)) == Standing(day(120), day(120), day(118))
    assert after_fold(SCHEDULE, [fresh, fresh], day(124), day(125)) == Standing(None, day(124), day(118))


def test_after_a_sweep_the_next_entry_is_the_appointment() -> None:
    assert after_sweep(SCHEDULE, Standing(None, NEW.from_us, day(93)), day(101)).sweep_us == SILENT.from_us
    assert after_sweep(SCHEDULE, Standing(None, NEW.from_us, day(93)), day(130)).sweep_us == AT_RISK.from_us
    assert after_sweep(SCHEDULE, Standing(day(280), CHURNED.from_us, 0), day(281)).sweep_us is None


def test_what_has_begun_is_announced_once_with_what_was_before() -> None:
    standing = Standing(day(120), day(130), day(93))
    first = Transition(announcement_id_of(ANN, NEW.from_us, "new", 0), NEW, None, 0)
    second = Transition(announcement_id_of(ANN, SILENT.from_us, "new", 0), SILENT, NEW, 0)
    assert due(ANN, SCHEDULE, [], standing, day(130)) == Due((first, second), ())
    assert due(ANN, SCHEDULE, [told(NEW)], standing, day(130)) == Due((second,), ())
    assert due(ANN, SCHEDULE, [told(NEW), told(SILENT)], standing, day(189)) == Due((), ())
    assert due(ANN, SCHEDULE, [told(NEW)], standing, SILENT.from_us - 1) == Due((), ())


def test_history_is_not_announced() -> None:
    assert due(ANN, SCHEDULE, [], Standing(None, day(190), day(189)), day(195)).announce == (
        Transition(announcement_id_of(ANN, AT_RISK.from_us, "at_risk", 0), AT_RISK, SILENT, 0),
    )


def test_what_a_late_event_undid_is_withdrawn_and_told_under_another_number_if_it_comes_back() -> None:
    standing = Standing(day(131), day(131), day(93))
    alive: Schedule = (NEW, StageEntry(day(150), "new", ("silent",)))
    assert due(ANN, alive, [told(NEW), told(SILENT)], standing, day(131)) == Due((), (told(SILENT),))
    again = due(ANN, SCHEDULE, [told(NEW), told(SILENT, withdrawn=True)], standing, day(131))
    assert again == Due((Transition(announcement_id_of(ANN, SILENT.from_us, "new", 1), SILENT, NEW, 1),), ())


def test_other_flags_at_the_same_instant_are_another_transition() -> None:
    unhappy = StageEntry(SILENT.from_us, "new", ("silent", "unhappy"))
    found = due(ANN, (NEW, unhappy), [told(NEW), told(SILENT)], Standing(day(131), day(131), day(93)), day(131))
    assert found.withdraw == (told(SILENT),)
    assert [(one.entry, one.n) for one in found.announce] == [(unhappy, 1)]


def test_what_was_announced_under_a_former_id_still_counts() -> None:
    standing = Standing(day(131), day(131), day(93))
    former = [told(NEW, customer_id=BOB), told(SILENT, customer_id=BOB)]
    assert due(ANN, SCHEDULE, former, standing, day(131)) == Due((), ())


def test_ids_of_announcements_are_stable_and_differ_in_every_part() -> None:
    ids = {
        announcement_id_of(ANN, 1, "new", 0),
        announcement_id_of(BOB, 1, "new", 0),
        announcement_id_of(ANN, 2, "new", 0),
        announcement_id_of(ANN, 1, "loyal", 0),
        announcement_id_of(ANN, 1, "new", 1),
    }
    assert len(ids) == 5
    assert all(UUID(one).version == 5 for one in ids)


def test_a_schedule_survives_its_json() -> None:
    assert decoded(orjson.loads(orjson.dumps(encoded(SCHEDULE)))) == SCHEDULE


def test_what_is_long_over_is_not_told_when_a_late_event_brings_it_to_light() -> None:
    # Churned, told, and nothing ahead: nobody has looked since day 281. On day 400 a visit of day 330 becomes known.
    back: Schedule = (*SCHEDULE, StageEntry(day(330), "won_back", ()), StageEntry(day(390), "active", ()))
    swept = Standing(day(281), None, day(93))
    assert after_fold(back, [swept], day(330), day(400)) == Standing(day(281), day(330), day(393))
    assert due(ANN, back, [], Standing(day(281), day(330), day(393)), day(400)) == Due((), ())
    # The same of an import after an import.
    assert after_fold(back, [Standing(None, None, day(293))], day(330), day(400)) == Standing(None, None, day(393))


def test_what_waits_to_be_told_is_told_although_an_event_comes_late() -> None:
    # The sweeper stood still since day 200: churned of day 280 is yet to be told when day 300 becomes known on day 310.
    waiting = Standing(day(200), CHURNED.from_us, day(93))
    back: Schedule = (*SCHEDULE, StageEntry(day(300), "active", ()))
    assert after_fold(back, [waiting], day(300), day(310)) == Standing(day(200), CHURNED.from_us, day(93))


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 500), max_size=4, unique=True),  # days on which entries begin
            st.integers(0, 500),  # the earliest new event
            st.integers(0, 500),  # the present of the worker that folds
            st.booleans(),  # a sweep follows, as far as that
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_columns_of_a_row_hold_until_the_appointment(folds: list[tuple[list[int], int, int, bool]]) -> None:
    before: list[Standing] = []
    for days, earliest, now, sweeps in folds:
        schedule: Schedule = tuple(StageEntry(day(at), "new", ()) for at in sorted(days))
        standing = after_fold(schedule, before, day(earliest), day(now))
        until_us = next_change_us(schedule, assessed_at(standing, day(now)))
        assert until_us is None or (standing.sweep_us is not None and standing.sweep_us <= until_us)
        if sweeps and standing.sweep_us is not None:
            horizon_us = max(standing.sweep_us, standing.swept_us or 0)
            standing = after_sweep(schedule, standing, horizon_us)
            assert standing.sweep_us == next_change_us(schedule, horizon_us)
        before = [standing]
