"""A member that leaves its customer while another worker waits for that customer: one interleaving, without chance."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from two_hands import Table, event


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    opened = Table(database)
    yield opened
    opened.close()


def test_a_worker_that_waited_for_a_customer_asks_again_who_is_in_it(table: Table) -> None:
    """The phone was Ann's when the right hand looked it up, and is nobody's once the lock is granted."""
    table.left.apply(event("glue", 1, "email:ann@x.test phone:+14155552671"), event("ann", 0, "email:ann@x.test"))
    with table.left.held("fenced", event("glue", 1, kind="event.retracted", revision=1)):
        waiting = table.right.start(event("call", 3, "phone:+14155552671"))
        table.right.wait_until_blocked()
    waiting.result()
    assert table.customers() == 2
    table.check()
