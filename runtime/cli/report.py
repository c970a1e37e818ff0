"""`customer-timeline report late-events`: what the API answers, without the API."""

from __future__ import annotations

import orjson
import typer

from customer_timeline.api.parameters import LateEventParameters
from customer_timeline.runtime import customer_text
from customer_timeline.runtime.asking import answered, parameters


def register(app: typer.Typer) -> None:
    """Add the commands of `report`."""
    commands = typer.Typer(help="Reports for those who answer for figures.", no_args_is_help=True)
    commands.callback()(lambda: None)
    commands.command("late-events")(late_events_command)
    app.add_typer(commands, name="report")


def late_events_command(
    from_: str = typer.Option(None, "--from", help="Recorded at this instant or later; default: the close."),
    until: str = typer.Option(None, help="Recorded before this instant; default: now."),
    close: str = typer.Option(None, help="Months that ended by then are closed; default: the begin of this month."),
    as_csv: bool = typer.Option(False, "--csv", help="One line a figure."),
    as_json: bool = typer.Option(False, "--json", help="What the API answers."),
) -> None:
    """Show by how much events that were recorded late changed the figures of closed months."""
    named = {"from": from_, "until": until, "close": close, "format": "csv" if as_csv else "json"}
    given = parameters(LateEventParameters, named)
    answer = answered(lambda answering: answering.late_events(given))
    if as_csv or as_json:
        print(answer.body.decode(), end="" if as_csv else "\n")
    else:
        customer_text.print_late_events(orjson.loads(answer.body), customer_text.console())
