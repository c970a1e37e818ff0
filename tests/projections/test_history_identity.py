"""Who is who in a whole history, gathered in parts, is what the slow reference says, and so what the live view says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from generators import seeded_log
from log_shapes import CROWDED, TINY, WIDE
from pipeline import POLICY, SECRET
from reference.log_model import Record, customers_of, history_of

from customer_timeline.projections.cuts import Cut
from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy, KindPolicy

STRICT = IdentityPolicy(
    kinds={
        **POLICY.kinds,
        "email": KindPolicy(rank=50, share_limit=1),
        "phone": KindPolicy(rank=40, share_limit=2, max_per_customer=2),
        "device_id": KindPolicy(rank=20, links=False),
    }
)
_FIRST_APPEND = datetime(2025, 6, 1, tzinfo=UTC)


def _gathered(parts: Iterable[HistoryIdentity]) -> HistoryIdentity:
    whole = HistoryIdentity()
    for part in parts:
        whole.combine(part)
    return whole


def _told(records: list[Record], codec: Codec) -> list[tuple[DecodedEvent, int | None]]:
    """All that was told of events, and of what does not count, when that happened which does."""
    tellings = history_of(records, codec).tellings.values()
    return [
        (told.decoded, some[0].decoded.occurred_us if place else None)
        for some in tellings
        for place, told in enumerate(some)
    ]


def _taken_note_of(told: Iterable[tuple[DecodedEvent, int | None]], random: Random) -> HistoryIdentity:
    parts = [HistoryIdentity() for _ in range(3)]
    for event, happened_us in told:
        part = random.choice(parts)
        if happened_us is None:
            part.add(event)
        else:
            part.add_superseded(event, happened_us)
    return _gathered(parts)


def _records(seed: int, shape: object) -> list[Record]:
    log = seeded_log(seed, shape)  # type: ignore[arg-type]
    return [Record(sent.value, _FIRST_APPEND + timedelta(seconds=n)) for n, sent in enumerate(log)]


@pytest.mark.parametrize("policy", [POLICY, STRICT], ids=["as by default", "strict"])
@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
def test_parts_in_any_order_give_the_customers_of_the_reference(policy: IdentityPolicy, shape: object) -> None:
    for seed in range(3):
        random = Random(seed)
        records, codec = _records(seed, shape), Codec(policy, SECRET.encode())
        told = _told(records, codec)
        random.shuffle(told)
        assert _taken_note_of(told, random).customers(policy) == customers_of(records, codec, policy)


@pytest.mark.parametrize("policy", [POLICY, STRICT], ids=["as by default", "strict"])
@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
def test_customers_as_of_an_instant_are_those_of_the_reference_at_that_cut(
    policy: IdentityPolicy, shape: object
) -> None:
    for seed in range(3):
        random = Random(seed)
        records, codec = _records(seed, shape), Codec(policy, SECRET.encode())
        told = _told(records, codec)
        whole = _taken_note_of(told, random)
        stored = HistoryIdentity.of(whole.facts())
        assert stored.customers(policy) == whole.customers(policy)
        instants = sorted({event.occurred_us for event, _ in told})
        for instant in random.sample(instants, min(12, len(instants))):
            for as_of in (instant - 1, instant):
                wanted = customers_of(records, codec, policy, Cut(as_of))
                assert whole.as_of(as_of).customers(policy) == wanted
                assert stored.as_of(as_of).customers(policy) == wanted
