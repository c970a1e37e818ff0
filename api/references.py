"""References: how a caller names a customer. Any identifier's id ever given out, or `kind:value`."""

from __future__ import annotations

import re
from typing import Final

from customer_timeline.schemas.decoded import Identifier
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.identifiers import IdentifierSpace, Refusal
from customer_timeline.schemas.identity_policy import PLATFORM_KIND

MAX_LENGTH: Final = 1024  # characters; a normalised value has at most 512 bytes

_IDENTIFIER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


# Control characters; and lone surrogates, which come from bytes that are no UTF-8.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class InvalidReferenceError(CustomerTimelineError):
    """The text can be no reference. Its value is not repeated: it may be personal."""


def identifier_id_of(reference: str, identifiers: IdentifierSpace) -> str:
    """The id of the identifier that `reference` names, known or not. Raises InvalidReferenceError.

    `email:Ann@Example.com` is normalised as an event's identifier would be; the kind of `open_id:wechat:xyz` is
    `open_id:wechat`.
    """
    if is_identifier_id(reference):
        return reference.lower()
    found = identifiers.normalise(*kind_and_value(reference))
    if not isinstance(found, Identifier):
        raise InvalidReferenceError(_WHY[found])
    return found.identifier_id


def is_identifier_id(reference: str) -> bool:
    """Whether a reference names an identifier by its id."""
    return _IDENTIFIER_ID.fullmatch(reference) is not None


def kind_and_value(reference: str) -> tuple[str, str]:
    """The two parts of `kind:value`, the value as it was written. Raises InvalidReferenceError."""
    if len(reference) > MAX_LENGTH or not _storable(reference):
        raise InvalidReferenceError(
            f"A reference is text of at most {MAX_LENGTH} characters without control characters."
        )
    kind, _, value = reference.partition(":")
    if kind == PLATFORM_KIND and ":" in value:
        platform, _, value = value.partition(":")
        kind = f"{PLATFORM_KIND}:{platform}"
    if not kind or not value:
        raise InvalidReferenceError("Use an identifier_id (a UUID) or kind:value, such as email:ann@example.com.")
    return kind, value


_WHY: Final[dict[Refusal, str]] = {
    "unknown_kind": "No such kind of identifier; things (orders, cases) are no references.",
    "not_normalisable": "The value is not one that this kind can have.",
    "blocked": "The value is a placeholder that means nobody.",
}


def _storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None
