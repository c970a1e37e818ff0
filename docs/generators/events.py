"""The page of events: envelope, common fields, and family by family every type with its fields and an example."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.envelope import Event
from customer_timeline.schemas.personal import personal_paths
from customer_timeline.schemas.touchpoint import AnyonesTouchpoint, CustomerTouchpoint, Touchpoint, TouchpointData
from docs.generators.families import Family, families
from docs.generators.markdown import page as markdown_page
from docs.generators.markdown import table

INTRODUCTION = """
An event is a CloudEvent 1.0 in structured JSON, one a record, with the content type `application/cloudevents+json`.
Fields that are not listed are refused, except under `attributes`. Amounts and other decimals are strings, instants
are RFC 3339 with a zone, dates are `YYYY-MM-DD`. A field marked *personal* says something about a person: it stays
out of logs; where only parts of a field are, they are named. Ids of things (`order_id`, `case_id`, `contract_id`,
`opportunity_id`, `followup_id`) are unique in the company: put the system that issued them in front, as in
`shopify:1001`.

*Sign of life* means that the customer did it on purpose, so that it counts for "last seen": never where `automated`
is true, nor where `actor` says that somebody else acted. Types that are not in this list are refused as
`unknown_type`.
"""

_WHO = {
    "customer": "the customer",
    "company": "the company",
    "system": "a system or third party",
    "direction": "the customer if `direction` is inbound, else the company",
}
_SHORT_WHO = {"customer": "customer", "company": "company", "system": "system", "direction": "who called"}


def _type_text(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return _object_text(definitions[name], definitions)
    if "anyOf" in schema:
        options = [_type_text(option, definitions) for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(options))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type_text(schema.get('items', {}), definitions)}"
    return _scalar_text(schema)


def _object_text(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "properties" not in schema:
        return _type_text(schema, definitions)
    required = schema.get("required", [])
    return "{" + ", ".join(key if key in required else f"{key}?" for key in schema["properties"]) + "}"


def _scalar_text(schema: dict[str, Any]) -> str:
    if schema.get("type") == "integer" and schema.get("maximum", 1000) < 1000:
        return f"integer {schema.get('minimum', 0)} to {schema['maximum']}"
    if schema.get("pattern", "").lstrip("^-?").startswith("[0-9]{1,15}"):
        return "decimal string"
    names = {"date-time": "instant", "date": "date", "string": "text"}
    kind = str(schema.get("format") or schema.get("type") or "any JSON value")
    return names.get(kind, kind)


def _personal_text(paths: Iterable[str], name: str) -> str:
    """Whether the field is personal, or which parts of it are."""
    mine = [path.replace("[]", "").split(".") for path in paths if path.replace("[]", "").split(".")[0] == name]
    parts = sorted({path[1] for path in mine if len(path) > 1})
    return f"personal: {', '.join(parts)}" if parts else "personal" if mine else ""


def _field_rows(model: type[BaseModel], names: list[str]) -> list[tuple[str, str, str, str]]:
    schema = model.model_json_schema()
    personal = personal_paths(model) if issubclass(model, TouchpointData) else frozenset()
    definitions = schema.get("$defs", {})
    return [
        (
            f"`{name}`" if name in schema.get("required", []) else f"`{name}`?",
            _type_text(schema["properties"][name], definitions),
            _personal_text(personal, name),
            model.model_fields[name].description or "",
        )
        for name in names
    ]


def _fields(model: type[BaseModel], names: list[str]) -> str:
    return table(("field (? = optional)", "value", "", "meaning"), _field_rows(model, names))


def _example(data: type[TouchpointData]) -> str:
    """One line a field: short enough to be read, and still JSON."""
    fields = (f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in data.example.items())
    return "```json\n{\n" + ",\n".join(fields) + "\n}\n```"


def _own_fields(data: type[TouchpointData]) -> list[str]:
    """Fields that the type has beyond the common ones, or demands or means otherwise than they do."""
    base: type[TouchpointData] = TouchpointData
    if issubclass(data, Touchpoint):
        base = CustomerTouchpoint if issubclass(data, CustomerTouchpoint) else Touchpoint
    if data.customer_optional:
        base = AnyonesTouchpoint
    shared = base.model_fields
    return [
        name
        for name, field in data.model_fields.items()
        if name not in shared
        or (field.is_required(), field.description) != (shared[name].is_required(), shared[name].description)
    ]


def _type_section(name: str, data: type[TouchpointData]) -> str:
    lines = [f"### `{name}`", " ".join((data.__doc__ or "").split())]
    life = "a sign of life" if data.life else "no sign of life"
    facts = [f"Acted: {_WHO[data.who]}", life]
    if not data.concerns_customer:
        nobody = "concerns no customer: no identifiers, and the channel may be left out"
        facts.append(nobody if data.listed else "an operator's decision, no touchpoint")
    if data.customer_optional:
        facts.append("may concern nobody: then without identifiers")
    if data.continues_thing():
        facts.append("may name its thing alone, without identifiers")
    lines.append("; ".join(facts) + ".")
    if own := _own_fields(data):
        lines.append(_fields(data, own).strip("\n"))
    lines.append(_example(data))
    return "\n\n".join(lines)


def _overview() -> str:
    """Every type in one table, with a link to its section."""
    rows = []
    for family in families():
        for data in family.types:
            link = f"[`{data.type_name}`](#{data.type_name.replace('.', '')})"
            meaning, _, _ = " ".join((data.__doc__ or "").split()).partition(". ")
            rows.append((family.name, link, _SHORT_WHO[data.who], "yes" if data.life else "", meaning.rstrip(".")))
    return table(("family", "type", "who acts", "sign of life", "meaning"), rows)


def _family_section(family: Family) -> str:
    sections = (_type_section(data.type_name, data) for data in family.types)
    return "\n\n".join([f"## {family.name}", family.about, *sections])


def page() -> str:
    """docs/reference/events.md."""
    envelope = [name for name in Event.model_fields if name != "data"]
    common = ["identifiers", *Touchpoint.model_fields]
    return markdown_page(
        "Events",
        INTRODUCTION,
        f"## The {len(CATALOGUE)} types",
        _overview(),
        "## Envelope",
        _fields(Event[TouchpointData], envelope),
        "## Common fields of `data`",
        _fields(CustomerTouchpoint, common),
        *(_family_section(family) for family in families()),
    )
