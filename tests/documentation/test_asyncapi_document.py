"""The AsyncAPI document is valid as its authors define it, and what it refers to is what the log holds."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from customer_timeline.producers.delivery import CONTENT_TYPE
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.topics import touchpoints_topic

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "asyncapi.yaml"
OFFICIAL = Path(__file__).parent / "asyncapi" / "3.0.0.json.gz"
SHA256 = "abe96881dbfaad495ccbb6bd8d3fb43ca18a13b9d7564849ccb66f39d5e5b20f"  # ORIGIN.txt beside it

DOCUMENT: dict[str, Any] = yaml.safe_load(PAGE.read_text(encoding="utf-8"))
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]


@pytest.fixture(scope="module")
def official() -> dict[str, Any]:
    text = gzip.decompress(OFFICIAL.read_bytes())
    assert hashlib.sha256(text).hexdigest() == SHA256
    schema: dict[str, Any] = json.loads(text)
    return schema


@pytest.fixture
def generators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `docs` importable: a folder of the repository, not a part of the distribution."""
    monkeypatch.syspath_prepend(str(ROOT))


def _local(reference: str) -> Any:
    """What `#/…` points to."""
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for inner in value.values() for found in _references(inner)]
    return [found for inner in value for found in _references(inner)] if isinstance(value, list) else []


def test_the_document_is_valid_asyncapi_3(official: dict[str, Any]) -> None:
    errors = jsonschema.Draft7Validator(official).iter_errors(DOCUMENT)
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


@pytest.mark.parametrize(
    "broken",
    [
        {"asyncapi": "2.6.0"},
        {"channels": {"touchpoints": {"adress": "touchpoints"}}},
        {"operations": {"take": {"action": "subscribe", "channel": {"$ref": "#/channels/touchpoints"}}}},
    ],
)
def test_the_official_schema_refuses_what_is_none(official: dict[str, Any], broken: dict[str, Any]) -> None:
    assert not jsonschema.Draft7Validator(official).is_valid({**DOCUMENT, **broken})


def test_every_type_is_a_message_of_the_channel() -> None:
    assert list(DOCUMENT["channels"]["touchpoints"]["messages"]) == list(MESSAGES)
    assert sorted(MESSAGES) == sorted(CATALOGUE)
    tags = [tag["name"] for tag in DOCUMENT["info"]["tags"]]
    assert all(tag["name"] in tags for message in MESSAGES.values() for tag in message["tags"])


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(DOCUMENT):
        if reference.startswith("#"):
            assert _local(reference)
        else:
            assert (PAGE.parent / reference).resolve().is_file(), reference


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_tools_that_know_only_the_dialect_of_asyncapi_read_the_payload(official: dict[str, Any], name: str) -> None:
    # AsyncAPI's own dialect is a superset of draft-07, the schemas are written for 2020-12.
    schema = json.loads((PAGE.parent / MESSAGES[name]["payload"]["$ref"]).read_text(encoding="utf-8"))
    dialect = {"$ref": "#/definitions/schema", "definitions": official["definitions"]}
    assert list(jsonschema.Draft7Validator(dialect).iter_errors(schema)) == []
    reader = jsonschema.Draft7Validator({**schema, "$schema": "http://json-schema.org/draft-07/schema#"})
    (example,) = schema["examples"]
    reader.validate(example)
    assert not reader.is_valid({**example, "type": "content.invented.v1"})


def test_records_are_described_as_the_publisher_writes_them() -> None:
    record = DOCUMENT["components"]["messageTraits"]["record"]
    assert record["headers"]["properties"][CONTENT_TYPE[0]]["const"] == CONTENT_TYPE[1].decode()
    assert record["bindings"]["kafka"]["key"]["format"] == "uuid"
    assert all(message["traits"] == [{"$ref": "#/components/messageTraits/record"}] for message in MESSAGES.values())


@pytest.mark.usefixtures("generators")
def test_the_topic_is_described_as_it_is_created() -> None:
    from docs.generators import asyncapi

    settings = Settings(touchpoints_topic="log.of.a.shop", topic_partitions=12, topic_replication=3)
    channel = asyncapi.document(settings)["channels"]["touchpoints"]
    described = channel["bindings"]["kafka"]
    assert channel["address"] == described["topic"] == "log.of.a.shop"
    assert (described["partitions"], described["replicas"]) == (12, 3)
    written = {
        name: value[0] if isinstance(value, list) else str(value)
        for name, value in described["topicConfiguration"].items()
    }
    assert written == dict(touchpoints_topic("log.of.a.shop", 12, 3).config)


@pytest.mark.usefixtures("generators")
def test_every_family_says_its_name_and_what_it_is_about() -> None:
    from docs.generators.families import families

    found = families()
    assert sorted(data.type_name for family in found for data in family.types) == sorted(CATALOGUE)
    assert all(0 < len(family.name) < 30 and family.about.endswith(".") for family in found)
