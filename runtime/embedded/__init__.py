"""Kafka and Postgres with nothing installed but Python: the real servers, as child processes that end with us."""

from customer_timeline.runtime.embedded.kafka import EmbeddedKafka
from customer_timeline.runtime.embedded.postgres import EmbeddedPostgres
from customer_timeline.runtime.embedded.process import FolderInUse, ServerError

__all__ = ["EmbeddedKafka", "EmbeddedPostgres", "FolderInUse", "ServerError"]
