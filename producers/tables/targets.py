"""The mapping held against the catalogue: do its targets exist, can they take what the converters give, is all there?

Everything that would make every row fail is found here, before the table is opened. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from customer_timeline.producers.tables.mapping import EventMapping
from customer_timeline.producers.tables.mapping import Mapping as TableMapping
from customer_timeline.producers.tables.specs import Closed, ItemsSpec
from customer_timeline.producers.tables.templates import parse_template
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import PLATFORM_KIND
from customer_timeline.schemas.touchpoint import TouchpointData

Schema = Mapping[str, Any]

# What a converter writes, as a JSON type.
_WRITES: Final = {"integer": "integer", "boolean": "boolean", "list": "array", "items": "array", "money": "object"}
_TAKES: Final = {
    "integer": 'a whole number: as = "integer"',
    "boolean": 'true or false: as = "boolean"',
    "money": 'an amount of money: as = "money"',
    "array": 'a list: as = "list", or targets with a number such as {target}.0',
    "object": "a group of fields: name one, such as {target}.{inner}",
    "string": "a text",
}


class UnknownTarget(LookupError):  # noqa: N818 - named as the codebase names its verdicts
    """No such target; `names` are those that there are instead."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)


@cache
def schema_of(data: type[TouchpointData]) -> Schema:
    """The JSON Schema of a type's data."""
    return data.model_json_schema()


def problems_with(mapping: TableMapping, codec: Codec) -> list[str]:
    """Everything in the mapping that no row could mend, one sentence each."""
    return [problem for number, event in enumerate(mapping.event, 1) for problem in _event(number, event, codec)]


def required_fields(schema: Schema) -> frozenset[str]:
    """Names that an object has to have."""
    return frozenset(schema.get("required", ()))


def may_be_empty(data: type[TouchpointData], target: str) -> bool:
    """Whether the group of fields at `target` is required, and none of its own fields is: `traits`, for instance."""
    parent, _, name = target.rpartition(".")
    root = schema_of(data)
    required = (
        any(name in required_fields(form) for form in _walk(root, parent)) if parent else name in required_fields(root)
    )
    return required and not any(required_fields(form) for form in _walk(root, target))


def takes_list(data: type[TouchpointData], target: str) -> bool:
    """Whether the numbers below `target` are positions in a list, and not keys of an object."""
    return any(form.get("type") == "array" for form in _walk(schema_of(data), target))


def _event(number: int, event: EventMapping, codec: Codec) -> Iterator[str]:
    where = f"event {number}"
    data = CATALOGUE.get(event.type)
    for outer in event.fields:
        if any(inner.startswith(f"{outer}.") for inner in event.fields):
            yield f"{where}, fields.{outer}: it is filled as a whole and in parts."
    if data is None:
        yield f"{where}, type: there is no {event.type}{_did_you_mean(event.type, CATALOGUE)}."
        return
    for target, spec in event.fields.items():
        yield from (f"{where}, fields.{target}: {problem}." for problem in _target(data, target, spec, codec))
    for missing in _missing(data, event):
        yield f"{where}, fields.{missing}: {event.type} needs it."
    for position, identifier in enumerate(event.identifiers, 1):
        policy = codec.space.policy.of(identifier.kind)
        if policy is None or identifier.kind == PLATFORM_KIND:
            known = ", ".join(
                kind if kind != PLATFORM_KIND else f"{kind}:<platform>" for kind in codec.space.policy.kinds
            )
            yield f"{where}, identifiers[{position}].kind: there is no kind {identifier.kind}; there are {known}."
    yield from (f"{where}: {problem}." for problem in _whom(data, event))
    if event.revision < data.least_revision:
        yield f"{where}, revision: {event.type} needs at least {data.least_revision}."


def _target(data: type[TouchpointData], target: str, spec: Any, codec: Codec) -> Iterator[str]:
    if target.partition(".")[0] == "identifiers":
        yield "whom the event concerns is said under identifiers"
        return
    if (target == "items") is not isinstance(spec, ItemsSpec) and (target == "items" or isinstance(spec, ItemsSpec)):
        yield 'as = "items" and the target items belong together: it takes lines of an order, and nothing else does'
        return
    try:
        forms = _walk(schema_of(data), target)
    except UnknownTarget as unknown:
        last = target.rpartition(".")[2]
        yield f"{data.type_name} has no such field{_did_you_mean(last, unknown.names)}"
        return
    if not forms:
        return
    takes = {str(form.get("type", "string")) for form in forms}
    writes = _writes(spec)
    is_money = any("currency" in form.get("properties", ()) for form in forms)
    if writes not in takes or (writes == "object" and not is_money):
        # Of several forms the first that is known is told: it is the one that a converter is needed for.
        kind = "money" if is_money else next(kind for kind in _TAKES if kind in takes)
        inner = next((name for form in forms for name in form.get("properties", ())), "")
        yield "it takes " + _TAKES[kind].format(target=target, inner=inner)
    yield from _constant(target, spec, forms, codec)


def _constant(target: str, spec: Any, forms: Iterable[Schema], codec: Codec) -> Iterator[str]:
    constant = parse_template(spec).constant if isinstance(spec, str) else None
    if constant is None:
        return
    if target == "channel" and constant not in codec.channels:
        yield f"there is no channel {constant}; there are {', '.join(sorted(codec.channels))}"
    allowed = [word for form in forms for word in form.get("enum", ())]
    if allowed and constant not in allowed:
        yield f"{constant} is none of {', '.join(map(str, allowed))}"


def _writes(spec: Any) -> str:
    if isinstance(spec, Closed):
        return _WRITES.get(getattr(spec, "as_", "text"), "string")
    if isinstance(spec, bool):
        return "boolean"
    return "string" if isinstance(spec, str) else "integer" if isinstance(spec, int) else "array"


def _whom(data: type[TouchpointData], event: EventMapping) -> Iterator[str]:
    if not data.concerns_customer:
        if event.identifiers:
            yield f"{event.type} concerns no customer, so it has no identifiers"
    elif not event.identifiers and not any(field in event.fields for field, _ in data.thing_fields()):
        things = "".join(f", or {field} in fields" for field, _ in data.thing_fields())
        yield f"it says nowhere whom it concerns: identifiers{things}"


def _missing(data: type[TouchpointData], event: EventMapping) -> Iterator[str]:
    """Targets that are required and that no field of the mapping fills."""
    filled = {tuple(target.split(".")) for target in event.fields}
    return _missing_below(schema_of(data), schema_of(data), (), filled)


def _missing_below(root: Schema, schema: Schema, path: tuple[str, ...], filled: set[tuple[str, ...]]) -> Iterator[str]:
    for name in required_fields(schema):
        if not any(target[: len(path) + 1] == (*path, name) for target in filled):
            yield ".".join((*path, name))
    for step in {target[len(path)] for target in filled if target[: len(path)] == path and len(target) > len(path) + 1}:
        try:
            inner = _step(root, schema, step)
        except UnknownTarget:
            continue  # told already, as an unknown target
        for form in inner:
            yield from _missing_below(root, form, (*path, step), filled)


def _walk(root: Schema, target: str) -> tuple[Schema, ...]:
    """The schemas that a value at `target` may follow; none where anything goes. Raises UnknownTarget."""
    forms: tuple[Schema, ...] = (root,)
    for step in target.split("."):
        if any(_is_open(form) for form in forms):
            return ()
        found: list[Schema] = []
        names: list[str] = []
        for form in forms:
            try:
                found += _step(root, form, step)
            except UnknownTarget as unknown:
                names += unknown.names
        if not found:
            raise UnknownTarget(names)
        forms = tuple(found)
    return () if any(_is_open(form) for form in forms) else forms


def _is_open(schema: Schema) -> bool:
    return schema.get("additionalProperties") is True


def _step(root: Schema, schema: Schema, step: str) -> list[Schema]:
    if schema.get("type") == "array":
        if not step.isdecimal():
            raise UnknownTarget(["0"])
        return _forms(root, schema["items"])
    properties = schema.get("properties", {})
    if step not in properties:
        raise UnknownTarget(properties)
    return _forms(root, properties[step])


def _forms(root: Schema, schema: Schema) -> list[Schema]:
    """The schemas that a value may follow: references resolved, null left out."""
    if "$ref" in schema:
        return _forms(root, root["$defs"][schema["$ref"].rsplit("/", 1)[1]])
    if "anyOf" in schema:
        return [form for option in schema["anyOf"] for form in _forms(root, option) if form.get("type") != "null"]
    return [schema]


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"; there is {close[0]}"
    return f"; there are {', '.join(sorted(names))}" if 0 < len(names) <= 40 else ""
