"""Whom records name, noted as the log is read: who is who by the notes is who is who by the events."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from generators import seeded_log
from log_shapes import CROWDED, TINY, WIDE
from replay_runs import CODEC

from customer_timeline.projections.choosing import Entry
from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.projections.selection import Selection
from customer_timeline.runtime.replay import names
from customer_timeline.runtime.replay.deciding import Decided, Outdone
from customer_timeline.runtime.replay.people import persons_of
from customer_timeline.runtime.replay.spool import names_file
from customer_timeline.schemas.decoded import DecodedEvent, from_micros
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy

POLICY = IdentityPolicy()
_APPENDED = from_micros(1_790_000_000_000_000)


def _events(seed: int, shape: Any) -> list[DecodedEvent]:
    found = []
    for sent in seeded_log(seed, shape):
        try:
            found.append(CODEC.decode(sent.value, appended_at=_APPENDED))
        except InvalidEvent:
            continue
    return found


def _noted(folder: Path, events: list[DecodedEvent], random: Random) -> None:
    """Write notes of the events in batches; now and then another process goes on."""
    notes, lines = names.Names(), b""
    for offset, event in enumerate(events):
        notes.add(event, offset)
        if random.randrange(5) == 0:
            lines += notes.line()
            if random.randrange(5) == 0:
                notes = names.Names()
    names_file(folder, 0).write_bytes(lines + notes.line())


def _facts(identity: HistoryIdentity) -> tuple[list[Any], ...]:
    return tuple(sorted(rows) for rows in identity.facts())


@pytest.mark.parametrize("numbered", [2, 1 << 15], ids=["few numbers", "many numbers"])
@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
def test_notes_say_of_persons_what_the_events_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Any, numbered: int
) -> None:
    monkeypatch.setattr(names, "_NUMBERED", numbered)
    for seed in range(4):
        random, events = Random(seed), _events(seed, shape)
        _noted(tmp_path, events, random)
        wanted, lost = HistoryIdentity(), Outdone()
        until_us = random.choice([None, random.choice(events).occurred_us])
        for offset, event in enumerate(events):
            # The record that counts of the same event may tell another time.
            happened_us = event.occurred_us + random.randrange(-1_000_000, 1_000_000)
            if outdone := random.randrange(4) == 0:
                lost.add(_entry(offset, event.occurred_us), _entry(0, happened_us))
            if until_us is not None and (happened_us if outdone else event.occurred_us) >= until_us:
                continue
            if outdone:
                wanted.add_superseded(event, happened_us)
            else:
                wanted.add(event)
        found = persons_of(tmp_path, Decided({}, {0: lost}), Selection(occurred_until_us=until_us), POLICY)()
        assert _facts(found.identity) == _facts(wanted)
        assert found.person_of == wanted.customers(POLICY)


def _entry(offset: int, occurred_us: int) -> Entry:
    return Entry(0, b"", b"", offset, 0, occurred_us, 0, 0, 0, 0)


def test_who_was_named_before_is_not_written_again(tmp_path: Path) -> None:
    event = next(one for one in _events(1, WIDE) if one.identifiers)
    notes = names.Names()
    for offset in range(3):
        notes.add(event, offset)
    names_file(tmp_path, 0).write_bytes(notes.line())
    assert [(len(who), len(rows)) for who, rows in names.numbered(tmp_path, 0)] == [(1, 3)]


def test_of_events_of_one_instant_the_least_says_who_belongs_together(tmp_path: Path) -> None:
    event = next(one for one in _events(1, WIDE) if len(one.identifiers) > 1)
    notes = names.Names()
    for offset, digit in enumerate("213"):
        notes.add(event._replace(event_id=digit * 36), offset)
    names_file(tmp_path, 0).write_bytes(notes.line())
    found = persons_of(tmp_path, Decided({}, {0: Outdone()}), Selection(), POLICY)()
    assert {link.event_id for link in found.identity.facts().links} == {"1" * 36}
