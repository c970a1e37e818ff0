"""`customer-timeline worker`: take the log into Postgres, until stopped."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from customer_timeline.runtime.settings import Settings, load_settings


def register(app: typer.Typer) -> None:
    """Add the command `worker`."""
    app.command("worker")(worker)


def worker(
    instance: str | None = typer.Option(None, "--instance", help="Name of this worker, unique in its group."),
    metrics_port: int | None = typer.Option(None, "--metrics-port", help="Port of Prometheus metrics."),
    filling: bool = typer.Option(False, "--filling", hidden=True, help="For `rebuild start`: no sweeper."),
    finishing: str | None = typer.Option(None, "--finishing", hidden=True, help="For `rebuild start`: 0/2 of all."),
    namespace: int | None = typer.Option(None, "--namespace", hidden=True, help="For `rebuild start`: schema by oid."),
) -> None:
    """Run one worker: it shares the partitions with the others of its group, and stops cleanly on Ctrl-C or SIGTERM."""
    from customer_timeline.runtime.telemetry import configure_logging

    given = {"worker_instance_id": instance, "metrics_port": metrics_port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging(settings.log_level, settings.log_format)
    if finishing is not None:
        finish(settings, finishing)
        _leave(0)
    code = run_worker(settings, filling=filling, namespace=namespace)
    if filling:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End this process as it is: it has closed what it had open, and `rebuild start` waits for it.

    Taking down an interpreter with hundreds of megabytes of facts, object by object, takes the better part of a second.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def finish(settings: Settings, share: str) -> None:
    """Put together the facts of one of several equal shares of all customers, such as 0/2."""
    from customer_timeline.runtime import wiring
    from customer_timeline.streams import interpreter

    interpreter.settle()
    number, _, count = share.partition("/")
    wiring.finishing(settings).write(int(number), int(count), lambda done: print(done, flush=True))


def run_worker(settings: Settings, *, filling: bool = False, namespace: int | None = None) -> int:
    """Run until stopped; `filling` and `namespace`: see `build_app`.

    Returns the exit code: 0 stopped on request, 1 refuses to go on (the log says why).
    """
    import faust
    from prometheus_client import CollectorRegistry, start_http_server

    from customer_timeline.runtime import wiring
    from customer_timeline.runtime.worker import build_app
    from customer_timeline.streams.topic_setup import ensure_topics

    ensure_topics(settings.kafka_bootstrap, wiring.topics(settings))
    registry = CollectorRegistry()
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, addr=settings.metrics_host, registry=registry)
    app = build_app(settings, registry, filling=filling, namespace=namespace)

    class Process(faust.Worker):
        """A Faust worker that ends when its services have."""

        async def _sentinel_task(self) -> None:
            """Nothing to wait for any more: the inherited one sleeps a second before the loop is closed."""

    process = Process(app, loglevel="WARNING", quiet=True, override_logging=False, redirect_stdouts=False)
    process.spinner = None  # it would print terminal codes between the log lines
    try:
        process.execute_from_commandline()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
        return 1 if app.projector_service.failure is not None else code
    return 0
