"""The seeded topic: which events the contenders read, and what a correct consumer must have written afterwards.

Pure: the same shape and seed give the same records in the same order. `benchmarks.topic` publishes them.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

import orjson

from benchmarks.event_data import PLACES, Fields, campaign, email, identifier, order, padding, page_view, user_id
from benchmarks.mixed import MixedCatalogue

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_DAYS = 500
_SOURCES = ("urn:shop:web", "urn:shop:crm", "urn:shop:mailer", "urn:shop:pos", "urn:shop:desk")
_GIVEN = ("Ann", "Bo", "Chen", "Dana", "Emre", "Fatima", "Goran", "Hana", "Ivan", "Jia", "Kofi", "Lena")
_FAMILY = ("Abel", "Berg", "Costa", "Diaz", "Engel", "Fox", "Gomez", "Huang", "Ito", "Jansen", "Kim", "Lopez")


class Scenario(StrEnum):
    """What the measured events mean for identity."""

    STEADY = "steady state"
    NEW_LINKS = "10 % new links"
    ALL_NEW = "every event new identifiers"
    MIXED = "mixed catalogue"


@dataclass(frozen=True, slots=True)
class Shape:
    """Size and nature of one topic. `window` and `per_window`, when given, let every stretch of `window` records touch
    `per_window` customers drawn from all of them, so that topics with different numbers of customers batch alike."""

    events: int = 200_000
    customers: int = 50_000
    partitions: int = 4
    duplicate_percent: int = 10
    skew: float = 0.8  # Zipf exponent: of 50,000 customers the busiest has about 2 % of the events
    scenario: Scenario = Scenario.STEADY
    window: int | None = None
    per_window: int = 1_000
    only_customer: int | None = None
    first_number: int = 0  # events are numbered from here, so that two stretches of one topic share none
    seed: int = 1


class Record(NamedTuple):
    """One record to publish. `number` is the same for all copies of one event; `cents` is its revenue.

    `customer` is its strongest identifier even where the event names only a thing of hers; None: it concerns nobody.
    """

    partition: int
    key: bytes
    value: bytes
    number: int
    cents: int
    customer: str | None


class Answer(NamedTuple):
    """What a correct consumer has written: rows of the timeline, revenue in cents, and customers."""

    timeline_rows: int
    purchase_cents: int
    customers: int


@dataclass(slots=True)
class Published:
    """What the topic holds, per partition in log order, small enough to keep: the answer for any prefix of it."""

    partitions: int
    numbers: list[list[int]] = field(init=False)
    cents: dict[int, int] = field(default_factory=dict)
    customer: dict[int, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = [[] for _ in range(self.partitions)]

    def add(self, record: Record) -> None:
        """Take note of `record` as the next one of its partition."""
        self.numbers[record.partition].append(record.number)
        self.cents[record.number] = record.cents
        self.customer[record.number] = record.customer

    def ends(self) -> dict[int, int]:
        """The next offset of each partition."""
        return {part: len(numbers) for part, numbers in enumerate(self.numbers)}

    def answer(self, until: dict[int, int]) -> Answer:
        """What a correct consumer has written when it has applied every offset below `until`."""
        applied = {number for part, end in until.items() for number in self.numbers[part][:end]}
        return Answer(
            timeline_rows=len(applied),
            purchase_cents=sum(self.cents[number] for number in applied),
            customers=len({self.customer[number] for number in applied} - {None}),
        )


class Workload:
    """Generates the records of one shape: first one record per customer, then the measured stretch."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._random = random.Random(shape.seed)
        self._mixed = MixedCatalogue(self._random, shape.events / _DAYS)

    def first_pass(self) -> Iterator[Record]:
        """One event per customer that names both its identifiers: afterwards the steady state has no new link."""
        for customer in range(self.shape.customers):
            given, family = _GIVEN[customer % 12], _FAMILY[customer // 12 % 12]
            data: Fields = {
                "identifiers": [identifier("user_id", user_id(customer)), identifier("email", email(customer))],
                "channel": "crm",
                "traits": {
                    "given_name": given,
                    "family_name": family,
                    "language": "en",
                    "addresses": [{"kind": "home", "city": PLACES[customer % 8], "country": "US"}],
                },
                "attributes": {"note": padding(200)},
            }
            at = FIRST_DAY - timedelta(days=30) + timedelta(seconds=customer % 86_400)
            yield self._record(-1 - customer, "profile.updated.v1", at, data, user_id(customer), 0, user_id(customer))

    def measured(self) -> Iterator[Record]:
        """The measured stretch: `events` records, `duplicate_percent` of them copies of an earlier one."""
        rng, shape = self._random, self.shape
        recent: list[Record] = []
        customers = self._customers()
        number = shape.first_number
        for _ in range(shape.events):
            if recent and rng.randrange(100) < shape.duplicate_percent:
                yield recent[rng.randrange(len(recent))]
                continue
            record = self._event(number, customers)
            number += 1
            # Copies come from the last few thousand events: a channel that sends again does so within minutes.
            if len(recent) < 4_000:
                recent.append(record)
            else:
                recent[rng.randrange(4_000)] = record
            yield record

    def _customers(self) -> Iterator[int]:
        rng, shape = self._random, self.shape
        while shape.only_customer is not None:
            yield shape.only_customer
        while shape.window is not None:
            chosen = rng.sample(range(shape.customers), min(shape.per_window, shape.customers))
            for _ in range(shape.window):
                yield chosen[rng.randrange(len(chosen))]
        weights = list(accumulate((rank + 1) ** -shape.skew for rank in range(shape.customers)))
        population = range(shape.customers)
        while True:
            yield from rng.choices(population, cum_weights=weights, k=1_000)

    def _event(self, number: int, customers: Iterator[int]) -> Record:
        if self.shape.scenario is Scenario.MIXED:
            at = self._time(number)
            kind, data, cents, customer, key = self._mixed.draw(number, at, customers)
            return self._record(number, kind, at, data, None if customer is None else user_id(customer), cents, key)
        rng, shape = self._random, self.shape
        customer = next(customers)
        name = user_id(customer)
        identifiers = [identifier("user_id", name)]
        if shape.scenario is Scenario.ALL_NEW:
            name = f"walk-in-{number:07d}"
            identifiers = [identifier("user_id", name), identifier("email", f"walk.in.{number}@mail.example.com")]
        elif shape.scenario is Scenario.NEW_LINKS and rng.randrange(100) < 10:
            identifiers.append(identifier("device_id", f"device-{number:07d}-{rng.getrandbits(32):08x}"))
        elif rng.randrange(2):
            identifiers.append(identifier("email", email(customer)))
        kind, data, cents = self._data(number)
        data["identifiers"] = identifiers
        return self._record(number, kind, self._time(number), data, name, cents, name)

    def _time(self, number: int) -> datetime:
        """In order but for jitter: events reach the log up to an hour late."""
        since = timedelta(days=_DAYS) * ((number - self.shape.first_number) / self.shape.events)
        return FIRST_DAY + since + timedelta(seconds=self._random.randrange(3_600))

    def _data(self, number: int) -> tuple[str, Fields, int]:
        rng = self._random
        draw = rng.randrange(100)
        if draw < 52:
            return "page.viewed.v1", page_view(number, rng), 0
        if draw < 77:
            message = {"channel": "email", "message_id": f"mail-{rng.getrandbits(64):016x}", "campaign": campaign(rng)}
            if draw < 70:
                return "email.opened.v1", {**message, "attributes": {"client": padding(230)}}, 0
            url = f"https://shop.example/offers/{rng.getrandbits(40):x}"
            return "email.clicked.v1", {**message, "url": url, "attributes": {"client": padding(180)}}, 0
        if draw < 87:
            data, cents = order(number, rng)
            return "purchase.completed.v1", data, cents
        if draw < 92:
            call = {
                "channel": "phone",
                "direction": "inbound",
                "duration_s": rng.randrange(20, 1_200),
                "result": "answered",
            }
            return "call.completed.v1", {**call, "purpose": "question about an order", "summary": padding(190)}, 0
        if draw < 96:
            visit = {"channel": "store", "kind": "store", "duration_s": rng.randrange(60, 3_600)}
            place = {"place": rng.choice(PLACES), "region": "north"}
            return "visit.completed.v1", {**visit, "location": place, "outcome": padding(190)}, 0
        answers = {"channel": "web", "survey_id": "after-sales", "csat": rng.randrange(1, 6), "nps": rng.randrange(11)}
        return "survey.answered.v1", {**answers, "comment": padding(210), "via": "online"}, 0

    def _record(
        self, number: int, kind: str, at: datetime, data: Fields, customer: str | None, cents: int, key: str
    ) -> Record:
        value = orjson.dumps(
            {
                "specversion": "1.0",
                "id": f"evt-{number}",
                "source": _SOURCES[number % len(_SOURCES)],
                "type": kind,
                "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "datacontenttype": "application/json",
                "data": data,
            }
        )
        encoded = key.encode()
        return Record(zlib.crc32(encoded) % self.shape.partitions, encoded, value, number, cents, customer)
