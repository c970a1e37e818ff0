"""The API as processes: granian in front, one application per process, built there from the environment."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.errors import CustomerTimelineError

if TYPE_CHECKING:
    from fastapi import FastAPI


_PR_SET_PDEATHSIG = 1
# No setting: those are checked for unknown names.
_SERVER_PID = "TIMELINE_API_SERVER_PID"


class ApiExtraMissingError(CustomerTimelineError):
    """The packages that serve the API are optional."""

    def __init__(self) -> None:
        super().__init__("The API needs further packages: pip install 'customer-timeline[api]'.")


def application() -> FastAPI:
    """The application, wired from the environment. Called once in every process of the server."""
    from customer_timeline.api.app import create_app
    from customer_timeline.api.config import ApiConfig
    from customer_timeline.api.listening import is_loopback
    from customer_timeline.runtime import migrate, wiring
    from customer_timeline.runtime.clock import SystemClock
    from customer_timeline.runtime.lag import LagProbe
    from customer_timeline.runtime.telemetry import configure_logging
    from customer_timeline.schemas.decoded import to_micros

    _end_with_the_server()
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    clock = SystemClock()

    def pending() -> list[str]:
        found = migrate.pending(settings.database_url.get_secret_value(), settings.database_schema)
        return [migration.name for migration in found]

    config = ApiConfig(
        identifiers=wiring.identifier_space(settings),
        projection=wiring.customer_projection(settings),
        topic=settings.touchpoints_topic,
        now_us=lambda: to_micros(clock.now()),
        rules=settings.stages,
        alive=settings.alive,
        lag_probe=LagProbe(settings, clock),
        migrations_probe=pending,
        local_only=is_loopback(settings.api_host),
        ready_max_lag_s=settings.ready_max_lag_s,
        dead_letters_warn_above=settings.dead_letters_warn_above,
        dead_letters_oldest_days=settings.dead_letters_keep_days if settings.dead_letters_export_dir else None,
    )
    return create_app(*wiring.serving_readers(settings), config)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. `settings` must be what the environment says: the processes read that.

    Raises ListeningRefusedError for an address beyond loopback that nobody called meant.
    """
    try:
        from granian.constants import Interfaces, Loops
        from granian.log import LogLevels
        from granian.server import Server

        from customer_timeline.api.listening import check_listening
    except ImportError as exc:
        raise ApiExtraMissingError from exc
    import structlog

    from customer_timeline.runtime.embedded.ports import free_port

    check_listening(settings.api_host, insecure=settings.api_insecure)
    port = settings.api_port or free_port()
    structlog.get_logger(__name__).info("listening", url=f"http://{settings.api_host}:{port}")
    server: Any = Server(
        f"{__name__}:{application.__name__}",
        factory=True,
        address=settings.api_host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.auto,
        workers=settings.api_workers,
        websockets=False,
        # Its messages go where ours go; its access log would hold paths, and paths hold identifiers.
        log_level=LogLevels.warning,
        log_dictconfig={"loggers": {"_granian": {"propagate": True}}, "handlers": {}, "formatters": {}},
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    )
    with _shared_metrics():
        os.environ[_SERVER_PID] = str(os.getpid())
        server.serve()


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder through which the processes add up their metrics: a scrape reaches any one of them."""
    folder = tempfile.mkdtemp(prefix="customer-timeline-metrics-")
    # prometheus_client reads it when it is first imported, which is in the processes that serve.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_the_server() -> None:
    # Were the server killed, this process would keep its port and serve on.
    server = os.environ.get(_SERVER_PID)
    if server is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(server):
        sys.exit(1)
