"""What can go wrong between an adapter and the log. Each reads as a sentence: what, where, what to do.

None of them carries anything of the event but its event_id: messages are logged, and identifiers are personal.
"""

# ruff: noqa: N818 (named for what is the case, as the codebase names its verdicts)

from __future__ import annotations

from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.kafka_errors import KafkaSilent, TopicUnknown


class PublishError(CustomerTimelineError):
    """Root of what a publisher raises."""


class PackageMissing(CustomerTimelineError):
    """The optional package that the format needs is not installed; `extra` brings it."""

    exit_code = 2  # of the command line

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what}, which is not installed: pip install 'customer-timeline[{extra}]'")


class KafkaUnreachable(PublishError, KafkaSilent):
    """No broker of `bootstrap` answered within `waited_s` seconds."""


class TopicMissing(PublishError, TopicUnknown):
    """The topic does not exist; it is never created on the way, because its settings decide whether events are kept."""


class BufferFull(PublishError):
    """Kafka took events more slowly than they came for longer than the publisher may block. Nothing was accepted."""

    def __init__(self, buffered_bytes: int, waited_s: float) -> None:
        self.buffered_bytes = buffered_bytes
        self.waited_s = waited_s
        super().__init__(
            f"The event was not accepted: {buffered_bytes} bytes still wait for Kafka after {waited_s:g} s. Publish it "
            "again later, or raise `buffer_bytes` or `block_s`."
        )


class DeliveryFailed(PublishError):
    """Kafka did not acknowledge an accepted event in time, or refused it.

    `cause_name` is the class of the client's error. Where it is a time-out the event may be in the log all the same.
    """

    def __init__(self, event_id: str, topic: str, cause_name: str) -> None:
        self.event_id = event_id
        self.topic = topic
        self.cause_name = cause_name
        super().__init__(
            f"Kafka did not acknowledge event {event_id} on topic {topic!r} ({cause_name}). Publish it again: the same "
            "id and source make a second copy harmless."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (DeliveryFailed, (self.event_id, self.topic, self.cause_name))


class OperationNotAcknowledged(PublishError):
    """Kafka did not acknowledge what an operator decides; after a time-out it may be in the log all the same."""

    def __init__(self, topic: str, cause_name: str) -> None:
        self.topic = topic
        self.cause_name = cause_name
        super().__init__(
            f"Kafka did not acknowledge the operation on topic {topic!r} ({cause_name}). Run the same command again: "
            "what is done already is not done twice."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (OperationNotAcknowledged, (self.topic, self.cause_name))


class FlushTimeout(PublishError):
    """Events were still unacknowledged when the time given to `flush` or `close` was over."""

    def __init__(self, pending: int, waited_s: float) -> None:
        self.pending = pending
        self.waited_s = waited_s
        super().__init__(
            f"{pending} events were still unacknowledged after {waited_s:g} s. They may or may not be in the log; "
            "publish them again: the same id and source make a second copy harmless."
        )


class PublisherClosed(PublishError):
    """The publisher was used after `close()`."""

    def __init__(self) -> None:
        super().__init__("This publisher is closed. Make a new one, or publish inside its `with` block.")


class PublisherForked(PublishError):
    """A publisher made before a fork was used in the child, which has its sockets but not its sending thread."""

    def __init__(self, made_in_pid: int, used_in_pid: int) -> None:
        self.made_in_pid = made_in_pid
        self.used_in_pid = used_in_pid
        super().__init__(
            f"This publisher belongs to process {made_in_pid} and was used in process {used_in_pid} after a fork. "
            "Make one in each process, after the fork."
        )
