"""The law of two times: an answer at a cut is what the slow reference says of the events that the cut leaves.

Histories as in `test_journal_law`, applied by several journals in turns; then every identifier is asked for at drawn
cuts, by the identity of the cut and by today's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import get_args

import pytest
from direct_journal import FIRST_APPEND, DirectRun, random_turns
from generators import Shape, seeded_log, shuffled
from log_shapes import BATCHES, CROWDED, TINY, WIDE
from memory_cut_reader import MemoryCutReader
from partial_table import build_all
from pipeline import POLICY, SCHEMA, SECRET, ZONE
from reference.log_model import Record, log_then

from customer_timeline.projections.calendar import DAY_US, BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cuts import NO_CUT, Cut, IdentityAt, Past
from customer_timeline.projections.differences import Difference
from customer_timeline.projections.identity_view import Resolved
from customer_timeline.projections.postgres.cut_reader import PostgresCutReader
from customer_timeline.projections.reading import CustomerFilter, Order, TimelineFilter, TimelinePage
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import to_micros

pytestmark = pytest.mark.anyio
PROJECTION = CustomerProjection(BusinessCalendar(ZONE))
RULES = StageRules()
INSTANTS = (to_micros(FIRST_APPEND), to_micros(FIRST_APPEND) + 60_000)  # of recording: one each millisecond
CODEC = Codec(POLICY, SECRET.encode())
SHAPES = (TINY, CROWDED, TINY, WIDE, TINY, TINY)  # a large history costs as much as twenty small ones


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def cut_differences(url: str, seed: int, shape: Shape, cuts: int) -> list[str]:
    """One history and some cuts of it: where the reader and the reference disagree."""
    random = Random(seed)
    workers = random.randint(1, 3)
    log = shuffled(seeded_log(seed, shape), seed, twice_percent=10)
    run = DirectRun(
        url,
        [(random.randrange(workers), sent) for sent in log],
        random_turns(random, workers, random.choice(BATCHES)),
    )
    assert run.difference() == ""
    if random.random() < 0.5:
        # A year later, so that every month has settled.
        build_all(url, CODEC, PROJECTION, INSTANTS[0] + 365 * DAY_US)
    records = run.records()
    reader = PostgresCutReader(url, SCHEMA, CODEC, POLICY, PROJECTION, RULES)
    memory = MemoryCutReader(lambda: records, codec=CODEC, policy=POLICY, projection=PROJECTION, rules=RULES)
    everybody = list(log_then(records, CODEC, POLICY, PROJECTION, Past(NO_CUT, "cut")).customer_of)
    found: list[str] = []
    try:
        for cut in (NO_CUT, *drawn_cuts(random, records, cuts)):
            for who in get_args(IdentityAt):
                found += await differences_at(reader, memory, everybody, Past(cut, who), random)
    finally:
        await reader.aclose()
    return found


def drawn_cuts(random: Random, records: list[Record], count: int) -> list[Cut]:
    """Cuts at instants of the log: at one time, at the other, at both; the instant itself and the one before."""
    decoded = list(_instants(records))
    cuts = []
    for _ in range(count):
        as_of = random.choice(decoded)[0] - random.randint(0, 1)
        known = random.choice(decoded)[1] - random.randint(0, 1)
        cuts += [Cut(as_of, None), Cut(None, known), Cut(as_of, known)]
    return cuts


def _instants(records: list[Record]) -> list[tuple[int, int]]:
    found = [(to_micros(FIRST_APPEND), to_micros(FIRST_APPEND))]
    for record in records:
        try:
            event = CODEC.decode(record.value, appended_at=record.appended_at, recorded_header=record.recorded_header)
        except Exception:  # a broken record of the shape has no instant  # noqa: BLE001, S112
            continue
        found.append((event.occurred_us, to_micros(event.recorded_at)))
    return found


async def differences_at(
    reader: PostgresCutReader, memory: MemoryCutReader, everybody: Sequence[str], past: Past, random: Random
) -> list[str]:
    """What the reader says at one cut, beside what the reference does."""
    found = []
    other = Past(Cut(past.cut.as_of_us, random.choice(range(*INSTANTS))), past.who)
    for identifier_id in everybody:
        said, expected = await reader.customer(identifier_id, past), await memory.customer(identifier_id, past)
        if said != expected:
            found.append(f"{past} {identifier_id}: {said} instead of {expected}")
            continue
        pages = [await one.timeline(identifier_id, past, TimelineFilter(), limit=100) for one in (reader, memory)]
        if _told(pages[0]) != _told(pages[1]):
            found.append(f"{past} {identifier_id}: timeline {_told(pages[0])} instead of {_told(pages[1])}")
        instants = {row.occurred_us for row in pages[1].rows} if pages[1] else set()
        if await reader.events_at(identifier_id, past, instants) != await memory.events_at(
            identifier_id, past, instants
        ):
            found.append(f"{past} {identifier_id}: other events at their instants")
        told = [await one.difference(identifier_id, past, other) for one in (reader, memory)]
        if _apart(told[0]) != _apart(told[1]):
            found.append(f"{past} to {other} {identifier_id}: {told[0]} instead of {told[1]}")
    found += await identity_differences(reader, memory, everybody, past)
    return found + await list_differences(reader, memory, past, random)


def _apart(found: Difference | None) -> tuple[object, ...] | None:
    """A difference without the spelling of its records."""
    if found is None:
        return None
    events = ([(e.event_id, e.revision, e.occurred_us) for e in part] for part in (found.removed, found.added))
    return (*found[:3], *events)


async def identity_differences(
    reader: PostgresCutReader, memory: MemoryCutReader, everybody: Sequence[str], past: Past
) -> list[str]:
    """What is worked out from the components that the reader gives, beside what the reference decides."""
    then = memory.then(Past(past.cut, "cut"))
    found = []
    for identifier_id in everybody:
        component = await reader.identity(identifier_id, past)
        if component is None:
            if identifier_id in then.customer_of:
                found.append(f"{past} {identifier_id}: no component")
            continue
        resolved = Resolved.of(component, POLICY)
        inside = [member.identifier_id for member in component.inside]
        if [resolved.customer_of[i] for i in inside] != [then.customer_of.get(i) for i in inside]:
            found.append(f"{past} {identifier_id}: other customers by its component")
        refused = {link.pair: resolved.resolution.refused.get(link.pair) for link in component.links}
        if any(reason != then.refused.get(pair) for pair, reason in refused.items()):
            found.append(f"{past} {identifier_id}: other refusals by its component")
    return found


async def list_differences(reader: PostgresCutReader, memory: MemoryCutReader, past: Past, random: Random) -> list[str]:
    """Two pages of a list at a cut, in a drawn order."""
    at_us = past.cut.instant_us(to_micros(datetime(2025, 6, 1, tzinfo=UTC)))
    wanted = CustomerFilter(order=random.choice(get_args(Order)))
    after = None
    for _ in range(2):
        pages = [
            await one.customers(wanted, past, rules=RULES.version, at_us=at_us, limit=3, after=after)
            for one in (reader, memory)
        ]
        if pages[0][:2] != pages[1][:2] or Counter(pages[0].counts) != Counter(pages[1].counts):
            return [f"{past} {wanted} at {at_us} after {after}: {pages[0]} instead of {pages[1]}"]
        if not pages[0].more:
            break
        after = pages[0].rows[-1].key(wanted.order)
    return []


def _told(page: TimelinePage | None) -> list[tuple[int, str, int]] | None:
    return None if page is None else [(row.occurred_us, row.event_id, row.recorded_us) for row in page.rows]


@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
@pytest.mark.parametrize("seed", [0])
async def test_every_answer_at_a_cut_is_the_one_of_the_events_it_leaves(database: str, shape: Shape, seed: int) -> None:
    found = await cut_differences(database, seed, shape, cuts=1)
    assert not found, "\n".join(found)


async def many(database: str, seeds: range) -> None:
    for seed in seeds:
        found = await cut_differences(database, seed, SHAPES[seed % len(SHAPES)], cuts=5)
        assert not found, "\n".join((f"seed {seed}", *found))


@pytest.mark.verify
@pytest.mark.parametrize("block", range(12))
async def test_many_cuts_of_many_histories(database: str, block: int) -> None:
    await many(database, range(20_000 + 6 * block, 20_000 + 6 * (block + 1)))


@pytest.mark.soak
@pytest.mark.parametrize("block", range(60))
async def test_many_more_cuts_of_many_more_histories(database: str, block: int) -> None:
    await many(database, range(30_000 + 12 * block, 30_000 + 12 * (block + 1)))
