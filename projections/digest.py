"""Digests of the view: which columns of which tables count, and how rows become one hash. Equal digests, equal content.

The law (docs/explanation/ordering.md) says what must be equal for any order, batching, duplication and number of
workers; a digest covers exactly that. Called by the reader of digests (`projections.postgres.digests`), which brings
each covered row as one line of text in an order that depends on nothing but the rows. Pure: it reads nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Final, NamedTuple


class Coverage(NamedTuple):
    """What of a table counts: the columns that do, for each of the others why it does not, and what is special."""

    counts: tuple[str, ...]
    left_out: Mapping[str, str]
    note: str = ""


_RECORDED = "when the log took it in: another log of the same events has other times"
_PLACED = "where the record stands in the log"
_WRITTEN = "right when the row was written; the schedule says the same for every instant"
_OF_THE_CONTENT = "follows from the content, which `content_hash` says"
_PARTIAL = "a help for reading: derived from the timeline, and built when there is time"
_DECIDED = "what operators decided, which is read from the log again"
_TOLD = "what was announced and when depends on when events arrived"

COVERAGE: Final[Mapping[str, Coverage]] = MappingProxyType(
    {
        "timeline": Coverage(
            (
                "event_id",
                "anchor_id",
                "strongest_id",
                "identifier_ids",
                "thing_ids",
                "type",
                "channel",
                "direction",
                "sign_of_life",
                "listed",
                "occurred_at",
                "revision",
                "record_hash",
                "data_quality",
                "event",
            ),
            {"recorded_at": _RECORDED, "part": _PLACED, "position": _PLACED},
        ),
        "superseded": Coverage(
            ("event_id", "revision", "occurred_at", "content_hash", "conflict"),
            {
                "recorded_at": _RECORDED,
                "event": "of one content in several spellings the one that came first; `content_hash` says the content",
                "names": _OF_THE_CONTENT,
                "thing_ids": _OF_THE_CONTENT,
            },
        ),
        "identifier": Coverage(
            ("identifier_id", "kind", "value", "customer_id", "first_seen_at", "first_event_id", "shared"), {}
        ),
        "link": Coverage(
            ("anchor_id", "other_id", "occurred_at", "event_id", "refused"),
            {"recorded_at": _RECORDED},
            "A link without evidence joins nobody anyway: there `refused` counts as null.",
        ),
        "decision": Coverage(
            ("event_id", "anchor_id", "other_id", "verdict", "occurred_at", "reason", "operator", "refused"),
            {"recorded_at": _RECORDED},
            "The lesser of the two identifiers first.",
        ),
        "thing": Coverage(
            ("thing_id", "kind", "value", "owner_id", "via_thing_id"),
            {
                "owner_at": "evidence of the owner, which counts",
                "owner_event_id": "evidence of the owner, which counts",
                "via_at": "evidence of the thing that it follows, which counts",
                "via_event_id": "evidence of the thing that it follows, which counts",
                "anchored": "a help for reading; the anchors of the timeline say the same",
            },
            "Things that somebody owns, and in the place of both ids who that is in the end.",
        ),
        "customer": Coverage(
            (
                "customer_id",
                "events",
                "signs_of_life",
                "first_event_at",
                "last_event_at",
                "last_sign_of_life_at",
                "purchases",
                "facts",
                "schedule",
            ),
            {
                "gen": "random; guards a worker's memory",
                "contested": "a help for writing; links and decisions say the same",
                "rules": "a setting; the schedule is what it gave",
                "stage": _WRITTEN,
                "flags": _WRITTEN,
                "stage_from_us": _WRITTEN,
                "stage_until_us": _WRITTEN,
                "swept_us": _TOLD,
                "sweep_us": _TOLD,
                "announce_from_us": _TOLD,
                "partial_until_us": _PARTIAL,
                "partial_due_us": _PARTIAL,
            },
        ),
        "dead_letter": Coverage(
            ("sha256", "reason"),
            {
                "topic": _PLACED,
                "part": _PLACED,
                "position": _PLACED,
                "recorded_at": _RECORDED,
                "error": "words for a reader",
                "type": "a part of the record, which `sha256` covers",
                "key": "as the record was sent, which may be otherwise for a copy",
                "value": "the record, which `sha256` covers",
                "headers": "as the record was sent, which may be otherwise for a copy",
                "healed_at": "the records that have it are events, and left out",
            },
            "As a set: copies of one record are one. Without those that healed: they are events.",
        ),
    }
)
"""Tables under the law, in the order in which they are read."""

TABLES_LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "link_evidence": "further evidence, chosen by when the log took it in",
        "outbox": _TOLD,
        "stage_announcement": _TOLD,
        "projector_offset": "where the workers stand; the answer names the positions beside the digests",
        "projection_meta": "which code and settings wrote the tables; the answer names the projection version",
        "schema_migration": "how the tables came about",
        "worker_name": "who works just now",
        "dead_letter_decision": _DECIDED,
        "operation": _DECIDED,
        "operation_offset": "until where the topic of operations is applied",
        "view_set": "which set of tables this is",
        "partial_state": _PARTIAL,
    }
)
"""The tables outside the law, each with the reason."""

FORM: Final = hashlib.sha256(
    json.dumps([[table, list(coverage.counts)] for table, coverage in COVERAGE.items()]).encode()
).hexdigest()[:12]
"""What the digests cover, in one word: digests of another form are not to be compared with these."""


class TableDigest(NamedTuple):
    """How many rows of a table count, and the SHA-256 of their lines in hexadecimal."""

    rows: int
    sha256: str


class CustomerDigest(NamedTuple):
    """One customer: how many rows are its, in all tables, and the SHA-256 of the SHA-256 of their lines."""

    customer_id: str
    rows: int
    sha256: str


class Part(NamedTuple):
    """One row that counts for a customer; `line_hash` is the SHA-256 of its line."""

    customer_id: str
    line_hash: bytes


class ViewDigest(NamedTuple):
    """The digests of all tables, and what they are digests of: one snapshot at these positions.

    `positions`: topic and partition to the next offset to be applied. Instants in microseconds.
    """

    projection_version: str | None
    as_of_us: int | None
    positions: Mapping[tuple[str, int], int]
    tables: Mapping[str, TableDigest]

    @property
    def sha256(self) -> str:
        """One digest of all tables: over `table rows sha256` for each, a line each."""
        lines = "".join(f"{table} {found.rows} {found.sha256}\n" for table, found in self.tables.items())
        return hashlib.sha256(lines.encode()).hexdigest()


def table_digest(lines: Iterable[str]) -> TableDigest:
    """The digest of a table's lines, in the order given; each ends with a line feed, of which a line contains none."""
    found = hashlib.sha256()
    rows = 0
    for line in lines:
        found.update(line.encode())
        found.update(b"\n")
        rows += 1
    return TableDigest(rows, found.hexdigest())


def customer_digests(parts: Iterable[Part]) -> Iterator[CustomerDigest]:
    """A digest for each customer; `parts` come by customer, in an order that depends on nothing but the parts."""
    for customer_id, of_customer in groupby(parts, key=itemgetter(0)):
        found = hashlib.sha256()
        rows = 0
        for part in of_customer:
            found.update(part.line_hash)
            rows += 1
        yield CustomerDigest(customer_id, rows, found.hexdigest())
