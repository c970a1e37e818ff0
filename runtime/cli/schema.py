"""`customer-timeline schema list|show|check|export`: types of events, and whether a file is valid."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent

if TYPE_CHECKING:
    from customer_timeline.schemas.touchpoint import TouchpointData


class UnknownTypeName(CustomerTimelineError):  # noqa: N818 - named as the codebase names its verdicts
    """No type of that name: `name`."""

    exit_code = 2

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no type of event is called {name}: `customer-timeline schema list` shows those there are")


class UnreadableFile(CustomerTimelineError):  # noqa: N818 - named as the codebase names its verdicts
    """A file cannot be read: `path`."""

    exit_code = 2

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be read: {why}")


def register(app: typer.Typer) -> None:
    """Add the group `schema`."""
    group = typer.Typer(no_args_is_help=True)
    group.command("list")(list_types)
    group.command("show")(show)
    group.command("check")(check)
    group.command("export")(export)
    app.add_typer(group, name="schema", help="The types of events: list, show, check a file, export.")


def list_types(as_json: bool = typer.Option(False, "--json", help="One JSON object a line.")) -> None:
    """List the types of events that this version accepts."""
    from customer_timeline.schemas.catalogue import CATALOGUE

    rows = [_summary(data) for data in CATALOGUE.values()]
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    from rich.console import Console
    from rich.table import Column, Table

    # A type is for copying, so it stays whole however narrow the screen is.
    table = Table(Column("Type", no_wrap=True), "Who acts", "Sign of life", "Meaning", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["type"], row["who"], "yes" if row["sign_of_life"] else "", row["meaning"].partition(". ")[0])
    Console(soft_wrap=True).print(table)


def show(
    type_name: str = typer.Argument(..., metavar="TYPE", help="Such as purchase.completed.v1; .v1 may be left out."),
) -> None:
    """Print the JSON Schema of one type, with an example."""
    from customer_timeline.schemas.json_schema import as_text, json_schema

    print(as_text(json_schema(_find(type_name))), end="")


def check(
    file: str = typer.Argument(
        ..., metavar="FILE", help="One event a line, or one JSON document; - is standard input."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a rejected event, and one as summary."),
) -> None:
    """Check every event of a file as the worker would; exit code 1 if any is invalid."""
    from customer_timeline.runtime.clock import SystemClock
    from customer_timeline.runtime.settings import load_settings
    from customer_timeline.runtime.wiring import codec

    reader, now = codec(load_settings()), SystemClock().now()
    checked = invalid = 0
    for line, value in _records(file):
        checked += 1
        try:
            reader.decode(value, appended_at=now)
        except InvalidEvent as error:
            invalid += 1
            _report(line, error, as_json=as_json)
    if as_json:
        print(json.dumps({"checked": checked, "invalid": invalid}))
    else:
        print(f"{checked} checked, {invalid} invalid")
    if invalid:
        raise typer.Exit(1)


def export(
    folder: Path = typer.Argument(Path("schemas/json"), help="Where to write them."),
    release: bool = typer.Option(False, "--release", help="Promise that the present schemas never change again."),
) -> None:
    """Write the JSON Schema of every type to a folder; refuses to change a released one."""
    from customer_timeline.schemas.json_schema import (
        RELEASED_FILE,
        as_text,
        check_released,
        contract_hash,
        schema_texts,
    )

    texts = schema_texts()
    released = read_released(folder)
    check_released(texts, released)
    if release:
        released = {name: contract_hash(text) for name, text in texts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**texts, RELEASED_FILE: as_text(released)}.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


def read_released(folder: Path) -> dict[str, str]:
    """File name to contract hash, of the schemas in `folder` that were released."""
    from customer_timeline.schemas.json_schema import RELEASED_FILE

    path = folder / RELEASED_FILE
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _find(name: str) -> type[TouchpointData]:
    from customer_timeline.schemas.catalogue import CATALOGUE

    versions = [data for full, data in CATALOGUE.items() if full == name or full.rpartition(".")[0] == name]
    if not versions:
        raise UnknownTypeName(name)
    return versions[-1]


def _summary(data: type[TouchpointData]) -> dict[str, Any]:
    return {
        "type": data.type_name,
        "who": "whoever called" if data.who == "direction" else data.who,
        "sign_of_life": data.life,
        "things": [kind for _, kind in data.thing_fields()],
        "continues_thing": data.continues_thing(),
        "meaning": " ".join((data.__doc__ or "").split()),
    }


def _report(line: int, error: InvalidEvent, *, as_json: bool) -> None:
    if as_json:
        told = {
            "line": line,
            "reason": error.reason.value,
            "type": error.type,
            "field": error.field,
            "detail": error.detail,
        }
        print(json.dumps(told))
    else:
        print(f"line {line}: {error}")


def _records(file: str) -> Iterator[tuple[int, bytes]]:
    """(line, bytes) of every event: of every line that is not blank, or of the one document that the file is."""
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as exc:
        raise UnreadableFile(file, exc.strerror or str(exc)) from exc
    lines = content.splitlines()
    first = next((line for line in lines if line.strip()), b"")
    if _is_json(first) and not first.lstrip().startswith(b"["):
        yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    elif _is_json(content):
        yield from _document(content.decode())
    else:
        yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _document(text: str) -> Iterator[tuple[int, bytes]]:
    """The events of one JSON document: itself, or the members of the array that it is, each with its own bytes."""
    decoder = json.JSONDecoder()
    position = len(text) - len(text.lstrip())
    if text[position] != "[":
        yield text.count("\n", 0, position) + 1, text.strip().encode()
        return
    position += 1
    while True:
        while text[position] in " \t\r\n,":
            position += 1
        if text[position] == "]":
            return
        _, end = decoder.raw_decode(text, position)
        yield text.count("\n", 0, position) + 1, text[position:end].encode()
        position = end
