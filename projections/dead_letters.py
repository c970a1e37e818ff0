"""Dead letters as operators look through them: single records, and groups that fail for one reason.

Types, the protocol of their reader, and the fingerprint that tells groups apart. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol

from customer_timeline.projections.identity_reading import PlacedEvent
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.record_times import RECORDED_HEADER

_NUMBER: Final = re.compile("[0-9]+")


DeadLetterState = Literal["open", "healed", "discarded", "replaced"]
"""`open`: nobody has decided yet. `healed`: a retry made it an event. `discarded`: it is to be none. `replaced`: an
edited copy was published."""


class DeadLetterSummary(NamedTuple):
    """A record that could not become an event, without its content. `error` names no personal value."""

    topic: str
    partition: int
    offset: int
    recorded_us: int
    reason: str
    type: str | None
    error: str
    state: DeadLetterState = "open"

    @property
    def place(self) -> DeadLetterPlace:
        """Where it stands."""
        return DeadLetterPlace(self.topic, self.partition, self.offset)

    @property
    def fingerprint(self) -> str:
        """See `fingerprint`."""
        return fingerprint(self.reason, self.type, self.error)


class DeadLetterDecision(NamedTuple):
    """What was decided of a dead letter, and when the log took that in; of a healed one only when.

    `event_id`: the event published instead of it.
    """

    operator: str | None
    reason: str | None
    event_id: str | None
    at_us: int


class DeadLetter(NamedTuple):
    """A record that could not become an event, whole. `key` and `value` are the original bytes (may be personal)."""

    summary: DeadLetterSummary
    sha256: bytes
    key: bytes | None
    value: bytes | None
    headers: str
    decision: DeadLetterDecision | None = None


class DeadLetterFilter(NamedTuple):
    """Which dead letters; None = no cut, for `state`: all but those that healed. `type` with its version or without;
    recorded from `since_us` on and before `until_us`.
    """

    reason: str | None = None
    type: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    fingerprint: str | None = None
    state: DeadLetterState | None = None


class DeadLetterPlace(NamedTuple):
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int


class DeadLetterGroup(NamedTuple):
    """Dead letters of one fingerprint. `error`: what is wrong with them, numbers written as `#`; `open`: how many of
    them nobody has decided about; `last`: the newest.
    """

    fingerprint: str
    reason: str
    type: str | None
    error: str
    records: int
    open: int
    first_us: int
    last_us: int
    last: DeadLetterPlace

    @property
    def key(self) -> DeadLetterGroupKey:
        """Where the group stands in a list."""
        return DeadLetterGroupKey(self.last_us, self.fingerprint)


class DeadLetterGroupKey(NamedTuple):
    """By what groups are listed, in descending order."""

    last_us: int
    fingerprint: str


class DeadLetterGroups(NamedTuple):
    """A page of groups; `more`: at least one follows."""

    rows: tuple[DeadLetterGroup, ...]
    more: bool


class DeadLetterPage(NamedTuple):
    """A page of single records, newest first; `more`: at least one follows."""

    rows: tuple[DeadLetterSummary, ...]
    more: bool


class StoredDeadLetters(NamedTuple):
    """How many are open, by reason, and the bytes that their table takes on disk, its indexes included.

    `removed`: how many were exported and removed so far. `oldest_us`: when the oldest that is there was recorded,
    whatever became of it; None with none.
    """

    by_reason: dict[str, int]
    size_bytes: int
    removed: int = 0
    oldest_us: int | None = None


class DeadLetterReader(Protocol):
    """The part of `TimelineReader` that is about dead letters; the same promises.

    They are no view: they can be read whichever version of the fold wrote the others.
    """

    async def dead_letter_groups(
        self, wanted: DeadLetterFilter, *, limit: int, after: DeadLetterGroupKey | None = None
    ) -> DeadLetterGroups:
        """At most `limit` (>= 1) groups by (newest record, fingerprint), descending, from `after` (exclusive) on."""
        ...

    async def dead_letters(
        self, wanted: DeadLetterFilter, *, limit: int, after: DeadLetterPlace | None = None
    ) -> DeadLetterPage:
        """At most `limit` (>= 1) by (recorded_at, topic, partition, offset), descending, from `after` (exclusive) on.

        `after` is a dead letter; where it is none, nothing follows it.
        """
        ...

    async def dead_letter(self, topic: str, partition: int, offset: int) -> DeadLetter | None:
        """One dead letter, whole; None where that record is none."""
        ...

    async def stored_dead_letters(self) -> StoredDeadLetters:
        """How many there are."""
        ...

    async def stored_revision(self, event_id: str) -> int | None:
        """The highest revision of an event among the records kept of it; None where there is none."""
        ...

    async def stored_event(self, event_id: str) -> PlacedEvent | None:
        """The record that counts of an event, retractions and decisions included; None where there is none."""
        ...

    async def applied_operation(self, operation_id: str) -> bool:
        """Whether an operation with this id is applied."""
        ...

    async def owner_of(self, thing_id: str) -> str | None:
        """The customer whose a thing is now, itself or through at most five others; None where it is nobody's."""
        ...


def without_numbers(error: str) -> str:
    """What is wrong, without what varies from record to record: indexes of lists, lines and columns of JSON."""
    return _NUMBER.sub("#", error)


def fingerprint(reason: str, type_: str | None, error: str) -> str:
    """What dead letters of one cause have in common: 16 hexadecimal digits of reason, type, field and kind of error.

    Stable: `dead_letters.sql` computes the same. It holds nothing of the record but its type.
    """
    named = "\n".join((reason, type_ or "", without_numbers(error)))
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def read_again(codec: Codec, value: bytes | None, headers: str, appended_at: datetime) -> DecodedEvent:
    """The event that a stored record is by the codec's code: decoded as when it came. Raises InvalidEvent."""
    recorded = next((bytes.fromhex(inner) for name, inner in json.loads(headers) if name == RECORDED_HEADER), None)
    header = None if recorded is None else recorded.decode("utf-8", errors="replace")
    return codec.decode(value, appended_at=appended_at, recorded_header=header)
