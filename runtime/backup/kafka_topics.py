"""What a backup has to know of Kafka's topics, and what a restore has to change of them. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from customer_timeline.streams.topic_setup import TopicSetupError, UnreachableKafkaError

TIMESTAMP_TYPE: Final = "message.timestamp.type"
# Times as they were: the broker must neither replace them nor find them too far from its clock.
_KEEP_TIMES: Final[Mapping[str, str]] = {
    TIMESTAMP_TYPE: "CreateTime",
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
_ANSWER_MS: Final = 30_000


class TopicFacts(NamedTuple):
    """A topic that exists. `config`: the settings that were made for it, not the broker's."""

    topic_id: str
    partitions: int
    config: Mapping[str, str]

    @property
    def keeps_given_times(self) -> bool:
        """Whether records keep the times that they come with, as during a restore."""
        return self.config.get(TIMESTAMP_TYPE) == _KEEP_TIMES[TIMESTAMP_TYPE]


class Topics:
    """The topics of one Kafka."""

    def __init__(self, admin: Any) -> None:
        self._admin = admin

    @property
    def cluster_id(self) -> str:
        """Kafka's own name of the cluster."""
        return str(self._admin.describe_cluster()["cluster_id"])

    def facts(self, name: str) -> TopicFacts | None:
        """How the topic is; None where there is none."""
        if name not in self._admin.list_topics():
            return None
        (layout,) = self._admin.describe_topics([name])
        answer = self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
        (configs,) = answer.values()
        made = {
            setting: str(entry["value"])
            for setting, entry in configs[name].items()
            if entry["config_source"] == "DYNAMIC_TOPIC_CONFIG"
        }
        return TopicFacts(str(layout["topic_id"]), len(layout["partitions"]), made)

    def create_for_restore(self, name: str, partitions: int, replication: int, config: Mapping[str, str]) -> None:
        """Make the topic so that records keep the times that they come with; no worker takes it in this state."""
        options = {
            "num_partitions": partitions,
            "replication_factor": replication,
            "configs": {**config, **_KEEP_TIMES},
        }
        self._admin.create_topics({name: options}, wait_for_metadata=True)

    def prepare_for_restore(self, name: str) -> None:
        """The same for a topic that exists."""
        self._alter({name: _KEEP_TIMES})

    def finish_restore(self, configs: Mapping[str, Mapping[str, str]]) -> None:
        """Give the topics the settings that they are to have. Records that are in them keep their times.

        All in one request, so that no kill comes between them: were one topic done and another not, the next run would
        take the first for somebody else's.
        """
        gone = {name: dict.fromkeys(_KEEP_TIMES.keys() - configs[name], ("DELETE", None)) for name in configs}
        self._alter({name: {**gone[name], **config} for name, config in configs.items()})

    def _alter(self, configs: Mapping[str, Mapping[str, Any]]) -> None:
        asked = [
            ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(config)) for name, config in configs.items()
        ]
        answer = self._admin.alter_configs(asked)
        # A topic of which Kafka does not say so is as before: with the times of today, were records written to it.
        refused = {name: told for name, told in answer.get("topic", {}).items() if told != "OK"}
        if refused:
            told = "; ".join(f"{name}: {why}" for name, why in sorted(refused.items()))
            raise TopicSetupError(f"Kafka did not change the settings of a topic that is restored ({told}).")


@contextmanager
def kafka_topics(bootstrap: str) -> Iterator[Topics]:
    """The topics of the Kafka at `bootstrap`. Raises UnreachableKafkaError or TopicSetupError."""
    try:
        client = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=_ANSWER_MS)
    except KafkaError as exc:
        raise UnreachableKafkaError(f"No Kafka broker answers at {bootstrap}: {exc}") from exc
    try:
        yield Topics(client)
    except KafkaError as exc:
        raise TopicSetupError(f"Kafka at {bootstrap} refused: {exc}") from exc
    finally:
        client.close()
