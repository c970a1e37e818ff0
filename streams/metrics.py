"""What a worker tells Prometheus. One documented type; the runbook explains each."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from customer_timeline.projections.journal import Applied

_STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ProjectorMetrics:
    """Counters and gauges of one worker. Labels never hold an identifier or any other content of an event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"customer_timeline_{name}", text, labels, registry=registry)

        self.events = counter("events_applied", "Events that were new and are in the timeline.")
        self.duplicates = counter("duplicates", "Records of events that were known already.")
        self.replaced = counter("events_replaced", "Events of which another record won.")
        self.dead_letters = counter("dead_letters", "Records that could not become events.", "reason")
        self.healed = counter("dead_letters_healed", "Dead letters that a retry made events.")
        self.dead_letters_exported = counter("dead_letters_exported", "Old dead letters written to files.")
        self.retention_failures = counter(
            "dead_letter_retention_failures",
            "Attempts to export or remove old dead letters that failed.",
        )
        self.batches = counter("batches", "Transactions committed.")
        self.retries = counter("storage_retries", "Attempts that failed for a passing reason of Postgres.")
        self.fenced = counter("fenced", "Batches given up because another worker took over.")
        self.customers = counter("customers_written", "Customer rows written.")
        self.step_seconds = Histogram(
            "customer_timeline_step_seconds",
            "Time a batch spends in each step.",
            ("step",),
            buckets=_STEP_BUCKETS,
            registry=registry,
        )
        self.batch_events = Histogram(
            "customer_timeline_batch_records",
            "Records in a batch.",
            buckets=(1, 10, 100, 500, 1000, 2500, 5000, 10000),
            registry=registry,
        )
        self.lag_events = Gauge(
            "customer_timeline_lag_events",
            "Records in the log that are not applied yet.",
            ("partition",),
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "customer_timeline_lag_seconds",
            "Age of the last record applied when it was applied; 0 where caught up.",
            ("partition",),
            registry=registry,
        )
        self.storage_up = Gauge(
            "customer_timeline_storage_up", "1 while Postgres takes batches, else 0.", registry=registry
        )

        self.sweeps = counter("sweeps", "Rounds of the sweeper.")
        self.transitions = counter("stage_transitions", "Stage transitions announced.", "stage")
        self.withdrawals = counter("stage_withdrawals", "Announced transitions that a late event undid.")
        self.partials = counter("partial_states_built", "Months and days of long histories folded ahead of reads.")
        self.sweep_lag = Gauge(
            "customer_timeline_sweep_lag_seconds",
            "How far behind the clock the log has been applied; no silence is announced beyond that.",
            registry=registry,
        )
        self.sweep_seconds = Histogram(
            "customer_timeline_sweep_seconds",
            "Time of one round of the sweeper.",
            buckets=_STEP_BUCKETS,
            registry=registry,
        )

    def applied(self, outcome: Applied, records: int) -> None:
        """Count one committed batch."""
        self.batches.inc()
        self.events.inc(outcome.events)
        self.duplicates.inc(outcome.duplicates)
        self.replaced.inc(outcome.replaced)
        self.customers.inc(outcome.customers)
        self.batch_events.observe(records)
        self.storage_up.set(1)
        for reason, count in outcome.dead_letters.items():
            self.dead_letters.labels(str(reason)).inc(count)
        for step, seconds in outcome.step_seconds.items():
            self.step_seconds.labels(step).observe(seconds)
