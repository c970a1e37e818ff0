"""The law of partial states: whatever is written, in whatever order, and whenever they are built, a history at any cut
in two times is the same with them as without, to the byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from random import Random
from typing import Any

import pytest
from partial_table import assert_histories_agree, builder, make_due
from two_hands import Table, event

from customer_timeline.projections.calendar import DAY_US
from customer_timeline.schemas.decoded import to_micros

PEOPLE = ("member_id:m1", "member_id:m2", "email:ann@x.test", "email:bob@x.test", "phone:+12025550123")
STEPS = ("claimed", "counted", "watched", "folded", "filled")
OPERATOR: dict[str, Any] = {"reason": "a look at both", "operator": "op"}


class KilledError(Exception):
    """The builder ends here."""


class Writer:
    """Events of a few people over half a year, in no order; some are corrected, taken back, or about an order."""

    def __init__(self, random: Random, name: str) -> None:
        self._random = random
        self._name = name
        self._written: list[tuple[str, int]] = []

    def some(self) -> list[bytes]:
        """A batch."""
        return [self._one() for _ in range(self._random.randint(1, 4))]

    def _one(self) -> bytes:
        random = self._random
        draw = random.random()
        if draw < 0.12 and self._written:
            return self._again(*random.choice(self._written))
        name = f"{self._name}{len(self._written)}"
        self._written.append((name, 0))
        if draw < 0.18:
            kinds = [one.split(":", 1) for one in random.sample(PEOPLE, 2)]
            pair: dict[str, Any] = {
                key: {"kind": kind, "value": value} for key, (kind, value) in zip("ab", kinds, strict=True)
            }
            return event(name, random.randint(0, 180), kind="identity.linked", **OPERATOR, **pair)
        return self._touchpoint(name, 0)

    def _touchpoint(self, name: str, revision: int) -> bytes:
        random = self._random
        # Around the ends of months, and where clocks are changed: in Beirut at midnight, in March and October.
        day: Any = random.choice([random.uniform(0, 180), random.choice([30.95, 31, 31.04, 58.96, 59, 88.0, 88.9])])
        who = " ".join(random.sample(PEOPLE, random.choice([1, 1, 1, 2])))
        order: dict[str, Any] = {"order_id": random.choice(["o1", "o2"])}
        kind = random.choice(["page.viewed", "page.viewed", "purchase.completed", "delivery.completed"])
        if kind == "page.viewed":
            return event(name, day, who, revision=revision)
        if kind == "delivery.completed":
            return event(name, day, random.choice(["", who]), kind=kind, revision=revision, **order)
        money = {"amount": f"{random.randint(1, 99)}.50", "currency": random.choice(["USD", "EUR"])}
        return event(name, day, who, kind=kind, revision=revision, total=money, **order)

    def _again(self, name: str, revision: int) -> bytes:
        """A correction, a retraction, or a plain duplicate's rival with other content."""
        revision += self._random.choice([0, 1, 1])
        self._written.append((name, revision))
        if self._random.random() < 0.4:
            return event(name, 190, kind="event.retracted", revision=revision)
        return self._touchpoint(name, revision)


def now_us(table: Table) -> int:
    """Some time after everything, as the log knows it; events happen in the first half of 2025."""
    return max((to_micros(record.appended_at) for record in table.log.records), default=0) + DAY_US


@pytest.fixture
def make_table(database: str) -> Iterator[Callable[[str], Table]]:
    made: list[Table] = []

    def make(time_zone: str) -> Table:
        made.append(Table(database, time_zone=time_zone))
        return made[-1]

    yield make
    for table in made:
        table.close()


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.verify) for seed in range(2, 30))])
def test_a_history_is_the_same_with_partial_states_and_without(make_table: Callable[[str], Table], seed: int) -> None:
    """Batches and turns of builders alternate by a seed; some builders are killed in the middle of a turn."""
    random = Random(seed)
    table = make_table(random.choice(["UTC", "Europe/Berlin", "Asia/Beirut", "America/Sao_Paulo"]))
    writer = Writer(random, "e")
    for _ in range(20):
        random.choice([table.left, table.right]).apply(*writer.some())
        if random.random() < 0.7:
            _some_turns(table, random)
        if random.random() < 0.2:
            assert_histories_agree(table, random)
    assert_histories_agree(table, random, cuts=20)
    table.check()
    filled = table.query("SELECT count(*) FROM partial_state WHERE facts IS NOT NULL AND events > 0")
    assert filled[0][0] > 0, "no partial state was there to be read"


def _some_turns(table: Table, random: Random) -> None:
    killed_at = random.choice([None, None, *STEPS])

    def observe(step: str) -> None:
        if step == killed_at and random.random() < 0.3:
            raise KilledError

    make_due(table)
    with closing(builder(table, observe)) as one, suppress(KilledError):
        for _ in range(random.randint(1, 8)):
            one.turn(now_us(table), random.randint(1, 5))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.verify) for seed in range(1, 10))])
def test_workers_and_builders_at_once_leave_no_wrong_partial_state(
    make_table: Callable[[str], Table], seed: int
) -> None:
    """Two workers write as fast as they can while two builders look after everybody again and again."""
    table = make_table("Europe/Berlin")
    over = threading.Event()
    failed: list[BaseException] = []

    def keep_building() -> None:
        try:
            with closing(builder(table)) as one:
                while not over.is_set():
                    make_due(table)
                    while one.turn(now_us(table), 5) is not None and not over.is_set():
                        pass
        except BaseException as error:
            failed.append(error)
            raise

    builders = [threading.Thread(target=keep_building) for _ in range(2)]
    writers = [Writer(Random(seed * 10 + number), f"w{number}-") for number in range(2)]
    for thread in builders:
        thread.start()
    try:
        for _ in range(40):
            doing = [
                hand.start(*writer.some()) for hand, writer in zip((table.left, table.right), writers, strict=True)
            ]
            for one in doing:
                one.result(30)
    finally:
        over.set()
        for thread in builders:
            thread.join(30)
    assert not failed
    assert_histories_agree(table, Random(seed), cuts=20)
    table.check()
