"""JSON objects that give a key twice: refused, because readers disagree on which of the two counts.

The parser keeps the last one and says nothing. Asking for the pairs of every object would mean to parse each record twice, so
the fast way is to count: the keys in the text against the keys in what was read. Pure.
"""

from __future__ import annotations

import json
import types
from functools import cache
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

_KEY_END: Final = b'":'
# A blank behind a quote may part a key from its colon, so that `_KEY_END` would miss it.
_BLANKS_BEHIND_QUOTE: Final = (b'" ', b'"\n', b'"\t', b'"\r')


class DuplicateKey(ValueError):  # noqa: N818 - named as the codebase names its verdicts
    """An object of the text gives the same key twice. Internal: the codec turns it into `InvalidEvent`."""


def loads_unique(text: bytes) -> Any:
    """Parse JSON. Raises `DuplicateKey` where an object gives a key twice, `ValueError` where it is not JSON."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey
    return found


def has_duplicate_keys(text: bytes, read: BaseModel) -> bool:
    """Whether an object in `text` gives a key twice; `read` is what the parser made of it."""
    # Every key ends in `":` unless blanks stand between, and other places (texts) can only add to the count. So as many
    # ends as keys were read means that no key was read over.
    if text.count(_KEY_END) == count_keys(read) and not any(blank in text for blank in _BLANKS_BEHIND_QUOTE):
        return False
    try:
        loads_unique(text)
    except DuplicateKey:
        return True
    return False


def count_keys(model: BaseModel) -> int:
    """How many keys the JSON had that `model` was read from, those of everything inside included."""
    total = len(model.__pydantic_fields_set__)
    values = model.__dict__
    for name in _structured_fields(type(model)):
        inner = values[name]
        if inner is not None:
            total += _count_inside(inner)
    return total


def _count_inside(value: Any) -> int:
    if isinstance(value, BaseModel):
        return count_keys(value)
    if isinstance(value, dict):
        return len(value) + sum(_count_inside(inner) for inner in value.values())
    if isinstance(value, tuple | list):
        return sum(_count_inside(inner) for inner in value)
    return 0


@cache
def _structured_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Names of the fields whose values may hold keys."""
    return tuple(name for name, field in model.model_fields.items() if _may_hold_keys(field.annotation))


def _may_hold_keys(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is None:
        return annotation is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel))
    if origin is dict:
        return True
    if origin in (Union, types.UnionType, tuple, list) or hasattr(annotation, "__metadata__"):
        return any(_may_hold_keys(argument) for argument in get_args(annotation))
    return isinstance(origin, type) and issubclass(origin, BaseModel)
