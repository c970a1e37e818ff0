"""Complaints: cases that a customer opens, we resolve, and the customer may reopen."""

from __future__ import annotations

from typing import Annotated, Literal

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, ShortText, Sku, ThingId, Token


class ComplaintOpened(CustomerTouchpoint):
    """The customer complained."""

    type_name = "complaint.opened.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "case_id": "desk:501",
        "theme": "late delivery",
        "description": "Promised for Monday, still not here.",
        "severity": "normal",
        "order_id": "shopify:1001",
    }

    case_id: ThingId
    theme: ShortText
    description: Annotated[LongText | None, Personal()] = None
    severity: Literal["low", "normal", "high"] | None = None
    sku: Sku | None = None
    order_id: ThingId | None = None


class ComplaintResolved(CustomerTouchpoint):
    """We solved the case."""

    type_name = "complaint.resolved.v1"
    who = "company"
    example = {
        "channel": "email",
        "case_id": "desk:501",
        "solution": "Sent again by express.",
        "article_id": "kb-12",
        "staff": {"id": "agent-7", "team": "service"},
    }

    case_id: ThingId
    solution: Annotated[LongText | None, Personal()] = None
    article_id: Token | None = None


class ComplaintReopened(CustomerTouchpoint):
    """The customer is not content with the solution."""

    type_name = "complaint.reopened.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "phone", "value": "+1 202 555 0143"}],
        "channel": "phone",
        "case_id": "desk:501",
        "reason": "The replacement is broken too.",
    }

    case_id: ThingId
    reason: Annotated[LongText | None, Personal()] = None
