"""From pydantic's account of what is wrong with a record to the one `InvalidEvent` that this product speaks of.

Keeps values out: a dead letter's reason and a log line must never quote what a customer wrote. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from customer_timeline.schemas.errors import InvalidEvent, RejectionReason

_LIST_COMMAND: Final = "customer-timeline schema list"
# What the stores of a dead letter can hold and a reader can make sense of; any other type is not repeated.
_SHOWABLE_TYPE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
# A key that is no name may be anything, an email address included.
_SHOWABLE_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def showable_type(type_name: object) -> str | None:
    """`type_name` where it can be shown and stored, else None."""
    return type_name if isinstance(type_name, str) and _SHOWABLE_TYPE.fullmatch(type_name) else None


def unknown_type(type_name: str) -> InvalidEvent:
    """The type is none that this version decodes."""
    return InvalidEvent(
        RejectionReason.UNKNOWN_TYPE,
        f"this version does not know the type; `{_LIST_COMMAND}` shows those that it knows",
        type=showable_type(type_name),
        field="type",
    )


def from_validation(error: ValidationError, type_name: object, *, tagged: bool) -> InvalidEvent:
    """The first thing that `error` finds wrong with a record of type `type_name`.

    `tagged`: the validator told types apart, so every location begins with the type.
    """
    return _rejection(_errors(error)[0], showable_type(type_name), tagged=tagged)


def further(first: InvalidEvent) -> list[InvalidEvent]:
    """What pydantic found wrong beside what `from_validation` made of it; nothing where something else was wrong."""
    error = first.__cause__
    if not isinstance(error, ValidationError):
        return []
    # No attribute of the envelope is named like a type.
    return [_rejection(one, first.type, tagged=one["loc"][:1] == (first.type,)) for one in _errors(error)[1:]]


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _rejection(found: ErrorDetails, shown: str | None, *, tagged: bool) -> InvalidEvent:
    if found["type"] == "json_invalid":
        return InvalidEvent(RejectionReason.NOT_JSON, found["msg"], type=shown)
    location = found["loc"][1:] if tagged else found["loc"]
    if not location:
        detail = "expected one JSON object, a CloudEvent in structured mode"
        return InvalidEvent(RejectionReason.INVALID_ENVELOPE, detail, type=shown)
    inside_data = location[0] == "data" and len(location) > 1
    reason = RejectionReason.INVALID_FIELD if inside_data else RejectionReason.INVALID_ENVELOPE
    return InvalidEvent(reason, found["msg"], type=shown, field=_path(location))


def _path(location: tuple[int | str, ...]) -> str:
    """`data.items[1].amount`."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            name = step if _SHOWABLE_KEY.fullmatch(step) else "?"
            path += f".{name}" if path else name
    return path
