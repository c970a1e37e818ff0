"""`customer-timeline demo`: the stack with customers in it."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from customer_timeline.runtime.interrupts import Interrupted, interruptible

if TYPE_CHECKING:
    from customer_timeline.runtime.demo import Plan
    from customer_timeline.runtime.stack import DevStack


def register(app: typer.Typer) -> None:
    """Add the command `demo`."""
    app.command("demo")(demo)


def demo(
    customers: int = typer.Option(200, "--customers", min=0, max=100_000, help="Others beside the stories' people."),
    days: int = typer.Option(365, "--days", min=1, max=3650, help="How far the others' histories reach back."),
    seed: int = typer.Option(1, "--seed", help="The same seed gives the same lives."),
    once: bool = typer.Option(False, "--once", help="Print and exit instead of staying."),
    data: Path | None = typer.Option(None, "--data", help="Folder that keeps everything; else it is thrown away."),
    workers: int = typer.Option(1, "--workers", min=1, max=16, help="Worker processes."),
    ready_file: Path | None = typer.Option(None, "--ready-file", help="Written with the addresses when all is ready."),
) -> None:
    """Start the whole stack with invented customers and the CDNOW purchases, and show those worth a look."""
    from customer_timeline.runtime.cli.dev import forget, show_box, stay, tell
    from customer_timeline.runtime.clock import SystemClock
    from customer_timeline.runtime.demo import Plan, remembered
    from customer_timeline.runtime.stack import DevStack, StackOptions

    started = time.monotonic()
    forget(ready_file)
    # Yesterday's end: every history is over, and two demos of one day are the same.
    until = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1)
    plan = remembered(data, Plan(customers, days, seed, until))
    tell("starting Kafka, Postgres, the worker and the API")
    try:
        with interruptible(), DevStack(StackOptions(data_dir=data, workers=workers), say=tell) as stack:
            _fill(stack, plan, started)
            if not once:
                show_box(stack.addresses, stack.data_dir, kept=data is not None)
                stay(stack, ready_file)
    except Interrupted:
        tell("stopped")


def _fill(stack: DevStack, plan: Plan, started: float) -> None:
    from customer_timeline.runtime.cli.dev import tell
    from customer_timeline.runtime.demo import DemoError, fill, wait_projected

    tell(f"ready after {time.monotonic() - started:.1f} s; publishing touchpoints")
    last = fill(stack.settings, plan)
    try:
        wait_projected(stack.settings, last, stack.supervise)
    except DemoError as exc:
        raise DemoError(f"{exc} {stack.last_words()}") from exc
    _show(stack, started)


def _show(stack: DevStack, started: float) -> None:
    from rich.console import Console

    from customer_timeline.runtime.demo import customer_url, told
    from customer_timeline.runtime.personas import HIGHLIGHTS
    from customer_timeline.runtime.stories import story

    console = Console(highlight=False, markup=False, soft_wrap=True)
    refs = dict.fromkeys(ref for highlight in HIGHLIGHTS for ref in (highlight.ref, *highlight.beside))
    answers = {ref: told(stack.settings, ref) for ref in refs}
    took_s = time.monotonic() - started
    first = HIGHLIGHTS[0].ref
    console.print(f"What the API answers for {first}:")
    console.print(json.dumps(answers[first].customer, indent=2, ensure_ascii=False))
    console.print(f"\n{len(HIGHLIGHTS)} customers worth a look ({took_s:.1f} s after the start):\n")
    for highlight in HIGHLIGHTS:
        console.print(f"{highlight.title}: {highlight.why}.", style="bold")
        for line in story(answers[highlight.ref], [answers[ref] for ref in highlight.beside]):
            console.print(f"  {line}")
        console.print()
    console.print("Ask yourself; /timeline?limit=20 and /lifecycle lead on from each:")
    for highlight in HIGHLIGHTS:
        console.print(f"  curl -s '{customer_url(stack.settings, highlight.ref)}'")
