"""What a batch costs where identity is hard, beside an ordinary one: many identifiers, values of everybody, decisions.

Journals apply batches made here, without Kafka: the question is what becomes of one transaction. All cases run in turn
on one database, so that they meet the same tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.database import Databases
from benchmarks.event_data import identifier
from customer_timeline.projections.postgres.journal import PostgresJournal
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import Settings
from customer_timeline.streams.decoding import decode_batch

_TOPIC = "identity"
_APPENDED_MS = 1_767_225_600_000  # 2026-01-01; the events happened in the year before
_LARGE = "member-large"
_PHONE = "+14155550132"
_SEED_BATCH = 5_000

Who = Sequence[dict[str, str]]


@dataclass(frozen=True)
class _Fetched:
    """What a consumer hands over."""

    partition: int
    offset: int
    value: bytes
    timestamp: int = _APPENDED_MS
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(slots=True)
class _Log:
    """One partition of a log that is kept nowhere, and the journal that applies it."""

    journal: PostgresJournal
    codec: Any
    written: int = 0
    made: int = 0

    def apply(self, values: Sequence[bytes]) -> float:
        """Apply one batch; returns the seconds that its transaction took."""
        found = [_Fetched(0, self.written + place, value) for place, value in enumerate(values)]
        batch = decode_batch(_TOPIC, {0: found}, {0: self.written}, self.codec)
        prepared = self.journal.prepare(batch)
        started = time.perf_counter()
        self.journal.apply(batch, prepared)
        self.written += len(values)
        return time.perf_counter() - started

    def viewed(self, who: Who) -> bytes:
        """A page view by somebody, a second after the one before it."""
        return self._event("page.viewed.v1", {"identifiers": who, "channel": "web", "url": "https://shop.example/"})

    def decided(self, verdict: str, a: dict[str, str], b: dict[str, str]) -> bytes:
        """An operator's decision."""
        return self._event(f"identity.{verdict}.v1", {"a": a, "b": b, "reason": "benchmark", "operator": "op"})

    def _event(self, type_name: str, data: dict[str, Any]) -> bytes:
        self.made += 1
        number = self.made
        minute, second = divmod(number % 3_600_000, 60)
        hour, minute = divmod(minute, 60)
        day, hour = divmod(hour, 24)
        at = f"2025-{1 + day // 28 % 12:02}-{1 + day % 28:02}T{hour:02}:{minute:02}:{second:02}Z"
        envelope = {"specversion": "1.0", "id": str(number), "source": "/bench", "type": type_name, "time": at}
        return orjson.dumps({**envelope, "data": data})


def identity_costs(
    databases: Databases, batch: int, rounds: int, shared_events: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Milliseconds of a batch of each case, the best of `rounds`, and its ratio to the ordinary one.

    `shared_events`: how many events named the shared telephone before, each with another email.
    """
    settings = Settings(database_url=databases.create(_TOPIC))
    codec = wiring.codec(settings)
    journal = wiring.journal(settings, codec, lambda _: None)
    try:
        journal.assign(_TOPIC, None, [0])
        log = _Log(journal, codec)
        for values in _seed(log, batch, shared_events):
            log.apply(values)
        databases.settle(_TOPIC)
        best = _in_turn(log, batch, rounds)
        log.apply([log.decided("unlinked", _large(1), _large(2)), log.decided("linked", _email(7), _phone())])
        best |= {f"{name}, where decisions are at work": cost for name, cost in _in_turn(log, batch, rounds).items()}
    finally:
        journal.close()
        databases.drop(_TOPIC)
    found = [
        {"case": name, "batch_ms": round(1000 * cost, 1), "to_ordinary": round(cost / best["ordinary"], 2)}
        for name, cost in best.items()
    ]
    for row in found:
        say(f"{row['case']}: {row['batch_ms']} ms a batch, {row['to_ordinary']} times the ordinary")
    return found


def _cases(batch: int, fresh: int) -> dict[str, list[Who]]:
    """Whom the events of a batch name. `fresh` makes new identifiers new."""
    ordinary: list[Who] = [[_user(place % 2_000), _email(place % 2_000)] for place in range(batch)]
    large: list[Who] = [[_large(0), _large(1 + place % 999)] for place in range(batch // 10)]
    shared: list[Who] = [[_email(place % 2_000), _phone()] for place in range(batch)]
    return {
        "ordinary": ordinary,
        "a customer of 1,000 identifiers": large + ordinary[len(large) :],
        "the same, with one more": [[_large(0), _large(fresh)], *large[1:], *ordinary[len(large) :]],
        "a shared value in every event": shared,
        "the same, named with one more": [[_email(fresh), _phone()], *shared[1:]],
        "the same, named with one who takes part in a decision": [[_email(7), _device(fresh)], *shared[1:]],
    }


def _in_turn(log: _Log, batch: int, rounds: int) -> dict[str, float]:
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, named in _cases(batch, 1_000_000 + log.written).items():
            seconds = log.apply([log.viewed(who) for who in named])
            best[name] = min(best.get(name, seconds), seconds)
    return best


def _seed(log: _Log, batch: int, shared_events: int) -> Iterator[list[bytes]]:
    """Everybody and everything is known before it is measured."""
    yield [log.viewed([_user(number), _email(number)]) for number in range(2_000)]
    yield [log.viewed([_large(0), _large(number)]) for number in range(1, 1_000)]
    for begin in range(0, shared_events, _SEED_BATCH):
        several = range(begin, min(begin + _SEED_BATCH, shared_events))
        yield [log.viewed([_email(number), _phone()]) for number in several]


def _user(number: int) -> dict[str, str]:
    return identifier("user_id", f"user-{number}")


def _email(number: int) -> dict[str, str]:
    return identifier("email", f"person.{number}@mail.example.com")


def _large(number: int) -> dict[str, str]:
    return identifier("member_id", _LARGE) if number == 0 else identifier("device_id", f"device-{number}")


def _device(number: int) -> dict[str, str]:
    return identifier("device_id", f"other-{number}")


def _phone() -> dict[str, str]:
    return identifier("phone", _PHONE)
