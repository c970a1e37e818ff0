"""The two times of a record: when it happened (occurred_at) and when the log first took it in (recorded_at).

A time that cannot be is refused here, before it could poison "last seen" or an as-of read. Pure: the time at which a
record was appended is an argument.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from customer_timeline.schemas.decoded import EPOCH
from customer_timeline.schemas.envelope import Event
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason
from customer_timeline.schemas.values import Instant

_INSTANT: Final[TypeAdapter[datetime]] = TypeAdapter(Instant)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_AFTER_1970: Final = "expected an instant from 1970 on"

RECORDED_HEADER: Final = "recordedtime"
"""The Kafka header that restore and copy tools set: when the log first took the event in."""


def recorded_at(event: Event[Any], appended_at: datetime, header: str | None) -> datetime:
    """When the log first took the event in: the header `recordedtime`, else the attribute, else `appended_at`.

    Raises InvalidEvent where that is no instant, before 1970, or later than the record's own append time.
    """
    recorded = event.recordedtime if header is None else _from_header(header, event.type)
    if recorded is None:
        return appended_at
    if recorded > appended_at:
        detail = "expected an instant that is not after the record was appended to this log"
        raise InvalidEvent(RejectionReason.RECORDED_AHEAD, detail, type=event.type, field="recordedtime")
    if recorded < EPOCH:
        raise InvalidEvent(RejectionReason.BEFORE_1970, _AFTER_1970, type=event.type, field="recordedtime")
    return recorded.astimezone(UTC)


def occurred_at(event: Event[Any], recorded: datetime, max_future: timedelta) -> datetime:
    """When the event happened, in UTC.

    Raises InvalidEvent where that is before 1970, or more than `max_future` after `recorded`.
    """
    time: datetime = event.__dict__["time"]
    try:
        occurred = time.astimezone(UTC)
    except OverflowError:  # within a day of year 1 or 9999, so refused below
        occurred = _EARLIEST if time.year < EPOCH.year else _LATEST
    if occurred < EPOCH:
        raise InvalidEvent(RejectionReason.BEFORE_1970, _AFTER_1970, type=event.type, field="time")
    if occurred > recorded and occurred > recorded + max_future:
        seconds = max_future // timedelta(seconds=1)
        detail = f"expected an instant at most {seconds} s after the log recorded the event; check the source's clock"
        raise InvalidEvent(RejectionReason.FUTURE, detail, type=event.type, field="time")
    return occurred


def _from_header(header: str, type_name: str) -> datetime:
    try:
        return _INSTANT.validate_json(json.dumps(header))
    except ValidationError as exc:
        detail = "expected the header recordedtime to be an instant such as 2026-01-31T09:30:00Z"
        raise InvalidEvent(RejectionReason.INVALID_ENVELOPE, detail, type=type_name, field="recordedtime") from exc
