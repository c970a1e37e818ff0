"""The committed JSON Schemas are those of the models, accept what the codec accepts, never change once released."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from sample_records import CODEC, as_bytes, event, with_data
from strategies import event_json

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.json_schema import (
    RELEASED_FILE,
    ReleasedSchemaChanged,
    as_text,
    check_released,
    contract_hash,
    json_schema,
    schema_texts,
)

FOLDER = Path(__file__).parents[2] / "schemas" / "json"
TEXTS = schema_texts()
SCHEMAS: dict[str, dict[str, Any]] = {name: json.loads(TEXTS[f"{name}.json"]) for name in CATALOGUE}
VALIDATORS = {name: jsonschema.Draft202012Validator(schema) for name, schema in SCHEMAS.items()}


def test_the_committed_schemas_are_those_of_the_models() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    released = committed.pop(RELEASED_FILE)
    assert committed == TEXTS, "write them again: customer-timeline schema export"
    check_released(TEXTS, json.loads(released))


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_each_schema_is_valid_and_accepts_its_example(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    VALIDATORS[name].validate(event(name))
    assert SCHEMAS[name]["examples"] == [event(name)]


@given(event_json())
def test_what_the_codec_accepts_and_writes_the_schema_accepts(record: dict[str, Any]) -> None:
    validator = VALIDATORS[record["type"]]
    validator.validate(record)
    validator.validate(json.loads(CODEC.encode(CODEC.parse(as_bytes(record)))))


@pytest.mark.parametrize(
    "record",
    [
        with_data("purchase.completed.v1", total={"amount": 12.5, "currency": "EUR"}),
        with_data("purchase.completed.v1", total={"amount": "12.5", "currency": "eur"}),
        with_data("purchase.completed.v1", total={"amount": "-12.5", "currency": "EUR"}),
        with_data("purchase.completed.v1", colour="red"),
        with_data("purchase.completed.v1", channel=...),
        with_data("purchase.completed.v1", order_id=" o-1"),
        event("purchase.completed.v1", specversion="0.3"),
        event("purchase.completed.v1", source="a b"),
        event("purchase.completed.v1", revision=-1),
        event("purchase.completed.v1", colour="red"),
        event("purchase.completed.v1", type="page.viewed.v1"),
    ],
)
def test_what_the_codec_refuses_by_its_shape_the_schema_refuses(record: dict[str, Any]) -> None:
    assert not VALIDATORS["purchase.completed.v1"].is_valid(record)


def test_personal_fields_are_named_in_the_schema() -> None:
    assert SCHEMAS["page.viewed.v1"]["x-personal"] == [
        "data.attributes",
        "data.identifiers[].value",
        "data.location.lat",
        "data.location.lon",
        "data.referrer",
        "data.url",
    ]


def _changed(edit: Any) -> dict[str, str]:
    schema = json_schema(CATALOGUE["page.viewed.v1"])
    edit(schema)
    return {"page.viewed.v1.json": as_text(schema)}


RELEASED = {"page.viewed.v1.json": contract_hash(TEXTS["page.viewed.v1.json"])}


@pytest.mark.parametrize(
    "edit",
    [
        lambda schema: schema["$defs"]["PageViewed"]["properties"].pop("title"),
        lambda schema: schema["$defs"]["PageViewed"]["properties"].update(description={"type": "string"}),
        lambda schema: schema["$defs"]["PageViewed"]["required"].remove("url"),
        lambda schema: schema["$defs"]["IdentifierRef"]["properties"]["value"].update(maxLength=10),
        lambda schema: schema.update(additionalProperties=True),
    ],
)
def test_a_released_schema_that_demands_something_else_is_told_by_its_type(edit: Any) -> None:
    with pytest.raises(ReleasedSchemaChanged, match=r"page\.viewed\.v1\b.*upcaster"):
        check_released(_changed(edit), RELEASED)


def test_a_released_schema_that_is_gone_is_told() -> None:
    with pytest.raises(ReleasedSchemaChanged):
        check_released({}, RELEASED)


@pytest.mark.parametrize(
    "edit",
    [
        lambda schema: schema.update(description="Better words.", examples=[]),
        lambda schema: schema["$defs"]["IdentifierRef"].update(description="Better words."),
    ],
)
def test_descriptions_may_be_improved_after_the_release(edit: Any) -> None:
    check_released(_changed(edit), RELEASED)
