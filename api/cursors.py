"""Cursors: where a page of a timeline ended, as text that callers hand back and need not understand.

A cursor keys on (occurred_at, event_id), which no merge, unlink or late event moves, and on the filters that it was
made with. It grants nothing: its checksum only tells an altered or truncated cursor from a real one.
"""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
from hashlib import blake2b
from typing import Final

from customer_timeline.projections.reading import TimelineFilter, TimelineKey
from customer_timeline.schemas.errors import CustomerTimelineError

LATEST_US: Final = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z, the last instant of a datetime
LENGTH: Final = 55  # characters

_VERSION = 1
_BODY = struct.Struct(">Bq16s8s")  # version, occurred_us, event_id, digest of the filters
_CHECK_BYTES = 8


class InvalidCursorError(CustomerTimelineError):
    """The text is no cursor, or not one for this request."""


def encode_cursor(key: TimelineKey, wanted: TimelineFilter) -> str:
    """The cursor after the event at `key`, for the same filters."""
    body = _BODY.pack(_VERSION, key.occurred_us, uuid.UUID(key.event_id).bytes, _filters_digest(wanted))
    return base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()


def decode_cursor(cursor: str, wanted: TimelineFilter) -> TimelineKey:
    """The key that `cursor` stands for. Raises InvalidCursorError: not ours, or made with other filters."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as exc:
        raise _not_ours() from exc
    body, check = raw[: _BODY.size], raw[_BODY.size :]
    if len(body) != _BODY.size or check != _checksum(body):
        raise _not_ours()
    version, occurred_us, event_id, digest = _BODY.unpack(body)
    if version != _VERSION or not 0 <= occurred_us <= LATEST_US:
        raise _not_ours()
    if digest != _filters_digest(wanted):
        raise InvalidCursorError("The cursor was made with other filters: keep type, channel, from and until.")
    return TimelineKey(occurred_us, str(uuid.UUID(bytes=event_id)))


def _not_ours() -> InvalidCursorError:
    return InvalidCursorError("Use next_cursor of the page before, unchanged, or leave the cursor out.")


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES, person=b"timeline cursor").digest()


def _filters_digest(wanted: TimelineFilter) -> bytes:
    return blake2b(repr(tuple(wanted)).encode(), digest_size=8, person=b"timeline filter").digest()
