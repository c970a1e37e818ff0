"""An event and the operation about it: two topics, no transaction, and nothing half done that stays so.

The event is first, for the operation names its place. Should the second fail, the same command again finds that the
event stands, publishes nothing, and appends the operation. Where the event was not applied in between it is published
once more, which is the same record twice. A transaction of Kafka was no way: workers read what is aborted, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from customer_timeline.projections.dead_letters import DeadLetterPlace
from customer_timeline.runtime import wiring
from customer_timeline.runtime.repairing import Repair
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.envelope import EVENT_NAMESPACE
from customer_timeline.schemas.operations import Operation, OperationKind

if TYPE_CHECKING:
    from customer_timeline.producers.protocol import Position


def operation_id(kind: OperationKind, repair: Repair, about: DeadLetterPlace | None = None) -> uuid.UUID:
    """The id of the operation about this event: the same however often the command is run."""
    words = (kind, repair.decoded.event_id, repair.decoded.revision, *(about or ()))
    return uuid.uuid5(EVENT_NAMESPACE, "\n".join(map(str, words)))


def publish_and_tell(
    settings: Settings, repair: Repair, tell: Callable[[DeadLetterPlace], Operation] | None
) -> Position | None:
    """Publish the event, unless it stands, and append what `tell` makes of its place; where it was published.

    Raises PublishError; both topics are there before either is written to.
    """
    with wiring.publisher(settings) as publisher, wiring.operations_log(settings) as log:
        published = None if repair.stands_at else publisher.publish(repair.decoded).position()
        at = DeadLetterPlace(*(published or (settings.touchpoints_topic, *(repair.stands_at or (0, 0)))))
        if tell is not None:
            log.append(tell(at))
    return published
