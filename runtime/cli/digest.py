"""`customer-timeline digest`: one hash a table, or a customer, to compare two views of the same log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from pydantic import TypeAdapter, ValidationError

from customer_timeline.projections.digest import FORM, CustomerDigest, ViewDigest
from customer_timeline.projections.instants import rfc3339_or_none
from customer_timeline.projections.postgres.digests import DigestSnapshot, digest_snapshot
from customer_timeline.runtime import wiring
from customer_timeline.runtime.interrupts import aside, stoppable
from customer_timeline.runtime.settings import Settings, load_settings


def register(app: typer.Typer) -> None:
    """Add the command `digest`."""
    app.command("digest")(digest_command)


def digest_command(
    as_of: str = typer.Option(
        None, help="Stage and flags at this instant (2026-03-01T00:00:00Z) instead of at all instants."
    ),
    customers: bool = typer.Option(False, "--customers", help="One digest a customer instead of one a table."),
    customer: str = typer.Option(None, help="The digest of one: any identifier_id ever given out, or kind:value."),
    as_json: bool = typer.Option(
        False, "--json", help="One JSON object; with --customers one more a customer, a line each."
    ),
) -> None:
    """Hash what the view says, to compare it with another view of the same log: equal digests are equal content.

    Covers what must not depend on order, copies, batches and workers, in one snapshot; digests are comparable where the
    positions cover the same events, and `form` and `projection_version` are equal. Exit codes: 0 done, 1 no such
    customer, 2 wrong usage, 3 Postgres is not reachable.
    """
    as_of_us = instant_us(as_of)
    if customers and customer is not None:
        raise typer.BadParameter("--customers lists all, --customer names one: choose.")
    settings = load_settings()
    identifier_id = None if customer is None else _identifier_id(customer, settings)
    with stoppable("Nothing was changed."), _progress() as observe:
        aside(lambda: _print(settings, as_of_us, identifier_id, observe, customers=customers, as_json=as_json))


def _print(
    settings: Settings,
    as_of_us: int | None,
    identifier_id: str | None,
    observe: Callable[[str, int], None],
    *,
    customers: bool,
    as_json: bool,
) -> None:
    with digest_snapshot(
        lambda: wiring.connect(settings, application="customer-timeline digest"), as_of_us, observe
    ) as snapshot:
        if identifier_id is not None:
            _print_customers(snapshot, iter([_one(snapshot, identifier_id)]), as_json)
        elif customers:
            _print_customers(snapshot, snapshot.customers(), as_json)
        else:
            _print_view(snapshot, snapshot.view(), as_json)


def instant_us(text: str | None) -> int | None:
    """An instant of an option in microseconds; None where it was not given. Raises InvalidOptionsError."""
    from customer_timeline.api.parameters import Instant
    from customer_timeline.runtime.asking import InvalidOptionsError

    try:
        return None if text is None else TypeAdapter[int](Instant).validate_python(text)
    except ValidationError as exc:
        told = exc.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidOptionsError(f"Not valid: --as-of: {told}.") from exc


def _identifier_id(reference: str, settings: Settings) -> str:
    from customer_timeline.api.references import identifier_id_of

    return identifier_id_of(reference, wiring.identifier_space(settings))


def _one(snapshot: DigestSnapshot, identifier_id: str) -> CustomerDigest:
    from customer_timeline.api.answering import UnknownCustomerError

    found = snapshot.customer(identifier_id)
    if found is None:
        raise UnknownCustomerError(at_a_cut=False)
    return found


def _head(snapshot: DigestSnapshot) -> dict[str, object]:
    return {
        "form": FORM,
        "projection_version": snapshot.projection_version,
        "as_of": rfc3339_or_none(snapshot.as_of_us),
        "positions": [
            {"topic": topic, "partition": part, "next_offset": offset}
            for (topic, part), offset in snapshot.positions.items()
        ],
    }


def _print_view(snapshot: DigestSnapshot, view: ViewDigest, as_json: bool) -> None:
    if as_json:
        tables = {table: found._asdict() for table, found in view.tables.items()}
        print(json.dumps({**_head(snapshot), "tables": tables, "sha256": view.sha256}))
        return
    for table, found in view.tables.items():
        print(f"{table:<12} {found.sha256}  {found.rows:>12,} rows")
    print(f"{'all':<12} {view.sha256}")
    _print_head(snapshot)


def _print_customers(snapshot: DigestSnapshot, found: Iterator[CustomerDigest], as_json: bool) -> None:
    if as_json:
        print(json.dumps(_head(snapshot)))
    for one in found:
        print(json.dumps(one._asdict()) if as_json else f"{one.customer_id}  {one.sha256}  {one.rows:>8,} rows")
    if not as_json:
        _print_head(snapshot)


def _print_head(snapshot: DigestSnapshot) -> None:
    at = rfc3339_or_none(snapshot.as_of_us) or "all instants"
    print(f"form {FORM}, projection {snapshot.projection_version or '(no worker has written yet)'}, stages at {at}")
    for (topic, part), offset in snapshot.positions.items():
        print(f"applied      {topic}/{part} up to {offset:,}")


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Rows read so far, on stderr while it is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda table, rows: None
        return
    read: dict[str, int] = {}
    with console.status("reading") as status:

        def observe(table: str, rows: int) -> None:
            read[table] = read.get(table, 0) + rows
            status.update(f"{table}: {read[table]:,} rows")

        yield observe
