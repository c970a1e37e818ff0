"""How a projector reads the log: its settings, and a consumer that leaves the offsets to Postgres."""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer

_FETCH_WAIT_MS, _HEARTBEAT_MS = 20, 500


@dataclass(frozen=True, slots=True)
class ProjectorConfig:
    """How a projector reads the log. `instance_id`: a name that survives restarts, so partitions come back at once."""

    bootstrap: str
    topic: str
    group: str
    instance_id: str | None = None
    batch_events: int = 5000
    session_timeout_ms: int = 6000
    client_id: str = "customer-timeline-worker"


def new_consumer(config: ProjectorConfig, group: str) -> AIOKafkaConsumer:
    """A consumer of `group`, not started; it begins nowhere until it is told (ADR 0003)."""
    return AIOKafkaConsumer(
        bootstrap_servers=config.bootstrap,
        client_id=config.client_id,
        group_id=group,
        group_instance_id=config.instance_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        session_timeout_ms=config.session_timeout_ms,
        # A worker learns with its next heartbeat that another one came or went, and until then that one waits.
        heartbeat_interval_ms=min(_HEARTBEAT_MS, config.session_timeout_ms // 3),
        rebalance_timeout_ms=30_000,
        max_poll_interval_ms=600_000,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=32 << 20,
        metadata_max_age_ms=5_000,
        # One request asks for all partitions: while nobody writes to some of them, it keeps the others waiting.
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
