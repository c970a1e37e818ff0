"""What a command is at, on stderr while that is a terminal: how many records are done, or what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_records(what: str, total: int | None) -> Iterator[Callable[[int], object]]:
    """Call what it gives with the number of records that are done more; without a terminal nothing is shown.

    `total`: None where nobody knows.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} records"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


@contextmanager
def shown_percent(what: str) -> Iterator[Callable[[float], object]]:
    """Call what it gives with how much is done, in percent; without a terminal nothing is shown."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=100)
        yield lambda percent: bar.update(task, completed=percent)


@contextmanager
def shown_step(what: str) -> Iterator[None]:
    """Within it stderr says what is done and for how many seconds; without a terminal nothing is shown.

    For what has no number to count: a question to Postgres, or waiting for Kafka.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as shown:
        shown.add_task(what, total=None)
        yield
