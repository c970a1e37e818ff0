"""From keyword arguments to an event: what every function of `touchpoints.py` does. No I/O but the clock of new ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from customer_timeline.producers.uuid7 import uuid7
from customer_timeline.schemas.envelope import Event, event_model
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason
from customer_timeline.schemas.touchpoint import TouchpointData

DataT = TypeVar("DataT", bound=TouchpointData)
PartT = TypeVar("PartT", bound=BaseModel)

_ENVELOPE = ("source", "time", "id", "revision")


def build(model: type[DataT], shared: Mapping[str, object], /, **fields: object) -> Event[DataT]:
    """The event of type `model` with `shared` (envelope and common fields) and its own `fields`; None = not said.

    Raises `InvalidEvent` with the first field at fault. A correction or retraction without the `id` of the event that
    it is about is refused: with a new id it would be another event.
    """
    name = model.type_name
    envelope = {key: shared[key] for key in _ENVELOPE if shared.get(key) is not None}
    if "id" not in envelope:
        if envelope.get("revision"):
            detail = "a correction carries the id of the event that it corrects"
            raise InvalidEvent(RejectionReason.INVALID_ENVELOPE, detail, type=name, field="id")
        envelope["id"] = str(uuid7())
    content = {**{key: value for key, value in shared.items() if key not in _ENVELOPE}, **fields}
    content = {key: value for key, value in content.items() if value is not None}
    try:
        data = model(**content)
    except ValidationError as exc:
        raise _invalid(exc, RejectionReason.INVALID_FIELD, name, "data") from None
    try:
        event = event_model(model)(specversion="1.0", type=name, data=data, **envelope)
    except ValidationError as exc:
        raise _invalid(exc, RejectionReason.INVALID_ENVELOPE, name) from None
    return cast("Event[DataT]", event)


def checked_part(model: type[PartT], /, **fields: Any) -> PartT:
    """A part of an event, such as an amount of money. Raises `InvalidEvent` with the field at fault."""
    try:
        return model(**fields)
    except ValidationError as exc:
        raise _invalid(exc, RejectionReason.INVALID_FIELD, None, model.__name__.lower()) from None


def _invalid(exc: ValidationError, reason: RejectionReason, name: str | None, *prefix: str) -> InvalidEvent:
    # `from None` where this is raised, and no input here: the cause quotes values, which may be personal.
    error = exc.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in (*prefix, *error["loc"]))
    return InvalidEvent(reason, error["msg"], type=name, field=field or None)
