"""What a reader of the views offers: rows as they stand in the tables, and the protocol that finds them.

The API and the command line depend on this and not on Postgres. Pure: types only. Instants are microseconds since
1970-01-01T00:00Z (`to_micros`), ids canonical UUID text; whatever is JSON stays the text that Postgres stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal, NamedTuple, Protocol

from customer_timeline.projections.dead_letters import DeadLetterReader
from customer_timeline.projections.identity_reading import IdentityReader
from customer_timeline.projections.lifecycle import Flag, Stage
from customer_timeline.projections.progress import ProgressReader
from customer_timeline.schemas.errors import CustomerTimelineError


class ViewsUnavailableError(CustomerTimelineError):
    """The views cannot be read just now; the same request may succeed later."""

    exit_code = 3  # of the command line: a server is not reachable


class ViewsOutOfDateError(CustomerTimelineError):
    """The views were written by another version of the fold; serving them as current would be wrong."""

    def __init__(self, *, found: str, expected: str) -> None:
        self.found = found
        self.expected = expected
        super().__init__(
            f"The views are of projection version {found}, this program reads {expected}: run the same release and the "
            "same identity and time settings everywhere, or rebuild the views (customer-timeline projection reset)."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_out_of_date, (self.found, self.expected))


def _out_of_date(found: str, expected: str) -> ViewsOutOfDateError:
    return ViewsOutOfDateError(found=found, expected=expected)


class StagesBeingAssessedError(CustomerTimelineError):
    """Some customers were assessed by other stage rules than these: a list by stage would be wrong."""

    COUNTED: Final = 10_000  # no further

    def __init__(self, left: int) -> None:
        self.left = left
        counted = f"More than {self.COUNTED}" if left > self.COUNTED else str(left)
        super().__init__(
            f"{counted} customers are still to be assessed by these stage rules. Workers do that after a change of the "
            "rules; if it does not end, see that workers and API run with the same thresholds."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (StagesBeingAssessedError, (self.left,))


class Member(NamedTuple):
    """An identifier of a customer. `first_seen_us` is None where only an operator's decision named it."""

    identifier_id: str
    kind: str
    value: str
    first_seen_us: int | None


class CustomerRecord(NamedTuple):
    """A customer: its identifiers, first seen first (never seen last; then by id), and the fold of its events.

    `facts` is None where no event stands with any of its identifiers (a decision or a link alone named them).
    """

    customer_id: str
    members: tuple[Member, ...]
    facts: str | None


class TimelineFilter(NamedTuple):
    """Which events of a customer to list; None = no cut. `type` with its version (`purchase.completed.v1`) or
    without."""

    type: str | None = None
    channel: str | None = None
    from_us: int | None = None
    until_us: int | None = None  # exclusive


class TimelineKey(NamedTuple):
    """Where an event stands in any timeline that lists it; merges and late events do not move it."""

    occurred_us: int
    event_id: str


class TimelineRow(NamedTuple):
    """One event of a timeline. `event` is the whole event as published, `data_quality` JSON or None.

    `partition` and `offset` are None where another record stands for the event today: its place is not kept.
    """

    event_id: str
    occurred_us: int
    recorded_us: int
    partition: int | None
    offset: int | None
    data_quality: str | None
    event: str

    @property
    def key(self) -> TimelineKey:
        """Where the event stands in the timeline."""
        return TimelineKey(self.occurred_us, self.event_id)


class TimelinePage(NamedTuple):
    """Events in descending (occurred_at, event_id); `more`: at least one follows."""

    rows: tuple[TimelineRow, ...]
    more: bool


class EventAt(NamedTuple):
    """A listed event at an instant that was asked for; `type` with its version."""

    occurred_us: int
    event_id: str
    type: str
    sign_of_life: bool


class HistoryParts(NamedTuple):
    """The events of a customer at a cut in two times, as far as partial states say them, and the others one by one.

    `partials`: encoded facts of disjoint sets of events; `events`: the listed events in none of these, as published,
    each with when it was recorded; both in no order. `partials.facts_of` makes the state of them. Of an event that was
    corrected it is the record that counts today, if it was recorded by then.
    """

    customer_id: str
    partials: tuple[str, ...]
    events: tuple[tuple[str, int], ...]


Order = Literal["customer_id", "last_event", "-last_event", "since", "-since"]
"""By what a list is ordered, and among equals by customer_id; a minus: descending."""


class CustomerFilter(NamedTuple):
    """Which customers to list, and in which order; None = all that have a stage."""

    stage: Stage | None = None
    flag: Flag | None = None
    order: Order = "customer_id"


class CustomerKey(NamedTuple):
    """Where a customer stands in a list: what it is ordered by (0 by customer_id alone), and the customer."""

    value_us: int
    customer_id: str


class CustomerRow(NamedTuple):
    """A customer in a list. Stage and flags are those of the instant that was asked for, the rest is the present."""

    customer_id: str
    stage: Stage
    flags: tuple[Flag, ...]
    since_us: int
    until_us: int | None
    events: int
    purchases: int
    first_event_us: int
    last_event_us: int
    last_sign_of_life_us: int | None

    def key(self, order: Order) -> CustomerKey:
        """Where the customer stands in a list of that order."""
        if order == "customer_id":
            return CustomerKey(0, self.customer_id)
        return CustomerKey(self.since_us if order.endswith("since") else self.last_event_us, self.customer_id)


class CustomerPage(NamedTuple):
    """Customers in the order asked for; `more`: at least one follows.

    `counts`: how many there are of each stage, with the flag asked for, on all pages; stages without any are left out.
    """

    rows: tuple[CustomerRow, ...]
    more: bool
    counts: Mapping[Stage, int]


class ReaderHealth(NamedTuple):
    """What the readiness probe wants to know. `projection_version` is None while no worker has written yet."""

    projection_version: str | None
    expected_version: str | None

    @property
    def current(self) -> bool:
        """Whether the views may be served."""
        return None in self or self.projection_version == self.expected_version


class TimelineReader(ProgressReader, IdentityReader, DeadLetterReader, Protocol):
    """Reads the views. Each call sees one snapshot of them, and none writes.

    Every method raises `ViewsUnavailableError` where the views cannot be reached in time, and (except `health`)
    `ViewsOutOfDateError` where another version of the fold wrote them. Safe for concurrent calls within one event loop.
    """

    async def customer(self, identifier_id: str) -> CustomerRecord | None:
        """The customer that holds the identifier now; None where nobody ever named it."""
        ...

    async def timeline(
        self, identifier_id: str, wanted: TimelineFilter, *, limit: int, before: TimelineKey | None = None
    ) -> TimelinePage | None:
        """At most `limit` (>= 1) listed events of that customer, newest first, from `before` (exclusive) on.

        A customer's events stand at one of its identifiers or at a thing (an order, a case) that is, itself or through
        at most five others, one of theirs. None where nobody ever named the identifier.
        """
        ...

    async def events_at(self, identifier_id: str, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        """All listed events of that customer at these instants, by (occurred_us, event_id).

        None at all where nobody ever named the identifier.
        """
        ...

    async def customers(
        self,
        wanted: CustomerFilter,
        *,
        rules: str,
        at_us: int,
        limit: int,
        after: CustomerKey | None = None,
    ) -> CustomerPage:
        """At most `limit` (>= 1) of the customers that had a stage at an instant, from `after` (exclusive) on.

        Right at any instant, whether or not a sweeper runs. Raises StagesBeingAssessedError where customers were
        assessed by another version than `rules`.
        """
        ...

    async def health(self) -> ReaderHealth:
        """Ask the store; returns only if it answered."""
        ...

    async def aclose(self) -> None:
        """Give back what the reader holds. Calls after it open it again."""
        ...
