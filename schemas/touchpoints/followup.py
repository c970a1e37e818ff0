"""Follow-ups: what we mean to do for a customer, by when, and what became of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import Instant, LongText, Personal, ThingId, Token


class Followup(CustomerTouchpoint):
    """Names the follow-up that it is about."""

    who = "company"

    followup_id: ThingId


class FollowupPlanned(Followup):
    """We mean to call, write to or visit the customer by `due_at`."""

    type_name = "followup.planned.v1"
    example = {
        "identifiers": [{"kind": "crm_id", "value": "C-1001"}],
        "channel": "crm",
        "followup_id": "crm:F-88",
        "due_at": "2026-02-10T09:00:00Z",
        "medium": "call",
        "assignee": "agent-7",
        "reason": "Wants to decide in February.",
        "intent": "nurture",
    }

    due_at: Annotated[Instant, Field(description="Overdue from then on.")]
    medium: Literal["call", "mail", "visit", "message"]
    assignee: Annotated[Token | None, Field(description="The member of staff who is to do it.")] = None
    reason: Annotated[LongText | None, Personal()] = None


class FollowupDone(Followup):
    """What was planned has been done."""

    type_name = "followup.done.v1"
    example = {
        "channel": "phone",
        "followup_id": "crm:F-88",
        "outcome": "Sends the order next week.",
        "staff": {"id": "agent-7"},
    }

    outcome: Annotated[LongText | None, Personal()] = None


class FollowupCancelled(Followup):
    """What was planned will not be done."""

    type_name = "followup.cancelled.v1"
    example = {"channel": "crm", "followup_id": "crm:F-88", "reason": "ordered already"}

    reason: Annotated[LongText | None, Personal()] = None
