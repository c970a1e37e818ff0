"""Everything that is wrong with a record, for people who put it right: they should not meet it one field at a time.

The projector needs no more than the first of it (`Codec.decode`), which is what is stored of a dead letter. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from pydantic_core import from_json

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.envelope import Event
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.rejection import further

_MOST: Final = 20


def parse_or_tell_all(codec: Codec, value: bytes) -> Event[Any]:
    """The event in `value`, as `parse` gives it. Raises InvalidEvent: with one field at fault as `parse` does, else one
    that names all.

    That one has no `field`; its detail gives each with what is expected there, and like any other quotes no value.
    What can only be seen in an event whose fields are valid (times, identifiers that can be used) is told after that.
    """
    try:
        return codec.parse(value)
    except InvalidEvent as first:
        details: dict[str | None, str] = {}
        for one in (first, *further(first), *_unknown_channels(codec, value, first)):
            details.setdefault(one.field, one.detail)
        if len(details) == 1:
            raise
        told = [f"{field}: {detail}" for field, detail in islice(details.items(), _MOST)]
        if len(details) > _MOST:
            told.append(f"and {len(details) - _MOST:,} more")
        raise InvalidEvent(first.reason, "; ".join(told), type=first.type) from first


def _unknown_channels(codec: Codec, value: bytes, first: InvalidEvent) -> Iterator[InvalidEvent]:
    """Channels are asked about once all fields have their form, or one by one: here with the others."""
    known = CATALOGUE.get(first.type or "")
    if known is None:
        return
    data: Any = from_json(value).get("data")
    for field in ("channel", *known.channel_fields):
        named = data.get(field) if isinstance(data, dict) else None
        if isinstance(named, str) and named not in codec.channels:
            yield codec.unknown_channel(known.type_name, field)
