"""The JSON Schemas of whole events, one a type, and the promise that a released one never changes.

`customer-timeline schema export` writes them to `schemas/json/`; a test compares those files with the models, and
fails when one that `released.json` names demands something else, for then events that are in logs already, or
producers in the field, would be refused: give the type a new version and an upcaster instead. Pure: texts only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.envelope import event_model
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.personal import personal_paths
from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.upcasters import UPCASTERS, Upcasters

RELEASED_FILE: Final = "released.json"
"""File name to contract hash of every released schema."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# What may be written better after a release: it demands nothing.
_PROSE: Final = frozenset({"description", "examples", "title", "x-personal"})


class ReleasedSchemaChanged(CustomerTimelineError):  # noqa: N818 - named as the codebase names its verdicts
    """A schema that was released demands something else now: `type_names`."""

    def __init__(self, type_names: Sequence[str]) -> None:
        self.type_names = tuple(type_names)
        super().__init__(
            f"released schemas changed: {', '.join(type_names)}. Events of these types are in logs already: "
            "undo the change, or give the type a new version and an upcaster"
        )


class _Generator(GenerateJsonSchema):
    """Without the titles that pydantic makes of field names: they say nothing that the names do not."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(data: type[TouchpointData]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of whole events whose data is `data`, with an example and the personal fields."""
    schema = event_model(data).model_json_schema(mode="validation", schema_generator=_Generator)
    return {
        "$schema": _DIALECT,
        **schema,
        "title": data.type_name,
        "examples": [example_event(data)],
        "x-personal": sorted(f"data.{path}" for path in personal_paths(data)),
    }


def example_event(data: type[TouchpointData]) -> dict[str, Any]:
    """A valid event of the type, as JSON values."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "0198c2a4-5b7e-7a10-8c3f-2f6d9b1e4a55",
        "source": "/example/shop",
        "type": data.type_name,
        "time": "2026-01-31T09:30:00Z",
        "data": dict(data.example),
    }
    return {**event, "revision": data.least_revision} if data.least_revision else event


def schema_texts(
    catalogue: Mapping[str, type[TouchpointData]] = CATALOGUE, upcasters: Upcasters = UPCASTERS
) -> dict[str, str]:
    """File name to text, of every type and of every old version that is still read."""
    models = {**catalogue, **{step.old.type_name: step.old for step in upcasters}}
    return {f"{name}.json": as_text(json_schema(model)) for name, model in sorted(models.items())}


def contract_hash(schema_text: str) -> str:
    """SHA-256 of what a schema demands; descriptions and examples are left out."""
    return hashlib.sha256(as_text(_without_prose(json.loads(schema_text))).encode()).hexdigest()


def check_released(texts: Mapping[str, str], released: Mapping[str, str]) -> None:
    """Raise ReleasedSchemaChanged where a released schema is gone or demands something else."""
    changed = [name for name, sha in released.items() if name not in texts or contract_hash(texts[name]) != sha]
    if changed:
        raise ReleasedSchemaChanged(sorted(name.removesuffix(".json") for name in changed))


def as_text(value: Any) -> str:
    """JSON as it is committed: sorted, indented, one line break at the end."""
    # One blank a level: every type repeats the common fields, and deep ones would be a third of indentation.
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _without_prose(value: Any, *, names_fields: bool = False) -> Any:
    if isinstance(value, dict):
        # Under `properties` a key is the name of a field, which may well be `title` or `description`.
        return {
            key: _without_prose(inner, names_fields=not names_fields and key in ("properties", "$defs"))
            for key, inner in value.items()
            if names_fields or key not in _PROSE
        }
    return [_without_prose(inner) for inner in value] if isinstance(value, list) else value
