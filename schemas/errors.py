"""Errors of the whole product: one root, and what the codec raises for a record that is no event.

Every error of this distribution derives from `CustomerTimelineError` and reads as a sentence: what, where, what to do.
Messages never carry the values of personal fields, so they may be logged and stored beside a dead letter.
"""

from __future__ import annotations

from enum import StrEnum


class CustomerTimelineError(Exception):
    """Root of every error that this distribution raises on purpose."""


class RejectionReason(StrEnum):
    """Why a record of the log is a dead letter. Stable words: stored, counted in metrics, searched for."""

    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    INVALID_ENVELOPE = "invalid_envelope"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_FIELD = "invalid_field"
    FUTURE = "future"
    BEFORE_1970 = "before_1970"
    NO_USABLE_IDENTIFIER = "no_usable_identifier"
    RECORDED_AHEAD = "recorded_ahead"
    UNSTORABLE = "unstorable"


class InvalidEvent(CustomerTimelineError):  # noqa: N818 - the name of the domain: an invalid event, not a failure of ours
    """A record is no valid event.

    `type` is the event's type where it could be read, `field` the path of the first field at fault
    (`data.total.amount`; None where the record as a whole is at fault), `detail` what is expected there. None of them
    holds a value of the event other than its type.
    """

    def __init__(
        self,
        reason: RejectionReason,
        detail: str,
        *,
        type: str | None = None,  # noqa: A002 - the attribute's own name
        field: str | None = None,
    ) -> None:
        self.reason = reason
        self.type = type
        self.field = field
        self.detail = detail
        where = " ".join(part for part in (type or "", f"at {field}" if field else "") if part)
        super().__init__(f"{reason.value}{f' ({where})' if where else ''}: {detail}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only fields do not survive the default pickling of exceptions; workers hand errors between processes.
        return (_rebuild, (self.reason, self.detail, self.type, self.field))


def _rebuild(reason: RejectionReason, detail: str, type_: str | None, field: str | None) -> InvalidEvent:
    return InvalidEvent(reason, detail, type=type_, field=field)
