"""What is an event by every rule and cannot be stored: a text of JSON may hold U+0000, none of Postgres may. Pure."""

from __future__ import annotations

import re
from typing import Final

from customer_timeline.schemas.errors import InvalidEvent, RejectionReason

# JSON can only say it by this escape; after an odd number of backslashes it is one, after an even number it is a text.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def is_storable(document: bytes) -> bool:
    """Whether no text in the JSON document holds U+0000."""
    # Most documents have no escape at all, and this is asked of every record.
    return not (b"\\" in document and b"\\u0000" in document and _NUL.search(document))


def refuse_unstorable(document: bytes, type_: str | None) -> None:
    """Raises InvalidEvent (`unstorable`) where a text in the JSON document holds U+0000. `type_`: for the message."""
    if not is_storable(document):
        raise InvalidEvent(RejectionReason.UNSTORABLE, "a text holds U+0000; clean or remove it", type=type_)
