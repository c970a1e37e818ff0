"""`customer-timeline api`: serve the API."""

from __future__ import annotations

import os

import typer

from customer_timeline.runtime.settings import PREFIX, load_settings


def register(app: typer.Typer) -> None:
    """Add the command `api`."""
    app.command("api")(api_command)


def api_command(
    host: str = typer.Option(None, help="Address to listen on; default: setting API_HOST."),
    port: int = typer.Option(None, min=0, max=65_535, help="Port; default: setting API_PORT."),
    workers: int = typer.Option(None, min=1, max=64, help="Processes; default: setting API_WORKERS."),
    insecure: bool = typer.Option(
        False, "--insecure", help="Listen beyond loopback although nobody is asked for a key."
    ),
) -> None:
    """Serve the API until interrupted."""
    from customer_timeline.runtime.serving import serve
    from customer_timeline.runtime.telemetry import configure_logging

    given = {"API_HOST": host, "API_PORT": port, "API_WORKERS": workers, "API_INSECURE": True if insecure else None}
    # The worker processes read the environment, so options go there.
    os.environ.update({PREFIX + name: str(value) for name, value in given.items() if value is not None})
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    serve(settings)
