"""The raw components that a reader supplies say what the tables and the reference say, after any history."""

from __future__ import annotations

from random import Random

import psycopg2
import pytest
from direct_journal import DirectRun, random_turns
from generators import Shape, seeded_log, shuffled
from pipeline import POLICY, SCHEMA

from customer_timeline.projections.component import Component
from customer_timeline.projections.identity_view import Resolved, customer_identity
from customer_timeline.projections.postgres.reader import PostgresReader

pytestmark = pytest.mark.anyio
# Many decisions, limits and shared values; components of some size.
TANGLED = Shape(events=60, people=12, member_percent=80, glue_percent=30, thing_percent=20, decisions=10, crowds=2)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def components(database: str, identifier_ids: list[str]) -> dict[str, Component]:
    reader = PostgresReader(database, SCHEMA, connections=1)
    try:
        found = {identifier_id: await reader.identity(identifier_id) for identifier_id in identifier_ids}
    finally:
        await reader.aclose()
    return {identifier_id: component for identifier_id, component in found.items() if component is not None}


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_shown_of_identity_is_what_the_workers_decided(database: str, seed: int) -> None:
    random = Random(seed)
    log = shuffled(seeded_log(seed, TANGLED), seed, twice_percent=5)
    placed = [(random.randrange(2), sent) for sent in log]
    assert DirectRun(database, placed, random_turns(random, 2, (3, 20))).difference() == ""
    with psycopg2.connect(database, options=f"-c search_path={SCHEMA}") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT identifier_id::text, customer_id::text FROM identifier")
        customer_of = dict(cursor.fetchall())
        cursor.execute("SELECT anchor_id::text, other_id::text, refused FROM link WHERE event_id IS NOT NULL")
        refused = {(a, b): reason for a, b, reason in cursor.fetchall()}
        cursor.execute("SELECT event_id::text, refused FROM decision")
        decisions = dict(cursor.fetchall())

    found = await components(database, list(customer_of))

    assert found.keys() == customer_of.keys()
    for identifier_id, component in found.items():
        resolved = Resolved.of(component, POLICY)
        inside = {member.identifier_id for member in component.inside}
        assert {i: resolved.customer_of[i] for i in inside} == {i: customer_of[i] for i in inside}
        theirs = {pair: reason for pair, reason in refused.items() if not inside.isdisjoint(pair)}
        assert {link.pair: resolved.resolution.refused.get(link.pair) for link in component.links} == theirs
        assert all(resolved.judged(one).refused == decisions[one.event_id] for one in component.decisions)
        # Whoever of a component is asked for, it is the same component.
        assert all(found[other] == component for other in inside)
        shown = customer_identity(resolved, identifier_id)
        assert {m.identifier_id for m in shown.members} == {
            i for i, customer in customer_of.items() if customer == customer_of[identifier_id]
        }
