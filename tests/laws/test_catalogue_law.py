"""The law for every type of the catalogue: what concerns nobody, and things of every kind, included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from direct_journal import DirectRun, random_turns
from generators import Sent, shuffled

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.json_schema import example_event

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
BOB = [{"kind": "email", "value": "bob@example.com"}]


def written(number: int, type_name: str, revision: int = 0, /, **changes: Any) -> Sent:
    """The type's example as an event of its own, an hour after the one before it; a field given as ... is left out."""
    event = example_event(CATALOGUE[type_name])
    data = {name: value for name, value in {**event["data"], **changes}.items() if value is not ...}
    at = (FIRST + timedelta(hours=number)).isoformat()
    return Sent(json.dumps({**event, "id": f"e{number}", "time": at, "revision": revision, "data": data}).encode())


def every_type() -> Iterator[Sent]:
    """Each type as its example has it, and once more as another person's or nobody's; some corrected or taken back."""
    for number, (type_name, data) in enumerate(CATALOGUE.items()):
        if type_name == "event.retracted.v1":
            yield from (written(taken_back, type_name, 2) for taken_back in (3, 40))
            continue
        yield written(number, type_name)
        if data.concerns_customer:
            yield written(100 + number, type_name, identifiers=BOB)
        if data.customer_optional:
            yield written(200 + number, type_name, identifiers=[], channel=...)
        if data.listed and number % 5 == 0:
            yield written(number, type_name, 1, staff={"id": "agent-9"})


@pytest.mark.parametrize("seed", range(4))
def test_every_type_goes_into_the_tables_as_the_reference_says(database: str, seed: int) -> None:
    random = Random(seed)
    workers = random.randint(1, 3)
    log = shuffled(list(every_type()), seed, twice_percent=10)
    placed = [(random.randrange(workers), sent) for sent in log]
    run = DirectRun(database, placed, random_turns(random, workers, (1, 7, 50)))
    for _, sent in placed:  # or the law would hold for dead letters only
        run.codec.decode(sent.value, appended_at=FIRST + timedelta(days=365))
    assert run.difference() == ""
