"""What records would change is the same however few of them are in memory at a time, and however many there are."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from memory_reader import MemoryReader
from view_rows import CODEC, PROJECTION, Views, event, identifier_id, viewed

from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.runtime import effects as effecting
from customer_timeline.runtime.effects import MOST_SHOWN, Effect, EffectPlanner, Effects, Shown
from customer_timeline.runtime.exporting import exporting
from customer_timeline.runtime.healing import plan_retry
from customer_timeline.runtime.interrupts import stoppable

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = "2026-03-01T10:00:00Z"


def mailbox(number: int) -> tuple[str, str]:
    return ("email", f"c{number}@example.com")


def letters(count: int) -> Views:
    """Thirty customers, and dead letters of them, of strangers, of events told twice, and one that no code accepts."""
    views = Views()
    for number in range(30):
        views.customer([viewed(number, DAY, mailbox(number))])
    random = Random(4)
    for number in range(count):
        who = [mailbox(one) for one in random.sample(range(40), random.choice((1, 1, 2)))]
        told = event(100 + random.randrange(count), "page.viewed.v1", DAY, {"url": "https://x.example.com/"}, who)
        views.dead_letter(number, "unknown_type", DAY, json.dumps({**told, "revision": number}).encode())
    views.dead_letter(count, "not_json", DAY, b"{")
    return views


async def planned(views: Views) -> tuple[int, dict[str, int], Effects]:
    reader = MemoryReader(views)
    planner = EffectPlanner(reader, CODEC, PROJECTION, StageRules())
    places = [letter.summary.place for letter in views.letters]
    plan = await plan_retry(reader, CODEC, planner, places, now=NOW)
    return plan.accepted, dict(plan.failing), plan.effects


async def test_all_records_are_looked_at_in_steps_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    views = letters(90)
    at_once = await planned(views)
    assert at_once[:2] == (90, {"not_json": 1})
    monkeypatch.setattr(effecting, "_EVENTS_AT_ONCE", 7)
    assert await planned(views) == at_once


async def test_what_postgres_will_refuse_is_not_promised() -> None:
    views = Views()
    for number, path in enumerate(("a\x00b", "a\\u0000b")):  # the second one only spells it
        told = event(number, "page.viewed.v1", DAY, {"url": f"https://x.example.com/{path}"}, [mailbox(1)])
        views.dead_letter(number, "unstorable", DAY, json.dumps(told).encode())
    accepted, failing, _ = await planned(views)
    assert (accepted, failing) == (1, {"unstorable": 1})


async def test_customers_that_records_join_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    views = letters(90)
    _, _, effects = await planned(views)
    assert effects.customers == _groups(views)
    assert len(effects.shown) == min(MOST_SHOWN, effects.customers)


def _groups(views: Views) -> int:
    """Of the last record of each event, those that are joined by mailboxes; counted by painting them one by one."""
    by_event = {}
    for letter in views.letters[:-1]:
        decoded = CODEC.decode(letter.value or b"", appended_at=NOW)
        by_event[decoded.event_id] = {one.identifier_id for one in decoded.identifiers}
    groups: list[set[str]] = []
    for named in by_event.values():
        joined = [group for group in groups if group & named]
        groups = [group for group in groups if not group & named] + [named.union(*joined)]
    return len(groups)


async def effect_of(views: Views, *records: dict[str, Any]) -> Effect:
    reader = MemoryReader(views)
    planner = EffectPlanner(reader, CODEC, PROJECTION, StageRules())
    decoded = [CODEC.decode(json.dumps(record).encode(), appended_at=NOW) for record in records]
    (effect,) = (await planner.effects(decoded, now=NOW)).shown
    return effect


def events(shown: Sequence[Shown] | None) -> dict[str, int]:
    return {one.customer_id: one.figures.events if one.figures else 0 for one in shown or ()}


def two_customers() -> tuple[Views, str, str]:
    """One with three events, another one with two."""
    views = Views()
    views.customer([viewed(number, DAY, mailbox(1)) for number in (1, 2, 3)])
    views.customer([viewed(number, DAY, mailbox(2)) for number in (4, 5)])
    return views, identifier_id(*mailbox(1)), identifier_id(*mailbox(2))


def both(number: int) -> dict[str, Any]:
    """A page view that names two mailboxes."""
    return event(number, "page.viewed.v1", DAY, {"url": "https://x.example.com/"}, [mailbox(1), mailbox(2)])


async def test_an_event_that_turns_out_to_be_anothers_moves_and_joins_nobody() -> None:
    views, first, second = two_customers()
    effect = await effect_of(views, {**viewed(3, DAY, mailbox(2)), "revision": 1})
    assert events(effect.before) == {first: 3, second: 2}
    assert events(effect.after) == {first: 2, second: 3}


async def test_customers_that_a_record_names_together_become_one() -> None:
    views, first, second = two_customers()
    effect = await effect_of(views, both(6))
    assert events(effect.before) == {first: 3, second: 2}
    assert list(events(effect.after).values()) == [6]


async def test_customers_over_a_limit_stay_apart_and_only_whom_it_joins_is_shown() -> None:
    views = Views()
    views.customer([viewed(1, DAY, ("member_id", "M-1")), viewed(2, DAY, ("member_id", "M-1"))])
    views.customer([viewed(3, DAY, ("member_id", "M-2"))])
    named = [("member_id", "M-1"), ("member_id", "M-2")]
    effect = await effect_of(views, event(4, "page.viewed.v1", DAY, {"url": "https://x.example.com/"}, named))
    stronger = min(identifier_id(*one) for one in named)
    assert list(events(effect.before)) == list(events(effect.after)) == [stronger]
    assert events(effect.after)[stronger] == events(effect.before)[stronger] + 1


async def test_a_correction_that_takes_the_only_link_back_divides_a_customer() -> None:
    views = Views()
    views.customer([viewed(1, DAY, mailbox(1)), viewed(2, DAY, mailbox(2)), both(3)])
    effect = await effect_of(views, {**viewed(3, DAY, mailbox(1)), "revision": 1})
    assert list(events(effect.before).values()) == [3]
    assert events(effect.after) == {identifier_id(*mailbox(1)): 2, identifier_id(*mailbox(2)): 1}


def test_a_signal_ends_a_command_with_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, stoppable("Run it again."):
        os.kill(os.getpid(), signal.SIGINT)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "customer-timeline: interrupted. Run it again.\n"


def test_an_export_that_is_interrupted_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _stopped_halfway(tmp_path / "letters.ndjson")
    assert list(tmp_path.iterdir()) == []


def _stopped_halfway(file: Path) -> None:
    with exporting(file) as add:
        add(letters(1).letters[0])
        raise KeyboardInterrupt
