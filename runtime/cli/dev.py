"""`customer-timeline dev`: the whole stack on this machine, with nothing installed but Python."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from customer_timeline.runtime.interrupts import Interrupted, interruptible

if TYPE_CHECKING:
    from customer_timeline.runtime.stack import Addresses, DevStack

_LOOK_EVERY_S = 0.2


def register(app: typer.Typer) -> None:
    """Add the command `dev`."""
    app.command("dev")(dev)


def dev(
    data: Path | None = typer.Option(None, "--data", help="Folder that keeps everything; else it is thrown away."),
    workers: int = typer.Option(1, "--workers", min=0, max=16, help="Worker processes."),
    ready_file: Path | None = typer.Option(None, "--ready-file", help="Written with the addresses when all is ready."),
    api_port: int = typer.Option(0, "--api-port", min=0, max=65535, help="0: any free port."),
    kafka_port: int = typer.Option(0, "--kafka-port", min=0, max=65535, help="0: any free port."),
    postgres_port: int = typer.Option(0, "--postgres-port", min=0, max=65535, help="0: any free port."),
    api_workers: int = typer.Option(1, "--api-workers", min=1, max=16, help="Processes of the API."),
) -> None:
    """Start Kafka, Postgres, workers and the API for development; stop them all with Ctrl-C."""
    from customer_timeline.runtime.stack import DevStack, StackOptions

    forget(ready_file)
    options = StackOptions(
        data_dir=data,
        workers=workers,
        api_workers=api_workers,
        api_port=api_port,
        kafka_port=kafka_port,
        postgres_port=postgres_port,
    )
    try:
        with interruptible(), DevStack(options, say=tell) as stack:
            show_box(stack.addresses, stack.data_dir, kept=data is not None)
            stay(stack, ready_file)
    except Interrupted:
        tell("stopped")


def stay(stack: DevStack, ready_file: Path | None) -> None:
    """Say that all is ready, and look after the children until interrupted."""
    from customer_timeline.runtime.stack import write_ready_file

    try:
        if ready_file is not None:
            write_ready_file(ready_file, stack.addresses)
        while True:
            time.sleep(_LOOK_EVERY_S)
            stack.supervise()
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def forget(ready_file: Path | None) -> None:
    """Whoever waits for the file must not find that of a stack that was killed."""
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)


def tell(message: str) -> None:
    """One line for the person at the terminal."""
    typer.echo(f"customer-timeline: {message}", err=True)


def show_box(addresses: Addresses, data_dir: Path, *, kept: bool) -> None:
    """Print where everything is."""
    from rich import box
    from rich.console import Console
    from rich.panel import Panel

    lines = [
        f"API        {addresses.api_url}   documentation {addresses.api_url}/docs",
        f"Kafka      {addresses.kafka_bootstrap}",
        f"Postgres   {addresses.database_url}",
        f"Data       {data_dir}{'' if kept else '   (thrown away at the end)'}",
        "",
        "Point every other command here:",
        f"  export CUSTOMER_TIMELINE_API_URL={addresses.api_url}",
        f"  export CUSTOMER_TIMELINE_KAFKA_BOOTSTRAP={addresses.kafka_bootstrap}",
        f"  export CUSTOMER_TIMELINE_DATABASE_URL={addresses.database_url}",
    ]
    title = "customer-timeline: development server, not for production"
    width = max(len(line) for line in [*lines, title]) + 6
    console = Console(highlight=False, markup=False, width=width)
    console.print(Panel("\n".join(lines), title=title, box=box.ROUNDED, width=width, title_align="left"))
