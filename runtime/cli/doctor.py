"""`customer-timeline doctor`: what is wrong and how to mend it."""

from __future__ import annotations

import json

import typer

from customer_timeline.runtime.settings import load_settings

_MARKS = {"ok": "[green]ok[/green]", "warning": "[yellow]warning[/yellow]", "failed": "[red]failed[/red]"}


def register(app: typer.Typer) -> None:
    """Add the command `doctor`."""
    app.command("doctor")(doctor)


def doctor(as_json: bool = typer.Option(False, "--json", help="One JSON object.")) -> None:
    """Check Python, Kafka, Postgres, topics, migrations, clocks and disk; exit 1 if something failed."""
    from customer_timeline.runtime.clock import SystemClock
    from customer_timeline.runtime.doctor import checked_at, examine, healthy
    from customer_timeline.runtime.interrupts import aside, stoppable
    from customer_timeline.runtime.record_progress import shown_step

    clock = SystemClock()
    settings = load_settings()
    with stoppable("Nothing was changed."), shown_step("examining"):
        findings = aside(lambda: list(examine(settings, clock)))
    if as_json:
        report = {"healthy": healthy(findings), "at": checked_at(clock), "findings": [f._asdict() for f in findings]}
        print(json.dumps(report, indent=2))
    else:
        from rich.console import Console
        from rich.markup import escape

        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(f"{_MARKS[finding.verdict]:<25} {escape(finding.check)}: {escape(finding.found)}")
            if finding.mend:
                console.print(f"{'':<9}→ {escape(finding.mend)}")
    if not healthy(findings):
        raise typer.Exit(1)
