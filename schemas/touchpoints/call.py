"""Calls: by telephone, in both directions."""

from __future__ import annotations

from typing import Annotated, Literal

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, Seconds, ShortText

Direction = Literal["inbound", "outbound"]


class CallCompleted(CustomerTouchpoint):
    """A call that ended, whether or not anybody answered. A sign of life if inbound, or answered."""

    type_name = "call.completed.v1"
    who = "direction"
    life = True
    example = {
        "identifiers": [{"kind": "phone", "value": "+1 202 555 0143"}],
        "channel": "phone",
        "direction": "inbound",
        "duration_s": 312,
        "result": "answered",
        "purpose": "delivery question",
        "staff": {"id": "agent-7", "team": "hotline"},
    }

    direction: Direction
    duration_s: Seconds
    result: Literal["answered", "voicemail", "busy", "no_answer", "failed"]
    purpose: ShortText | None = None
    summary: Annotated[LongText | None, Personal()] = None
    recording_ref: Annotated[ShortText | None, Personal()] = None

    def _would_be_life(self) -> bool:
        return self.direction == "inbound" or self.result == "answered"


class CallMissed(CustomerTouchpoint):
    """A call that nobody took. A sign of life only if inbound: the customer tried to reach us."""

    type_name = "call.missed.v1"
    who = "direction"
    life = True
    example = {
        "identifiers": [{"kind": "phone", "value": "+1 202 555 0143"}],
        "channel": "phone",
        "direction": "inbound",
        "reason": "outside office hours",
    }

    direction: Direction
    reason: ShortText | None = None

    def _would_be_life(self) -> bool:
        return self.direction == "inbound"
