"""Every type of the catalogue can be imported: its example as a row of JSON lines, mapped and published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from table_import import imported

from customer_timeline.producers.tables.mapping import parse_mapping
from customer_timeline.schemas.catalogue import CATALOGUE

CHANGED_AT = "2024-01-31T09:30:00Z"


def leaves(value: Any, target: str) -> Iterator[tuple[str, Any]]:
    """Targets of a mapping and the values that go there. A list of texts is one value, so is an amount of money.

    What an example forgets by a null is left out: an empty cell says nothing, so no table can say it.
    """
    if isinstance(value, dict) and value.keys() != {"amount", "currency"}:
        for name, inner in value.items():
            yield from leaves(inner, f"{target}.{name}" if target else name)
    elif isinstance(value, list) and not all(isinstance(item, str) for item in value):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{target}.{place}")
    elif value is not None:
        yield target, value


def spec(column: str, value: Any) -> dict[str, Any]:
    """How the column is read: by what the value is in JSON."""
    match value:
        case bool():
            return {"column": column, "as": "boolean"}
        case int():
            return {"column": column, "as": "integer"}
        case list():
            return {"column": column, "as": "list"}
        case dict():
            return {"column": f"{column}.amount", "as": "money", "currency_column": f"{column}.currency"}
    return {"column": column}


def inline(fields: dict[str, Any]) -> str:
    """A table of TOML on one line; texts of JSON are texts of TOML."""
    return "{ " + ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in fields.items()) + " }"


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_example_of_every_type_is_published_as_it_stands(name: str) -> None:
    kind = CATALOGUE[name]
    example: dict[str, Any] = json.loads(json.dumps(kind.example))
    identifiers = example.pop("identifiers", [])
    fields = dict(leaves(example, ""))
    who = [{"kind": one["kind"], "value": f"{{who{place}}}"} for place, one in enumerate(identifiers)]
    mapping = parse_mapping(
        "\n".join(
            (
                '[source]\nuri = "shop"\nformat = "jsonl"\n[[event]]',
                f'type = "{name}"\nid = "{{key}}"\nrevision = {kind.least_revision}\ntime = {{ column = "at" }}',
                f"identifiers = [{', '.join(map(inline, who))}]",
                "[event.fields]",
                *(f"{json.dumps(target)} = {inline(spec(target, value))}" for target, value in fields.items()),
            )
        )
    )
    row = {"key": "1", "at": CHANGED_AT, **{f"who{n}": one["value"] for n, one in enumerate(identifiers)}, **fields}

    found = imported(json.dumps(row).encode(), mapping)

    assert found.rejected == []
    (event,) = found.events
    assert (event["type"], event["id"], event["time"]) == (name, "1", CHANGED_AT)
    told = event["data"]
    assert told.pop("identifiers", []) == identifiers
    assert dict(leaves(told, "")) == fields
