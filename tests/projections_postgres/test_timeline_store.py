"""Which record of an event stands in the timeline does not depend on which came first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from generators import respelled
from two_hands import Table, event

from customer_timeline.projections.postgres.timeline_store import Suspicion
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


@pytest.mark.parametrize("reminded", [False, True])
def test_an_event_is_stored_once_whether_or_not_this_worker_has_met_it_lately(table: Table, reminded: bool) -> None:
    table.right.apply(event("e2", 2, "email:b@x.test"))
    table.left.apply(ONE)
    if reminded:
        assert table.right.apply(ONE).duplicates == 1
    applied = table.right.apply(ONE, event("e3", 3, "email:a@x.test"))
    assert (applied.events, applied.duplicates) == (1, 1)
    assert table.query("SELECT count(*) FROM timeline") == [(3,)]
    table.check()


def test_of_a_batch_those_events_are_looked_for_that_were_met_lately() -> None:
    suspicion = Suspicion(memory=4)
    assert suspicion.of({"a", "b"}) == set()
    suspicion.learn({"a", "b"}, set())
    assert suspicion.of({"b", "c"}) == {"b"}
    suspicion.learn({"b", "c", "d", "e"}, {"b"})  # five are met: from here on it forgets
    suspicion.learn({"f", "g", "h", "i", "j"}, set())
    assert suspicion.of({"a", "f", "k"}) == {"f"}


def test_after_an_old_event_came_again_all_are_looked_for_until_none_comes_for_a_while() -> None:
    suspicion = Suspicion(memory=4)
    suspicion.surprised()
    suspicion.learn({"old", "a", "b", "c"}, {"old"})
    assert suspicion.of({"d", "e"}) == {"d", "e"}
    suspicion.learn({"older", "d", "e"}, {"older"})  # again one that it had not met: the while begins anew
    suspicion.learn({"f", "d"}, {"d"})
    assert suspicion.of({"g"}) == {"g"}
    suspicion.learn({"g", "h"}, set())
    assert suspicion.of({"i"}) == set()
