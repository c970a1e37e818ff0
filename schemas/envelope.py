"""The envelope: CloudEvents 1.0, structured JSON, and the id that idempotence rests on.

`Event[D]` is one whole record of the log with `data` of type D. `codec` validates through `event_adapter`, the union
of all types of the catalogue told apart by `type`. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.values import MAX_INT32, Instant

EVENT_NAMESPACE: Final = UUID("0b7c6a52-4f3e-5d0a-9b1c-6f2f6a1d7e31")
"""Namespace of event ids. Part of the contract of the log: changing it would make every event a new one."""

MAX_EVENT_BYTES: Final = 1 << 20
"""Greatest size of an event's JSON."""

_SEEDED: Final = hashlib.sha1(EVENT_NAMESPACE.bytes, usedforsecurity=False)
# The two variant bits of RFC 9562 are 10, so the digit keeps only its last two bits.
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

_Attribute = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
# A URI reference: the line break that parts source and id in the hashed name can never stand inside a source.
_Source = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x20\x7f-\x9f]+$")]

DataT = TypeVar("DataT", bound=TouchpointData)


class Event(BaseModel, Generic[DataT]):
    """One event as it stands in the log: a CloudEvent with our extensions `revision` and `recordedtime`.

    Attributes other than these are refused, so that a misspelt one cannot pass for absent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    specversion: Literal["1.0"]
    id: Annotated[_Attribute, Field(description="Unique within the source; publishing it again changes nothing.")]
    source: Annotated[_Source, Field(description="Where the event was made, a URI reference such as /shop/berlin.")]
    type: str
    time: Annotated[Instant, Field(description="When it happened at the channel.")]
    revision: Annotated[
        int,
        Field(strict=True, ge=0, le=MAX_INT32, description="A correction is the same event with a higher revision."),
    ] = 0
    datacontenttype: Annotated[str, StringConstraints(max_length=100, pattern=r"^application/json( *;.*)?$")] | None = (
        None
    )
    dataschema: _Attribute | None = None
    subject: _Attribute | None = None
    partitionkey: _Attribute | None = None
    sequence: _Attribute | None = None
    traceparent: _Attribute | None = None
    tracestate: _Attribute | None = None
    dataref: _Attribute | None = None
    recordedtime: Annotated[
        Instant | None, Field(description="When a log first took it in; set only by tools that restore or copy.")
    ] = None
    data: DataT


def event_id(source: str, id: str) -> str:  # noqa: A002 - the attribute's own name
    """The event's id everywhere: `uuid5(EVENT_NAMESPACE, source + "\\n" + id)` as canonical UUID text."""
    digest = _SEEDED.copy()
    digest.update(f"{source}\n{id}".encode())
    h = digest.hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def event_key(source: str, id: str) -> bytes:  # noqa: A002 - the attribute's own name
    """`event_id` as the 16 bytes that its text stands for."""
    digest = _SEEDED.copy()
    digest.update(f"{source}\n{id}".encode())
    key = bytearray(digest.digest()[:16])
    key[6] = key[6] & 0x0F | 0x50
    key[8] = key[8] & 0x3F | 0x80
    return bytes(key)


def shown_identity(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Source and id of a record that need not be valid otherwise; None where it does not show both."""
    try:
        return _identity().validate_python((record.get("source"), record.get("id")))
    except ValidationError:
        return None


@cache
def _identity() -> TypeAdapter[tuple[str, str]]:
    return TypeAdapter(tuple[_Source, _Attribute])


@cache
def event_model(data: type[TouchpointData]) -> type[Event[Any]]:
    """The model of whole events whose data is `data`: `type` is fixed to the type's name."""
    return create_model(
        f"{data.__name__}Event",
        __base__=Event[data],  # type: ignore[valid-type]
        __doc__=data.__doc__,
        type=(Literal[data.type_name], ...),  # type: ignore[arg-type]
    )


def make_event(
    data: DataT,
    *,
    id: str,  # noqa: A002 - the attribute's own name
    source: str,
    time: datetime,
    revision: int = 0,
    subject: str | None = None,
) -> Event[DataT]:
    """A whole event around `data`. `time` must be aware. Raises pydantic's ValidationError."""
    made: Event[DataT] = event_model(type(data))(
        specversion="1.0",
        id=id,
        source=source,
        type=data.type_name,
        time=time,
        revision=revision,
        subject=subject,
        data=data,
    )
    return made


def build_adapter(types: Iterable[type[TouchpointData]]) -> TypeAdapter[Event[Any]]:
    """Validator of any of `types` (two or more), told apart by `type`."""
    first, *others = (event_model(data) for data in types)
    union: Any = first
    for model in others:
        union |= model
    # Texts of events are mostly met once: to look each up among those met before takes longer than it saves.
    return TypeAdapter(Annotated[union, Discriminator("type")], config=ConfigDict(cache_strings="keys"))


@cache
def event_adapter() -> TypeAdapter[Event[Any]]:
    """Validator of every type of the catalogue; built on first use, so that importing stays fast."""
    return build_adapter(CATALOGUE.values())
