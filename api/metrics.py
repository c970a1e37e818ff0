"""Metrics of the API for Prometheus: latency by route template, the lag of the views behind the log, and the
dead letters that are stored.

With several worker processes behind one port a scrape reaches any of them; prometheus_client then adds them up
through files in `PROMETHEUS_MULTIPROC_DIR`, which `runtime` sets before it starts them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from customer_timeline.api.config import Lag
from customer_timeline.projections.dead_letters import StoredDeadLetters
from customer_timeline.schemas.errors import RejectionReason

# Around the aim of 5,000 views a second (sub-millisecond) up to the time-out of a query.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WAIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class ApiMetrics:
    """The metrics of one app. Labels are bounded: route templates, known methods, status codes."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._duration = Histogram(
            "customer_timeline_api_request_duration_seconds",
            "Time from the request to the end of its answer, without what it waited for positions.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._wait = Histogram(
            "customer_timeline_api_wait_seconds",
            "Time that reads waited for positions to be applied, by how that ended.",
            ("outcome",),
            buckets=_WAIT_BUCKETS,
            registry=self._registry,
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count one request."""
        key = (method if method in _METHODS else "other", route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._duration.labels(key[0], route, str(status))
        child.observe(duration_s)

    def waited(self, outcome: str, seconds: float) -> None:
        """Count one read that waited; `outcome` is a word of `waiting.OUTCOMES`."""
        self._wait.labels(outcome).observe(seconds)

    def exposition(self, lag: Lag | None, dead_letters: StoredDeadLetters | None) -> bytes:
        """The text format of Prometheus; None = unknown, then its series are absent."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        text = generate_latest(registry)
        known = CollectorRegistry()
        if lag is not None:
            known.register(_LagCollector(lag))
        if dead_letters is not None:
            known.register(_DeadLetterCollector(dead_letters))
        return text + generate_latest(known)


class _LagCollector(Collector):
    def __init__(self, lag: Lag) -> None:
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        events = GaugeMetricFamily(
            "customer_timeline_views_lag_events", "Records appended and not yet applied.", labels=("topic", "partition")
        )
        seconds = GaugeMetricFamily(
            "customer_timeline_views_lag_seconds",
            "How long the oldest record not yet applied has waited.",
            labels=("topic", "partition"),
        )
        for partition in self._lag:
            labels = (partition.topic, str(partition.partition))
            events.add_metric(labels, partition.events)
            seconds.add_metric(labels, partition.seconds)
        yield events
        yield seconds


class _DeadLetterCollector(Collector):
    def __init__(self, stored: StoredDeadLetters) -> None:
        self._stored = stored

    def collect(self) -> Iterator[Metric]:
        records = GaugeMetricFamily(
            "customer_timeline_dead_letters_stored",
            "Dead letters in the table, whoever wrote them.",
            labels=("reason",),
        )
        # A reason without any is 0, so that a sum over all of them exists from the start.
        for reason in dict.fromkeys((*map(str, RejectionReason), *self._stored.by_reason)):
            records.add_metric((reason,), self._stored.by_reason.get(reason, 0))
        yield records
        size = GaugeMetricFamily(
            "customer_timeline_dead_letters_stored_bytes", "What they take on disk, indexes included."
        )
        size.add_metric((), self._stored.size_bytes)
        yield size
        removed = GaugeMetricFamily(
            "customer_timeline_dead_letters_removed", "Dead letters that were exported and removed, ever."
        )
        removed.add_metric((), self._stored.removed)
        yield removed
