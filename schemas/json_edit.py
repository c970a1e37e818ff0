"""Changes to a JSON document at places named by JSON pointers (RFC 6901). Pure; the document given is left as it is."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from customer_timeline.schemas.errors import CustomerTimelineError

_INDEX: Final = re.compile("0|[1-9][0-9]{0,8}")


class JsonPointerError(CustomerTimelineError):
    """The pointer names no place in the document; `pointer` is as it was given."""

    exit_code = 2  # of the command line: wrong usage

    def __init__(self, pointer: str, problem: str) -> None:
        self.pointer = pointer
        self.problem = problem
        super().__init__(f"The pointer {pointer!r} cannot be followed: {problem}.")

    def __reduce__(self) -> tuple[object, ...]:
        return (JsonPointerError, (self.pointer, self.problem))


def with_value(document: Any, pointer: str, value: Any) -> Any:
    """The document with `value` at the place. A member that is missing is added; so is the end of a list, `-`.

    Objects on the way must be there. Raises JsonPointerError.
    """
    if not pointer:
        return copy.deepcopy(value)
    changed = copy.deepcopy(document)
    parent, last = _parent(changed, pointer)
    if isinstance(parent, dict):
        parent[last] = copy.deepcopy(value)
    elif last == "-":
        parent.append(copy.deepcopy(value))
    else:
        parent[_index(parent, last, pointer)] = copy.deepcopy(value)
    return changed


def without(document: Any, pointer: str) -> Any:
    """The document without what stands at the place. Raises JsonPointerError where nothing does."""
    if not pointer:
        raise JsonPointerError(pointer, "it names the whole document")
    changed = copy.deepcopy(document)
    parent, last = _parent(changed, pointer)
    if isinstance(parent, list):
        del parent[_index(parent, last, pointer)]
    elif last in parent:
        del parent[last]
    else:
        raise JsonPointerError(pointer, "nothing stands there")
    return changed


def _parent(document: Any, pointer: str) -> tuple[Any, str]:
    """The object or list that the place is in, and its name there."""
    if not pointer.startswith("/"):
        raise JsonPointerError(pointer, "it begins with /, such as /data/order_id")
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
    found = document
    for depth, step in enumerate(way, start=1):
        if isinstance(found, list):
            found = found[_index(found, step, pointer)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            raise JsonPointerError(pointer, f"there is no such member at step {depth}")
    if not isinstance(found, dict | list):
        raise JsonPointerError(pointer, "what it leads to is neither an object nor a list")
    return found, last


def _index(found: list[Any], step: str, pointer: str) -> int:
    if not _INDEX.fullmatch(step) or int(step) >= len(found):
        raise JsonPointerError(pointer, f"the list has {len(found)} items, counted from 0")
    return int(step)
