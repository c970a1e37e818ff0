"""Is this still the topic we know? Kafka gives every topic an id; one created again under the same name has another."""

from __future__ import annotations

import contextlib
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from customer_timeline.projections.journal import RefusedError


class TopicIdentity:
    """Reads the topic's id and notices when it changes. Blocking; used by one thread at a time."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._known: str | None = None
        self._client: Any = None

    def read(self) -> str | None:
        """The topic's id, None while Kafka does not answer or the topic is being created."""
        try:
            if self._client is None:
                self._client = KafkaAdminClient(bootstrap_servers=self._bootstrap, bootstrap_timeout_ms=5_000)
            found = [one for one in self._client.describe_topics([self._topic]) if not one.get("error_code")]
        except KafkaError:
            # Kafka is away; the consumer sees it too, and the id is asked for again.
            self.close()
            return None
        topic_id = str(found[0]["topic_id"]) if found else None
        if self._known is None:
            self._known = topic_id
        return topic_id

    def check(self) -> None:
        """Raise RefusedError where the topic was deleted and created again since it was first read."""
        known = self._known
        now = self.read()
        if known is not None and now is not None and now != known:
            raise RefusedError(
                f"The topic {self._topic} was deleted and created again while the worker ran: its id was {known} "
                f"and is {now}. Restore the old log, or start over from the new one: "
                f"`customer-timeline projection reset`, then start the worker again."
            )

    def close(self) -> None:
        """Give the connection back."""
        if self._client is not None:
            with contextlib.suppress(KafkaError):
                self._client.close()
            self._client = None
