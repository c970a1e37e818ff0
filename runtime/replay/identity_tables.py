"""What says who is who, as tables beside the events: written by a replay, read where somebody asks who was who then.

Ids, kinds and instants only: no value of an identifier, which stands in the events alone. Needs pyarrow to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from customer_timeline.projections.history_identity import HistoryIdentity, IdentityFacts, NameFact, ThingFact, Told
from customer_timeline.projections.identity import Decision, Link
from customer_timeline.runtime.replay.arrow import pa
from customer_timeline.runtime.replay.columns import INSTANT
from customer_timeline.schemas.identity_policy import IdentityPolicy, KindPolicy

_TEXT: Final = pa.string()
_ROWS: Final = 10_000

_SCHEMAS: Final[Mapping[str, Any]] = {
    # `mentioned_at`: first named by a decision, or by a record that another of its event replaced.
    "names": pa.schema([("id", _TEXT), ("kind", _TEXT), ("first_seen_at", INSTANT), ("mentioned_at", INSTANT)]),
    "links": pa.schema([("id", _TEXT), ("other_id", _TEXT), ("linked_at", INSTANT), ("event_id", _TEXT)]),
    # Named together by records that others replaced: that counts for sharing, and joins nobody.
    "mentions": pa.schema([("id", _TEXT), ("other_id", _TEXT), ("mentioned_at", INSTANT)]),
    "decisions": pa.schema(
        [("event_id", _TEXT), ("id", _TEXT), ("other_id", _TEXT), ("verdict", _TEXT), ("decided_at", INSTANT)]
    ),
    "things": pa.schema(
        [
            ("id", _TEXT),
            *(("owner_id", _TEXT), ("owned_at", INSTANT), ("owned_by_event_id", _TEXT)),
            *(("follows_id", _TEXT), ("follows_at", INSTANT), ("follows_by_event_id", _TEXT)),
        ]
    ),
    "rules": pa.schema(
        [
            *(("kind", _TEXT), ("rank", pa.int32()), ("max_per_customer", pa.int32())),
            *(("share_limit", pa.int32()), ("links", pa.bool_())),
        ]
    ),
}

PREFIX: Final = "identity_"
TABLES: Final = tuple(_SCHEMAS)
"""Names of the tables; where they stand beside others, `identity_` comes before each."""

Rows = Callable[[str], Iterable[tuple[Any, ...]]]
"""The rows of a table by its name, instants in microseconds since 1970."""


def identity_tables(identity: HistoryIdentity, policy: IdentityPolicy) -> Iterator[tuple[str, Any]]:
    """Every table and its name. The first two columns are what its rows are about; their order is any."""
    for name, rows in _rows(identity.facts(), policy).items():
        yield name, pa.Table.from_batches(_batches(rows, _SCHEMAS[name]), _SCHEMAS[name])


def _batches(rows: Iterable[tuple[Any, ...]], schema: Any) -> Iterator[Any]:
    """The rows as Arrow has them, some at a time: all at once they would be a million objects more."""
    left = iter(rows)
    while some := list(islice(left, _ROWS)):
        columns = zip(*some, strict=True)
        arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
        yield pa.record_batch(arrays, schema)


def stored_identity(rows: Rows) -> tuple[HistoryIdentity, IdentityPolicy]:
    """What was told of identity, and the rules, from tables that were written."""
    kinds = {
        kind: KindPolicy(rank=rank, max_per_customer=most, share_limit=limit, links=links)
        for kind, rank, most, limit, links in rows("rules")
    }
    facts = IdentityFacts(
        (NameFact(*row) for row in rows("names")),
        (Link((one, other), *least) for one, other, *least in rows("links")),
        (((one, other), at_us) for one, other, at_us in rows("mentions")),
        (Decision((a, b), verdict, at_us, event_id) for event_id, a, b, verdict, at_us in rows("decisions")),
        (_thing(*row) for row in rows("things")),
    )
    return HistoryIdentity.of(facts), IdentityPolicy(kinds=kinds)


def _rows(facts: IdentityFacts, policy: IdentityPolicy) -> Mapping[str, Iterable[tuple[Any, ...]]]:
    return {
        "names": facts.names,
        "links": ((*pair, at_us, event_id) for pair, at_us, event_id in facts.links),
        "mentions": ((*pair, at_us) for pair, at_us in facts.mentions),
        "decisions": ((told.event_id, *told.pair, told.verdict, told.occurred_us) for told in facts.decisions),
        "things": ((thing_id, *_cells(fact.owner), *_cells(fact.via)) for thing_id, fact in facts.things),
        "rules": (
            (kind, rule.rank, rule.max_per_customer, rule.share_limit, rule.links)
            for kind, rule in sorted(policy.kinds.items(), key=itemgetter(0))
        ),
    }


def _cells(told: Told | None) -> tuple[str | None, int | None, str | None]:
    return (None, None, None) if told is None else (told.target_id, told.occurred_us, told.event_id)


def _thing(
    thing_id: str,
    owner: str | None,
    owned_us: int | None,
    owned_by: str | None,
    via: str | None,
    via_us: int | None,
    via_by: str | None,
) -> tuple[str, ThingFact]:
    return thing_id, ThingFact(_told(owner, owned_us, owned_by), _told(via, via_us, via_by))


def _told(target_id: str | None, at_us: int | None, event_id: str | None) -> Told | None:
    return None if target_id is None or at_us is None or event_id is None else Told(at_us, event_id, target_id)
