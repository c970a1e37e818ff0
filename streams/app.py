"""The Faust app of projector and sweeper. `customer-timeline worker` and `faust -A …` run the same app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import faust
from faust.app.base import BootStrategy
from prometheus_client import CollectorRegistry

from customer_timeline.projections.journal import Observer
from customer_timeline.projections.operations import OperationsStore
from customer_timeline.projections.postgres.journal import PostgresJournal
from customer_timeline.projections.postgres.partial_builder import PartialBuilder
from customer_timeline.projections.postgres.sweep_store import SweepStore
from customer_timeline.schemas.codec import Codec
from customer_timeline.streams.consumer import ProjectorConfig
from customer_timeline.streams.metrics import ProjectorMetrics
from customer_timeline.streams.operations import Operations, OperationsConfig
from customer_timeline.streams.projector import Projector
from customer_timeline.streams.retention import Keeper, Retention
from customer_timeline.streams.sweeper import Sweeper, SweeperConfig
from customer_timeline.streams.topic_identity import TopicIdentity


class _OwnConsumerOnly(BootStrategy):
    """No consumer or producer of Faust's own while there are no agents: they would have nothing to subscribe to."""

    enable_kafka = False
    enable_web = False


class WorkerApp(faust.App):
    """The Faust app of a worker; `projector_service` is there once it has started."""

    BootStrategy = _OwnConsumerOnly
    projector_service: Projector

    def _create_directories(self) -> None:
        """None: they would hold tables, and the app has none."""


@dataclass(frozen=True, kw_only=True)
class WorkerParts:
    """What a worker is made of; nothing is made, or connects, before the app starts.

    `journal` makes the worker's journal for its observer, `sweeps` the sweeper's store, `partials` its builder of
    partial states, given what to call between two events, `operations` where operators' decisions stand and who applies
    them, `keeper` what exports old dead letters, where that is wanted. `now_us`: microseconds since 1970.
    """

    config: ProjectorConfig
    codec: Codec
    journal: Callable[[Observer], PostgresJournal]
    sweeps: Callable[[], SweepStore]
    partials: Callable[[Callable[[], object]], PartialBuilder]
    operations: Callable[[Observer], tuple[OperationsConfig, OperationsStore]]
    keeper: Callable[[Observer], Keeper | None]
    now_us: Callable[[], int]
    observer: Observer = lambda step: None


Metrics = Callable[[], ProjectorMetrics]


def create_app(parts: WorkerParts, *, registry: CollectorRegistry, sweeping: bool = True) -> WorkerApp:
    """Build the app; nothing connects before it starts. Without `sweeping` the app has the projector only.

    The app has no agents, tables or web server: Faust gives the process its life cycle, and later the agents on the
    low-rate topic `customer.changes`. `app.projector_service` is set once it starts.
    """
    config = parts.config
    app = WorkerApp(
        f"{config.group}-app",
        broker=f"kafka://{config.bootstrap}",
        web_enabled=False,
        topic_disable_leader=True,
        autodiscover=False,
        broker_session_timeout=config.session_timeout_ms / 1000,
        broker_heartbeat_interval=config.session_timeout_ms / 3000,
    )
    # Made with the first service: `faust -A` builds the app twice and starts one of them.
    metrics = cache(lambda: ProjectorMetrics(registry))
    _add_projector(app, parts, metrics)
    if sweeping:
        _add_sweeper(app, parts, metrics)
        _add_operations(app, parts, metrics)
        _add_retention(app, parts, metrics)
    return app


def _add_projector(app: WorkerApp, parts: WorkerParts, metrics: Metrics) -> None:
    @app.service
    class WorkerProjector(Projector):
        """The projector, as a service of this app."""

        def __init__(self, **kwargs: object) -> None:
            super().__init__(
                parts.config,
                parts.codec,
                parts.journal(parts.observer),
                metrics(),
                TopicIdentity(parts.config.bootstrap, parts.config.topic),
                observer=parts.observer,
                **kwargs,
            )
            app.projector_service = self


def _add_sweeper(app: WorkerApp, parts: WorkerParts, metrics: Metrics) -> None:
    @app.service
    class WorkerSweeper(Sweeper):
        """The sweeper, as a service of this app."""

        def __init__(self, **kwargs: object) -> None:
            what = SweeperConfig(parts.config.topic, lambda: app.projector_service.partitions)
            # Whoever builds lets the writer of a batch compute first.
            builder = parts.partials(lambda: app.projector_service.let_first())
            super().__init__(what, parts.sweeps(), builder, metrics(), parts.now_us, **kwargs)


def _add_operations(app: WorkerApp, parts: WorkerParts, metrics: Metrics) -> None:
    @app.service
    class WorkerOperations(Operations):
        """What applies operators' decisions, as a service of this app."""

        def __init__(self, **kwargs: object) -> None:
            where, store = parts.operations(parts.observer)
            super().__init__(where, store, metrics(), **kwargs)


def _add_retention(app: WorkerApp, parts: WorkerParts, metrics: Metrics) -> None:
    @app.service
    class WorkerRetention(Retention):
        """What has old dead letters exported and removed, as a service of this app."""

        def __init__(self, **kwargs: object) -> None:
            super().__init__(parts.keeper(parts.observer), metrics(), **kwargs)
