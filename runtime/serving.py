"""The API as a server process: builds the application from the environment, for each process that granian starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from customer_timeline.runtime.embedded.ports import free_port
from customer_timeline.runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def application() -> FastAPI:
    """The application, wired from the environment. Called once in every process of the server."""
    from customer_timeline.api.app import create_app
    from customer_timeline.api.config import ApiConfig
    from customer_timeline.api.listening import is_loopback
    from customer_timeline.runtime import migrate, wiring
    from customer_timeline.runtime.clock import SystemClock
    from customer_timeline.runtime.lag import LagProbe
    from customer_timeline.runtime.telemetry import configure_logging

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)

    def pending() -> list[str]:
        found = migrate.pending(settings.database_url.get_secret_value(), settings.database_schema)
        return [migration.name for migration in found]

    config = ApiConfig(
        identifiers=wiring.identifier_space(settings),
        projection=wiring.customer_projection(settings),
        lag_probe=LagProbe(settings, SystemClock()),
        migrations_probe=pending,
        local_only=is_loopback(settings.api_host),
    )
    return create_app(wiring.reader(settings), config)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. `settings` must be what the environment says: the processes read that.

    Raises ListeningRefusedError for an address beyond loopback that nobody called meant.
    """
    from granian import Granian
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels

    from customer_timeline.api.listening import check_listening

    check_listening(settings.api_host, insecure=settings.api_insecure)
    port = settings.api_port or free_port()
    structlog.get_logger(__name__).info("listening", url=f"http://{settings.api_host}:{port}")
    server: Any = Granian(
        f"{__name__}:application",
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
    server.serve()
