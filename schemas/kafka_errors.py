"""What is wrong with Kafka or a topic, for whoever writes or reads there; `producers` and `streams` name their own."""

from __future__ import annotations

from customer_timeline.schemas.errors import CustomerTimelineError


class KafkaSilent(CustomerTimelineError):  # noqa: N818 - named for what is the case
    """No broker of `bootstrap` answered within `waited_s` seconds."""

    exit_code = 3  # of the command line

    def __init__(self, bootstrap: str, waited_s: float) -> None:
        self.bootstrap = bootstrap
        self.waited_s = waited_s
        super().__init__(
            f"Kafka at {bootstrap} did not answer within {waited_s:g} s. Is it running, and is "
            "CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP its address?"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.bootstrap, self.waited_s))


class TopicUnknown(CustomerTimelineError):  # noqa: N818
    """There is no such topic; it is never created on the way, because its settings decide whether events are kept.

    `setting`: what names the topic.
    """

    def __init__(self, topic: str, bootstrap: str, setting: str = "TOUCHPOINTS_TOPIC") -> None:
        self.topic = topic
        self.bootstrap = bootstrap
        self.setting = setting
        super().__init__(
            f"Topic {topic!r} does not exist on Kafka at {bootstrap}. `customer-timeline worker` creates it with the "
            f"right settings; CUSTOMER_TIMELINE_{setting} names another."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.topic, self.bootstrap, self.setting))
