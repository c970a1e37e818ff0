"""JSON objects that give a key twice: refused, because readers disagree on which of the two counts.

The parser keeps the last one and says nothing. Asking for the pairs of every object would mean to parse each record
twice, so the fast way is to count: the keys in the text against the keys in what was read. Pure.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel


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
    if text.count(b'":') == count_keys(read) and not _may_part_keys(text):
        return False
    try:
        loads_unique(text)
    except DuplicateKey:
        return True
    return False


def _may_part_keys(text: bytes) -> bool:
    """Whether a blank stands behind a quote, as it may between a key and its colon."""
    # One byte is found ten times as fast as two, and most records have no blank but the space.
    return (
        (b" " in text and b'" ' in text)
        or (b"\n" in text and b'"\n' in text)
        or (b"\t" in text and b'"\t' in text)
        or (b"\r" in text and b'"\r' in text)
    )


def count_keys(model: BaseModel) -> int:
    """How many keys the JSON had that `model` was read from, those of everything inside included."""
    total = len(model.__pydantic_fields_set__)
    values = model.__dict__
    for name, count in _plan(type(model)):
        inner = values[name]
        if inner is not None:
            total += count(inner)
    return total


_Counter = Callable[[Any], int]


@cache
def _plan(model: type[BaseModel]) -> tuple[tuple[str, _Counter], ...]:
    """The fields whose values may hold keys, and how to count those."""
    counters = ((name, _counter(field.annotation)) for name, field in model.model_fields.items())
    return tuple((name, counter) for name, counter in counters if counter is not None)


def _counter(annotation: Any) -> _Counter | None:
    """How to count the keys of a value of this annotation; None where it can hold none."""
    origin = get_origin(annotation)
    if annotation is dict or origin is dict:
        return _count_json
    if origin is None:
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        return _model_counter(annotation) if is_model else None
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return count_keys
    arguments = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _counter(arguments[0])
    inner = [counter for argument in arguments if (counter := _counter(argument)) is not None]
    if not inner:
        return None
    if origin in (Union, types.UnionType) and len(inner) == 1:
        return inner[0]
    if origin in (tuple, list) and len(inner) == 1:
        return _sequence_counter(inner[0])
    return _count_any


class _Fixed:
    """Counter of models that always have the same keys: all fields required, nothing structured inside."""

    __slots__ = ("keys",)

    def __init__(self, keys: int) -> None:
        self.keys = keys

    def __call__(self, value: Any) -> int:
        return self.keys


def _model_counter(model: type[BaseModel]) -> _Counter:
    if not _plan(model) and all(field.is_required() for field in model.model_fields.values()):
        return _Fixed(len(model.model_fields))
    return count_keys


def _sequence_counter(counter: _Counter) -> _Counter:
    if isinstance(counter, _Fixed):
        keys = counter.keys
        return lambda values: keys * len(values)
    return lambda values: sum(map(counter, values))


def _count_json(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_json, value.values()))
    return sum(map(_count_json, value)) if isinstance(value, list) else 0


def _count_any(value: Any) -> int:
    if isinstance(value, BaseModel):
        return count_keys(value)
    if isinstance(value, tuple | list):
        return sum(map(_count_any, value))
    return _count_json(value)
