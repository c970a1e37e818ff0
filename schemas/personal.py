"""Which fields of an event say something about a person: read from the marks on the models.

Logs and masks leave these out, encryption covers them. A path names a field of `data`: `traits.birthday`, and with
`[]` a list: `identifiers[].value`. A marked structure is personal as a whole, so nothing below it is listed again.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.values import Personal


@cache
def personal_paths(data: type[TouchpointData]) -> frozenset[str]:
    """Paths of the personal fields in events of this type."""
    return frozenset(_paths(data, ""))


def _paths(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        suffix = "[]" if _holds(field.annotation, tuple) else ""
        if _is_marked(field):
            yield f"{path}{suffix}"
            continue
        for part in _models(field.annotation):
            yield from _paths(part, f"{path}{suffix}.")


def _is_marked(field: FieldInfo) -> bool:
    return any(isinstance(mark, Personal) for mark in (*field.metadata, *_marks(field.annotation)))


def _marks(annotation: Any) -> Iterator[object]:
    """Marks inside the annotation, as in `Annotated[str, Personal()] | None`."""
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        yield from _marks(argument)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _holds(annotation: Any, container: type) -> bool:
    return get_origin(annotation) is container or any(_holds(inner, container) for inner in get_args(annotation))
