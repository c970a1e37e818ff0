"""Cursors: where a page ended, as text that callers hand back and need not understand.

The cursor of a timeline keys on (occurred_at, event_id), which no merge, unlink or late event moves; that of a list of
customers on what it is ordered by and the customer, and on the instant that the first page was about, so that all pages
are about that instant. Both are bound to the filters that they were made with. A cursor grants nothing: its checksum
only tells an altered or truncated one from a real one.
"""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from customer_timeline.projections.cuts import Past
from customer_timeline.projections.dead_letters import DeadLetterFilter, DeadLetterGroupKey
from customer_timeline.projections.identity_review import ReviewFilter, ReviewKey
from customer_timeline.projections.reading import CustomerFilter, CustomerKey, TimelineFilter, TimelineKey
from customer_timeline.schemas.errors import CustomerTimelineError

LATEST_US: Final = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z, the last instant of a datetime
LENGTH: Final = 55  # characters, of a timeline's
LIST_LENGTH: Final = 66
REVIEW_LENGTH: Final = 66
DEAD_LETTER_LENGTH: Final = 44

_VERSION = 1
_TIMELINE = struct.Struct(">Bq16s8s")  # version, occurred_us, event_id, digest of the filters
_LIST = struct.Struct(">Bqq16s8s")  # version, at_us, value_us, customer_id, digest of the filters
_REVIEW = struct.Struct(">B16s16s8s")  # version, two ids, digest of the filters
_DEAD_LETTER = struct.Struct(">Bq8s8s")  # version, last_us, fingerprint, digest of the filters
_CHECK_BYTES = 8


class InvalidCursorError(CustomerTimelineError):
    """The text is no cursor, or not one for this request."""


class ListPlace(NamedTuple):
    """Where a page of a list ended, and the instant that the list is about."""

    at_us: int
    key: CustomerKey


def encode_cursor(key: TimelineKey, wanted: TimelineFilter, past: Past | None = None) -> str:
    """The cursor after the event at `key`, for the same filters."""
    event_id = uuid.UUID(key.event_id).bytes
    return _sealed(_TIMELINE.pack(_VERSION, key.occurred_us, event_id, _filters_digest(wanted, past)))


def decode_cursor(cursor: str, wanted: TimelineFilter, past: Past | None = None) -> TimelineKey:
    """The key that `cursor` stands for. Raises InvalidCursorError: not ours, or made with other filters."""
    version, occurred_us, event_id, digest = _opened(cursor, _TIMELINE)
    if version != _VERSION or not 0 <= occurred_us <= LATEST_US:
        raise _not_ours()
    if digest != _filters_digest(wanted, past):
        raise InvalidCursorError(
            "The cursor was made with other filters: keep type, channel, from, until, as_of, known_at and identity."
        )
    return TimelineKey(occurred_us, str(uuid.UUID(bytes=event_id)))


def encode_list_cursor(place: ListPlace, wanted: CustomerFilter, past: Past | None = None) -> str:
    """The cursor after the customer at `place`, for the same filters and order."""
    key = place.key
    customer_id = uuid.UUID(key.customer_id).bytes
    return _sealed(_LIST.pack(_VERSION, place.at_us, key.value_us, customer_id, _filters_digest(wanted, past)))


def decode_list_cursor(cursor: str, wanted: CustomerFilter, past: Past | None = None) -> ListPlace:
    """The place that `cursor` stands for. Raises InvalidCursorError: not ours, or made with other filters."""
    version, at_us, value_us, customer_id, digest = _opened(cursor, _LIST)
    if version != _VERSION or not 0 <= at_us <= LATEST_US:
        raise _not_ours()
    if digest != _filters_digest(wanted, past):
        raise InvalidCursorError(
            "The cursor was made with other filters: keep stage, flag, order, as_of, known_at and identity."
        )
    return ListPlace(at_us, CustomerKey(value_us, str(uuid.UUID(bytes=customer_id))))


def encode_review_cursor(key: ReviewKey, wanted: ReviewFilter) -> str:
    """The cursor after the row at `key` of the same list."""
    ids = (uuid.UUID(one).bytes for one in key)
    return _sealed(_REVIEW.pack(_VERSION, *ids, _filters_digest(wanted)))


def decode_review_cursor(cursor: str, wanted: ReviewFilter) -> ReviewKey:
    """The key that `cursor` stands for. Raises InvalidCursorError: not ours, or made for another list or size."""
    version, first, second, digest = _opened(cursor, _REVIEW)
    if version != _VERSION:
        raise _not_ours()
    if digest != _filters_digest(wanted):
        raise InvalidCursorError("The cursor was made for another list: keep of and size.")
    return ReviewKey(*(str(uuid.UUID(bytes=one)) for one in (first, second)))


def encode_dead_letter_cursor(key: DeadLetterGroupKey, wanted: DeadLetterFilter) -> str:
    """The cursor after the group at `key`, for the same filters."""
    named = bytes.fromhex(key.fingerprint)
    return _sealed(_DEAD_LETTER.pack(_VERSION, key.last_us, named, _filters_digest(wanted)))


def decode_dead_letter_cursor(cursor: str, wanted: DeadLetterFilter) -> DeadLetterGroupKey:
    """The key that `cursor` stands for. Raises InvalidCursorError: not ours, or made with other filters."""
    version, last_us, named, digest = _opened(cursor, _DEAD_LETTER)
    if version != _VERSION or not 0 <= last_us <= LATEST_US:
        raise _not_ours()
    if digest != _filters_digest(wanted):
        raise InvalidCursorError(
            "The cursor was made with other filters: keep reason, type, since, until, fingerprint and state."
        )
    return DeadLetterGroupKey(last_us, named.hex())


def _sealed(body: bytes) -> str:
    return base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()


def _opened(cursor: str, form: struct.Struct) -> tuple[Any, ...]:
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as exc:
        raise _not_ours() from exc
    body, check = raw[: form.size], raw[form.size :]
    if len(body) != form.size or check != _checksum(body):
        raise _not_ours()
    return form.unpack(body)


def _not_ours() -> InvalidCursorError:
    return InvalidCursorError("Use next_cursor of the page before, unchanged, or leave the cursor out.")


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES, person=b"timeline cursor").digest()


def _filters_digest(
    wanted: TimelineFilter | CustomerFilter | ReviewFilter | DeadLetterFilter, past: Past | None = None
) -> bytes:
    return blake2b(repr((tuple(wanted), past)).encode(), digest_size=8, person=b"timeline filter").digest()
