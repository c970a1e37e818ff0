"""What an adapter may rely on, whichever Kafka client does the work.

`KafkaPublisher` (kafka-python) and `ConfluentPublisher` (librdkafka) implement it; any other client slots in behind it
and has to pass the same contract suite, `tests/producers/test_publisher_contract.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.envelope import Event
from customer_timeline.schemas.position_token import PositionToken


class Position(NamedTuple):
    """Where one record stands in the log."""

    topic: str
    partition: int
    offset: int


class PublisherCounts(NamedTuple):
    """What became of the events so far. `accepted` = `acknowledged` + `failed` + those still on the way."""

    accepted: int
    acknowledged: int
    failed: int


class Receipt(Protocol):
    """The promise of one accepted event."""

    @property
    def event_id(self) -> str:
        """The key of idempotence: canonical UUID text."""

    def done(self) -> bool:
        """True once Kafka has acknowledged or refused the event. Never blocks."""

    def position(self, timeout_s: float | None = None) -> Position:
        """Block until Kafka has the event for good, and say where.

        Without `timeout_s` the bound is the publisher's delivery time-out. Raises `DeliveryFailed`, also where the
        time is over.
        """

    def token(self, timeout_s: float | None = None) -> PositionToken:
        """The position as a token, for reads that must see this event. Waits and raises as `position` does.

        `PositionToken.merged` makes one of several; `str` gives the text. It names the topic by the id that it had when
        the publisher connected: where the topic was created again since, readers refuse the token.
        """


class Publisher(Protocol):
    """Appends events to the log. May be shared by threads; may not be taken across a fork."""

    @property
    def counts(self) -> PublisherCounts:
        """How many events were accepted, acknowledged and failed since the publisher was made. Never blocks."""

    @property
    def token(self) -> PositionToken | None:
        """The token of every event acknowledged so far, for reads that must see them all. Never blocks: flush first.

        None while nothing was acknowledged, and where Kafka no longer told an offset (rare: publish again). It names
        single events while they are few (`MAX_EVENTS`); of more only how far each partition has to be.
        """

    @property
    def handing_over(self) -> bool:
        """Whether an event is just then on its way from the caller to the client, so that nobody can say whose it is.

        For handlers of signals: what they raise in this moment would let an event be published and not be counted.
        """

    def publish(self, event: Event[Any] | DecodedEvent) -> Receipt:
        """Accept one event for delivery and return at once; blocks only while the buffer is full.

        An event that was built is encoded, and read back as every reader will: what would be a dead letter is refused
        here with `InvalidEvent`. One that was decoded already (from a file, from a copy of a log) is written as the
        bytes that it was decoded from. Events with one partition key that one thread publishes keep their order in the
        log. Raises `InvalidEvent`, `BufferFull`, `PublisherClosed`, `PublisherForked`, or `DeliveryFailed` where the
        topic has gone; then the event was not accepted. What happens after acceptance is told by the receipt and by
        `flush`.
        """

    def publish_all(self, events: Iterable[Event[Any] | DecodedEvent]) -> list[Position]:
        """Publish every event and wait for all of them: their positions, in the order given.

        Raises the first failure in that order, after every accepted event has been decided. Publishing all again is
        harmless.
        """

    def flush(self, timeout_s: float | None = None) -> None:
        """Return when every event accepted before the call is acknowledged.

        Raises the first failure since the last `flush`, or `FlushTimeout`. Events that other threads publish meanwhile
        are neither waited for nor held up.
        """

    def close(self, timeout_s: float | None = None) -> None:
        """`flush`, then give up threads and sockets, also where flush raises. A second call does nothing."""

    def __enter__(self) -> Self:
        """The publisher itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """`close`. An exception that leaves the block stays; a failure to deliver is added to it as a note."""
