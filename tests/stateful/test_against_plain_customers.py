"""The product beside a model in lists and loops, while touchpoints, decisions, corrections and copies come in.

Hypothesis writes the histories and cuts down those about which the two disagree; such a one stays here, written out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from naive_stages import NaiveStages
from pipeline import Pipeline
from stateful.plain_customers import Told, customers
from stateful.pure_core import PureCore
from stateful.stores import JournalSystem, KafkaSystem
from stateful.system import CODEC, PROJECTION, RULES, System, recorded_at
from worker_farm import Farm

from customer_timeline.schemas.decoded import DecodedEvent, Identifier, to_micros

STARTED = datetime(2024, 1, 1, tzinfo=UTC)
TYPES = {
    "viewed": "page.viewed.v1",
    "bought": "purchase.completed.v1",
    "delivered": "delivery.completed.v1",
    "linked": "identity.linked.v1",
    "unlinked": "identity.unlinked.v1",
    "retracted": "event.retracted.v1",
}
DECISIONS = ("linked", "unlinked")
Person = tuple[str, str]  # kind, value
PEOPLE: tuple[Person, ...] = (
    *(("member_id", f"M-{n}") for n in range(1, 4)),
    *(("email", f"{name}@example.com") for name in ("ann", "bob", "cid")),
    *(("phone", f"+1415555267{n}") for n in range(1, 4)),
    ("device_id", "d-1"),
)


class Fact(NamedTuple):
    """What a record says of the event of a number."""

    number: int
    revision: int
    kind: str
    day: int
    who: tuple[Person, ...] = ()
    order: str = ""
    cents: int = 0

    def value(self) -> bytes:
        """The record."""
        time = (STARTED + timedelta(days=self.day)).isoformat()
        event = {"specversion": "1.0", "id": f"e{self.number}", "source": "s", "type": TYPES[self.kind], "time": time}
        return json.dumps({**event, "revision": self.revision, "data": self._data()}).encode()

    def _data(self) -> dict[str, Any]:
        named = [{"kind": kind, "value": value} for kind, value in self.who]
        said = {"reason": "said so", "operator": "ops"}
        if self.kind == "retracted":
            return said
        if self.kind in DECISIONS:
            return {"a": named[0], "b": named[1], **said}
        data = {"channel": "web", "identifiers": named}
        if self.kind == "viewed":
            return {**data, "url": "https://shop.example.com/"}
        if self.kind == "delivered":
            return {**data, "order_id": self.order}
        return {**data, "order_id": self.order, "total": {"amount": f"{self.cents / 100:.2f}", "currency": "USD"}}


def _identifier(kind: str, value: str) -> Identifier:
    found = CODEC.space.normalise(kind, value)
    assert isinstance(found, Identifier)
    return found


NAMES = {person: (_identifier(*person).identifier_id, person[0]) for person in PEOPLE}

some = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True).map(tuple)
two = st.lists(st.sampled_from(PEOPLE), min_size=2, max_size=2, unique=True).map(tuple)
kinds = st.sampled_from(("viewed", "bought", "delivered"))
orders = st.sampled_from(("o-1", "o-2"))
cents = st.integers(1, 9_999)
# Days on which thresholds of stages fall, and few, so that events of one instant are common.
days = st.sampled_from((0, 1, 2, 30, 31, 90, 120, 180, 300, 400, 600))
first_revisions = st.sampled_from((0, 0, 0, 2))  # a correction may come before what it corrects
places = st.integers(0, 1_000)  # in a list, counted round
LAST_REVISION = 4
LAST_DAY = 600


class History(RuleBasedStateMachine):
    """Records go into the product and into the model; then both are asked the same."""

    make: Callable[[], System] = staticmethod(PureCore)

    def __init__(self) -> None:
        super().__init__()
        self.system = self.make()
        self.facts: list[Fact] = []
        self.told: list[Told] = []
        self.decoded: dict[str, dict[int, DecodedEvent]] = {}  # by event and revision
        self.today = 0

    # -- what is told --

    @rule(kind=kinds, who=some, order=orders, amount=cents, later=days, revision=first_revisions)
    def touch(self, kind: str, who: tuple[Person, ...], order: str, amount: int, later: int, revision: int) -> None:
        self.today = min(self.today + later // 10, LAST_DAY)
        self.tell(Fact(self.events, revision, kind, self.today, who, order, amount))

    @rule(kind=kinds, who=some, order=orders, amount=cents, day=days)
    def late_touch(self, kind: str, who: tuple[Person, ...], order: str, amount: int, day: int) -> None:
        self.tell(Fact(self.events, 0, kind, min(day, self.today), who, order, amount))

    @rule(kind=st.sampled_from(("bought", "delivered")), order=orders, amount=cents, day=days)
    def touch_by_somebody_who_knows_the_order_only(self, kind: str, order: str, amount: int, day: int) -> None:
        self.tell(Fact(self.events, 0, kind, day, (), order, amount))

    @rule(pair=two, day=days)
    def link(self, pair: tuple[Person, ...], day: int) -> None:
        self.tell(Fact(self.events, 0, "linked", day, pair))

    @rule(pair=two, day=days)
    def unlink(self, pair: tuple[Person, ...], day: int) -> None:
        self.tell(Fact(self.events, 0, "unlinked", day, pair))

    @precondition(lambda self: self.facts)
    @rule(place=places, revision=places)
    def retract(self, place: int, revision: int) -> None:
        fact = self.facts[place % len(self.facts)]
        free = [one for one in self.free(fact.number) if one > 0]
        if free:
            self.tell(Fact(fact.number, free[revision % len(free)], "retracted", fact.day))

    @precondition(lambda self: self.facts)
    @rule(place=places, revision=places, day=days, who=two, order=orders, amount=cents, turn=st.booleans())
    def correct(
        self, place: int, revision: int, day: int, who: tuple[Person, ...], order: str, amount: int, turn: bool
    ) -> None:
        """Another time, other people, another order, another verdict; also of what was retracted."""
        fact = next(one for one in self.facts if one.number == self.facts[place % len(self.facts)].number)
        free = self.free(fact.number)
        if not free:
            return
        kind = DECISIONS[1 - DECISIONS.index(fact.kind)] if turn and fact.kind in DECISIONS else fact.kind
        self.tell(Fact(fact.number, free[revision % len(free)], kind, day, who, order, amount))

    @precondition(lambda self: self.facts)
    @rule(place=places)
    def tell_again(self, place: int) -> None:
        self.tell(self.facts[place % len(self.facts)])

    # -- what is asked --

    @rule()
    def read_now(self) -> None:
        assert self.system.customers() == customers(self.told)

    @rule(day=days)
    def read_as_of(self, day: int) -> None:
        at_us = to_micros(STARTED + timedelta(days=day))
        assert self.system.stages(at_us) == self.stages(at_us)
        assert self.system.customers(as_of_us=at_us) == customers(self.told, as_of=at_us)

    @precondition(lambda self: self.facts and self.system.knows_when)
    @rule(place=places, day=days)
    def read_known_at(self, place: int, day: int) -> None:
        known_at = place % len(self.facts)
        at_us = to_micros(STARTED + timedelta(days=day))
        assert self.system.customers(known_at=known_at) == customers(self.told, known_at=known_at)
        assert self.system.customers(at_us, known_at) == customers(self.told, at_us, known_at)

    def teardown(self) -> None:
        try:
            self.read_now()
        finally:
            self.system.close()

    # -- the two sides --

    @property
    def events(self) -> int:
        """How many events were told; the number of the next one."""
        return len({fact.number for fact in self.facts})

    def free(self, number: int) -> list[int]:
        """Revisions that are not told yet: two of one number would be decided by a hash."""
        taken = {fact.revision for fact in self.facts if fact.number == number}
        return [revision for revision in range(LAST_REVISION + 1) if revision not in taken]

    def tell(self, fact: Fact) -> None:
        value = fact.value()
        event = CODEC.decode(value, appended_at=recorded_at(len(self.told)))
        self.system.append(value)
        self.facts.append(fact)
        self.decoded.setdefault(event.event_id, {})[fact.revision] = event
        self.told.append(
            Told(
                event.event_id,
                fact.revision,
                to_micros(STARTED + timedelta(days=fact.day)),
                len(self.told),
                fact.kind,
                tuple(NAMES[person] for person in fact.who),
                fact.order if fact.kind in ("bought", "delivered") else "",
                fact.cents,
            )
        )

    def stages(self, at_us: int) -> dict[str, tuple[str, tuple[str, ...]] | None]:
        """By asking each customer's events; whose they are, the model says."""
        found = {}
        for customer_id, customer in customers(self.told).items():
            events = [self.decoded[one][max(self.decoded[one])] for one in customer.events]
            found[customer_id] = NaiveStages(events, RULES, PROJECTION.calendar).at(at_us) if events else None
        return found


def run(make: Callable[[], System], **settings: Any) -> None:
    """Write and check histories of up to 30 steps against systems that `make` gives."""

    class Made(History):
        pass

    Made.make = staticmethod(make)
    run_state_machine_as_test(Made, settings=hypothesis.settings(stateful_step_count=30, **settings))


def test_the_pure_core_answers_as_the_model_does() -> None:
    run(PureCore, max_examples=200)


def test_the_journal_answers_as_the_model_does(database: str) -> None:
    run(lambda: JournalSystem(database), max_examples=10)


def test_the_pipeline_answers_as_the_model_does(farm: Farm, kafka: str, database: str, topic: str) -> None:
    numbers = count()
    run(lambda: KafkaSystem(Pipeline(farm, kafka, database, f"{topic}.{next(numbers)}")), max_examples=10)


@pytest.mark.soak
def test_the_pure_core_answers_as_the_model_does_two_thousand_times() -> None:
    run(PureCore, max_examples=2_000, derandomize=False)


@pytest.mark.soak
def test_the_journal_answers_as_the_model_does_two_hundred_times(database: str) -> None:
    run(lambda: JournalSystem(database), max_examples=200, derandomize=False)
