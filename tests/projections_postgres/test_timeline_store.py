"""Which record of an event stands in the timeline does not depend on which came first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from generators import respelled
from two_hands import Table, event

from customer_timeline.projections.records import record_hash

ONE = event("e1", 1, "email:a@x.test", attributes={"size": 1.0})
# The same instant and content: keys in another order, the default revision spelled out, another notation of a number.
OTHER = respelled(ONE).replace(b'size": 1.0', b'size": 1.00').replace(b"T00:00:00+00:00", b"T01:00:00+01:00")


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    table = Table(database)
    yield table
    table.close()


@pytest.mark.parametrize("order", [(ONE, OTHER), (OTHER, ONE), (OTHER, ONE, OTHER)])
@pytest.mark.parametrize("together", [True, False])
def test_of_two_spellings_the_same_one_stands_whichever_came_first(
    table: Table, order: tuple[bytes, ...], together: bool
) -> None:
    for values in [order] if together else [(value,) for value in order]:
        table.left.apply(*values)
    assert table.query("SELECT record_hash::text FROM timeline") == [(min(record_hash(ONE), record_hash(OTHER)),)]
    assert table.query("SELECT (SELECT count(*) FROM superseded), (SELECT count(*) FROM dead_letter)") == [(0, 0)]
    table.check()
