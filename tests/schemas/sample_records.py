"""Records for the tests of the schemas: a codec, and valid events that a test changes in one place."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, Head
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.json_schema import example_event

SECRET = b"a secret of the tests"
APPENDED = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CODEC = Codec(IdentityPolicy(), SECRET)

Json = dict[str, Any]


def event(type_name: str, /, **attributes: Any) -> Json:
    """The type's example with attributes of the envelope replaced; an attribute given as ... is left out."""
    made = {**copy.deepcopy(example_event(CATALOGUE[type_name])), **attributes}
    return {name: value for name, value in made.items() if value is not ...}


def with_data(type_name: str, /, **fields: Any) -> Json:
    """The type's example with fields of its data replaced; a field given as ... is left out."""
    made = event(type_name)
    made["data"] = {name: value for name, value in {**made["data"], **fields}.items() if value is not ...}
    return made


def as_bytes(value: Any) -> bytes:
    """The record's bytes, as `json` writes them."""
    return json.dumps(value).encode()


def decode(value: Any, codec: Codec = CODEC, **given: Any) -> DecodedEvent:
    """Decode an event given as a dict, or bytes as they are; `head` has to say the same of it, or to refuse it too."""
    content = value if isinstance(value, bytes) else as_bytes(value)
    given = {"appended_at": APPENDED, **given}
    try:
        head = codec.head(content, **given)
    except InvalidEvent as refused:
        with pytest.raises(InvalidEvent, match=f"^{re.escape(str(refused))}$"):
            codec.decode(content, **given)
        raise
    found = codec.decode(content, **given)
    assert head == Head(UUID(found.event_id).bytes, found.type, found.occurred_us, found.recorded_at, found.revision)
    return found


def rejection(value: Any, codec: Codec = CODEC, **given: Any) -> InvalidEvent:
    """The InvalidEvent that the record raises; fails where it is accepted."""
    try:
        accepted = decode(value, codec, **given)
    except InvalidEvent as error:
        return error
    raise AssertionError(f"accepted as {accepted.type}")
