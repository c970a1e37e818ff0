"""The link, link_evidence, and decision tables, as the projector writes them under the locks of the customers
concerned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from customer_timeline.projections.evidence import Evidence, front
from customer_timeline.projections.identity import Decision, Link, Pair
from customer_timeline.projections.postgres.copy_text import instant_array, optional_uuid_array, text_array, uuid_array
from customer_timeline.projections.postgres.identity_work import DECISIONS
from customer_timeline.schemas.decoded import DecodedEvent, from_micros

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


class LinkChange(NamedTuple):
    """A link before and after: its evidence (least first; none = no record that counts names the pair any more)."""

    pair: Pair
    before: tuple[Evidence, ...]
    after: tuple[Evidence, ...]
    known: bool  # the pair had been named before


class StoredLink(NamedTuple):
    """A link as the graph reads it, with the reason that was last written."""

    pair: Pair
    link: Link | None  # None: without evidence
    refused: str | None


class StoredDecision(NamedTuple):
    """A decision as the graph reads it, with the reason that was last written."""

    event_id: str
    decision: Decision
    refused: str | None


class LinkStore:
    """Reads and writes links and decisions. Lives as long as one connection."""

    def __init__(self, cursor: Cursor, sql: Mapping[str, str]) -> None:
        self._cursor = cursor
        self._sql = sql

    def add(
        self, evidence: Mapping[Pair, Sequence[Evidence]], lost: Iterable[Pair], claimed: set[str]
    ) -> list[LinkChange]:
        """Add evidence; pairs of superseded records are written without any. Returns what changed or was new."""
        pairs = {**dict.fromkeys(lost, ()), **evidence}
        known = self.evidence_of([pair for pair in pairs if pair[0] not in claimed and pair[1] not in claimed])
        changes = []
        for pair, more in pairs.items():
            before = known.get(pair, ())
            after = front((*before, *more))
            if after != before or pair not in known:
                changes.append(LinkChange(pair, before, after, pair in known))
        self._write(changes)
        return changes

    def replace(
        self, known: Mapping[Pair, tuple[Evidence, ...]], evidence: Mapping[Pair, Sequence[Evidence]]
    ) -> list[LinkChange]:
        """Set the evidence of pairs, after a record that named them was replaced. `known`: as `evidence_of` gives it.

        Returns what changed.
        """
        changes = [
            LinkChange(pair, known.get(pair, ()), front(all_of_it), pair in known)
            for pair, all_of_it in evidence.items()
        ]
        changes = [change for change in changes if change.before != change.after or not change.known]
        self._write(changes)
        return changes

    def partners(self, identifier_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """With how many identifiers of each kind each value was seen as the weaker one."""
        self._cursor.execute(self._sql["partners"], {"ids": uuid_array(identifier_ids)})
        found: dict[str, dict[str, int]] = {}
        for identifier_id, kind, count in self._cursor.fetchall():
            found.setdefault(identifier_id, {})[kind] = count
        return found

    def decide(self, events: Iterable[DecodedEvent], gone: Iterable[str]) -> None:
        """Write decisions, and remove those whose record was replaced."""
        gone = list(gone)
        if gone:
            self._cursor.execute(self._sql["delete_decisions"], {"ids": uuid_array(gone)})
        for event in events:
            if event.decides is None:
                raise ValueError(f"The decision {event.event_id} names no identifiers.")
            a, b = (identifier.identifier_id for identifier in event.decides)
            self._cursor.execute(
                self._sql["write_decision"],
                {
                    "event_id": event.event_id,
                    "anchor_id": min(a, b),
                    "other_id": max(a, b),
                    "verdict": DECISIONS[event.type],
                    "occurred_at": event.occurred_at,
                    "recorded_at": event.recorded_at,
                    "reason": getattr(event.data, "reason", ""),
                    "operator": getattr(event.data, "operator", ""),
                },
            )

    def links_of(self, identifier_ids: Iterable[str]) -> list[StoredLink]:
        """Every link with an end among the identifiers."""
        self._cursor.execute(self._sql["links_of"], {"ids": uuid_array(identifier_ids)})
        return [
            StoredLink((a, b), Link((a, b), occurred_us, event_id) if event_id else None, refused)
            for a, b, occurred_us, event_id, refused in self._cursor.fetchall()
        ]

    def links_between(self, pairs: Iterable[Pair]) -> list[StoredLink]:
        """The links of these pairs, whichever end is the stronger."""
        both = {ordered for a, b in pairs for ordered in ((a, b), (b, a))}
        if not both:
            return []
        self._cursor.execute(self._sql["read_links"], _pair_columns(both))
        return [
            StoredLink((a, b), Link((a, b), occurred_us, event_id) if event_id else None, refused)
            for a, b, occurred_us, event_id, _, refused in self._cursor.fetchall()
        ]

    def decisions_of(self, identifier_ids: Iterable[str]) -> list[StoredDecision]:
        """Every decision about one of the identifiers."""
        self._cursor.execute(self._sql["decisions_of"], {"ids": uuid_array(identifier_ids)})
        return [
            StoredDecision(event_id, Decision((a, b), verdict, occurred_us, event_id), refused)
            for event_id, a, b, verdict, occurred_us, refused in self._cursor.fetchall()
        ]

    def refuse(self, links: Mapping[Pair, str | None], decisions: Mapping[str, str | None]) -> None:
        """Write why links, and links that were decided (by event_id), join nobody; None where they do."""
        if links:
            columns = _pair_columns(links)
            self._cursor.execute(self._sql["refuse_links"], {**columns, "refused": text_array(links.values())})
        if decisions:
            self._cursor.execute(
                self._sql["refuse_decisions"],
                {"event_id": uuid_array(decisions), "refused": text_array(decisions.values())},
            )

    def evidence_of(self, pairs: Sequence[Pair]) -> dict[Pair, tuple[Evidence, ...]]:
        """Of the pairs that have been named: the evidence that is kept, least first."""
        if not pairs:
            return {}
        columns = _pair_columns(pairs)
        self._cursor.execute(self._sql["read_links"], columns)
        found: dict[Pair, list[Evidence]] = {}
        for a, b, occurred_us, event_id, recorded_us, _ in self._cursor.fetchall():
            found[(a, b)] = [Evidence(occurred_us, event_id, recorded_us)] if event_id else []
        if found:
            self._cursor.execute(self._sql["read_evidence"], _pair_columns(found))
            for a, b, occurred_us, event_id, recorded_us in self._cursor.fetchall():
                found[(a, b)].append(Evidence(occurred_us, event_id, recorded_us))
        return {pair: front(evidence) for pair, evidence in found.items()}

    def _write(self, changes: Sequence[LinkChange]) -> None:
        if not changes:
            return
        pairs = [change.pair for change in changes]
        least = [change.after[0] if change.after else None for change in changes]
        self._cursor.execute(
            self._sql["write_links"],
            {
                **_pair_columns(pairs),
                "occurred_at": instant_array([from_micros(one.occurred_us) if one else None for one in least]),
                "event_id": optional_uuid_array([one.event_id if one else None for one in least]),
                "recorded_at": instant_array([from_micros(one.recorded_us) if one else None for one in least]),
                "refused": text_array([None] * len(pairs)),
            },
        )
        further = [change for change in changes if change.before[1:] != change.after[1:]]
        if not further:
            return
        self._cursor.execute(self._sql["delete_evidence"], _pair_columns([change.pair for change in further]))
        rows = [(change.pair, one) for change in further for one in change.after[1:]]
        if rows:
            self._cursor.execute(
                self._sql["write_evidence"],
                {
                    **_pair_columns([pair for pair, _ in rows]),
                    "event_id": uuid_array(one.event_id for _, one in rows),
                    "occurred_at": instant_array([from_micros(one.occurred_us) for _, one in rows]),
                    "recorded_at": instant_array([from_micros(one.recorded_us) for _, one in rows]),
                },
            )


def _pair_columns(pairs: Iterable[Pair]) -> dict[str, object]:
    pairs = list(pairs)
    return {"anchor_id": uuid_array(a for a, _ in pairs), "other_id": uuid_array(b for _, b in pairs)}
