"""docker-compose.yml is valid, closed to the outside, and speaks of settings that exist. This needs no engine."""

from __future__ import annotations

import copy
import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from customer_timeline.runtime.settings import Settings

PREFIX = "CUSTOMER_TIMELINE_"
Compose = dict[str, Any]


@pytest.fixture(scope="module")
def compose(root: Path) -> Compose:
    loaded = yaml.safe_load((root / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def schema() -> Compose:
    """The Compose Specification's own JSON Schema; the package check-jsonschema carries a copy."""
    package = metadata.distribution("check-jsonschema")
    path = package.locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")
    loaded = json.loads(Path(str(path)).read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_it_follows_the_compose_specification(compose: Compose, schema: Compose) -> None:
    jsonschema.Draft7Validator(schema).validate(compose)


def test_the_schema_would_find_a_slip(compose: Compose, schema: Compose) -> None:
    wrong = copy.deepcopy(compose)
    wrong["services"]["kafka"]["helthcheck"] = wrong["services"]["kafka"].pop("healthcheck")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(wrong)


def test_every_setting_it_sets_exists(compose: Compose) -> None:
    named = {
        name.removeprefix(PREFIX).lower()
        for service in compose["services"].values()
        for name in service.get("environment", {})
        if name.startswith(PREFIX)
    }
    assert named
    assert named <= set(Settings.model_fields)


def test_every_published_port_is_bound_to_loopback(compose: Compose) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_password_or_secret_has_a_default(root: Path) -> None:
    text = (root / "docker-compose.yml").read_text()
    uses = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET)\w*)(.*?)\}", text)
    assert {name for name, _ in uses} == {"POSTGRES_PASSWORD", "CUSTOMER_TIMELINE_IDENTITY_SECRET"}
    assert [name for name, rest in uses if not rest.startswith(":?")] == []


def test_every_lasting_service_has_a_health_check(compose: Compose) -> None:
    lasting = {name for name, service in compose["services"].items() if service["restart"] != "no"}
    assert lasting == {"kafka", "postgres", "worker", "api"}
    assert {name for name in lasting if "healthcheck" not in compose["services"][name]} == set()


def test_nothing_starts_before_what_it_needs(compose: Compose) -> None:
    services = compose["services"]
    assert services["migrate"]["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "postgres": {"condition": "service_healthy"},
    }
    for name in ("worker", "api"):
        assert services[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_data_is_kept_in_named_volumes_where_the_images_write_it(compose: Compose) -> None:
    services = compose["services"]
    assert services["kafka"]["volumes"] == [f"kafka:{services['kafka']['environment']['KAFKA_LOG_DIRS']}"]
    # The official image of Postgres 18 declares its volume here, and not at .../data as before.
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert set(compose["volumes"]) == {"kafka", "postgres"}


def test_images_are_pinned_to_a_version(compose: Compose) -> None:
    assert compose["services"]["kafka"]["image"] == "apache/kafka:4.3.0"
    assert compose["services"]["postgres"]["image"] == "postgres:18"


def test_the_image_runs_as_nobody_in_particular_from_locked_packages(root: Path) -> None:
    text = (root / "Dockerfile").read_text()
    last_stage = text.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER (?!root)\w+$", last_stage, re.MULTILINE)
    assert "--require-hashes -r requirements.lock" in text
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert copied == {"schemas", "projections", "producers", "streams", "api", "runtime"}
    ignore = (root / ".dockerignore").read_text().splitlines()
    assert {f"!{folder}" for folder in copied} <= set(ignore)
