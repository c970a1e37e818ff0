"""Wires a worker: settings in, the Faust app with the projector out. `faust -A customer_timeline.runtime.worker:app
worker` and `customer-timeline worker` run the same app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from customer_timeline.projections.journal import Observer
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.runtime.telemetry import configure_logging

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from customer_timeline.streams.app import WorkerApp
    from customer_timeline.streams.consumer import ProjectorConfig


def build_app(
    settings: Settings,
    registry: CollectorRegistry,
    observer: Observer = lambda step: None,
    *,
    filling: bool = False,
    namespace: int | None = None,
) -> WorkerApp:
    """The worker's app for `settings`; nothing connects before it starts.

    `filling`: for a set that nobody reads yet: without a sweeper, and without waiting for the disk at each commit.
    `namespace`: the oid of the schema to work on, whatever it is called; None: the one that the settings name.
    """
    from customer_timeline.projections.postgres.view_set import Place
    from customer_timeline.runtime.clock import SystemClock
    from customer_timeline.schemas.decoded import to_micros
    from customer_timeline.streams.app import WorkerParts, create_app
    from customer_timeline.streams.operations import OperationsConfig

    codec = wiring.codec(settings)
    # One for all: parts that looked the set up at different times could find different ones.
    place = Place(namespace)
    clock = SystemClock()
    parts = WorkerParts(
        config=_projector_config(settings),
        codec=codec,
        journal=lambda observe: wiring.journal(settings, codec, observe, filling=filling, place=place),
        sweeps=lambda: wiring.sweep_store(settings, place),
        partials=lambda between: wiring.partial_builder(settings, codec, between, place),
        operations=lambda observe: (
            OperationsConfig(settings.kafka_bootstrap, settings.operations_topic),
            wiring.operations_journal(settings, codec, place, lambda step: observe(f"operation_{step}")),
        ),
        keeper=lambda observe: wiring.dead_letter_keeper(settings, observe, place),
        now_us=lambda: to_micros(clock.now()),
        observer=observer,
    )
    return create_app(parts, registry=registry, sweeping=not filling)


def _projector_config(settings: Settings) -> ProjectorConfig:
    from customer_timeline.streams.consumer import ProjectorConfig

    return ProjectorConfig(
        bootstrap=settings.kafka_bootstrap,
        topic=settings.touchpoints_topic,
        group=settings.worker_group,
        instance_id=settings.worker_instance_id,
        batch_events=settings.batch_events,
    )


def __getattr__(name: str) -> Any:
    # `faust -A …:app` asks for the attribute; building it at import would read the environment of whoever imports this.
    if name != "app":
        raise AttributeError(name)
    from prometheus_client import REGISTRY

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    return build_app(settings, REGISTRY)
