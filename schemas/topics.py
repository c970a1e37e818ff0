"""The topics of the log: names are settings, everything else about them is decided here.

`producers` creates them, `streams` and `doctor` compare what exists with what is meant. Pure: values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from customer_timeline.schemas.envelope import MAX_EVENT_BYTES

# The largest event, its key, its headers and the batch around it.
_MAX_BATCH_BYTES: Final = MAX_EVENT_BYTES + 64 * 1024


class TopicSpec(NamedTuple):
    """A topic as it should be. `config` holds what matters; other settings of an existing topic are its own affair."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]

    @property
    def is_source(self) -> bool:
        """Whether what it holds is kept for ever, because nothing else could tell it: what a backup is made of."""
        return self.config.get("retention.ms") == "-1"


def touchpoints_topic(name: str, partitions: int, replication: int) -> TopicSpec:
    """The log itself: append only, kept for ever, every record stamped by the broker that took it in."""
    return TopicSpec(
        name,
        partitions,
        replication,
        MappingProxyType(
            {
                "cleanup.policy": "delete",
                "retention.ms": "-1",
                "retention.bytes": "-1",
                # recorded_at must be the log's own: a producer's clock may be wrong by years.
                "message.timestamp.type": "LogAppendTime",
                "max.message.bytes": str(_MAX_BATCH_BYTES),
                **_durability(replication),
            }
        ),
    )


def changes_topic(name: str, partitions: int, replication: int) -> TopicSpec:
    """What changed about customers, for subscribers; kept for seven days, since Postgres knows the present state."""
    return TopicSpec(
        name,
        partitions,
        replication,
        MappingProxyType(
            {
                "cleanup.policy": "delete",
                "retention.ms": str(7 * 24 * 60 * 60 * 1000),
                "message.timestamp.type": "LogAppendTime",
                **_durability(replication),
            }
        ),
    )


def operations_topic(name: str, replication: int) -> TopicSpec:
    """What operators decide about dead letters; kept for ever, since a rebuild needs it.

    One partition: what is decided later about the same record counts.
    """
    return touchpoints_topic(name, 1, replication)


def _durability(replication: int) -> dict[str, str]:
    # With acks=all, two copies must have a record before it counts as written, where there are three or more.
    return {"min.insync.replicas": "2" if replication >= 3 else "1"}
