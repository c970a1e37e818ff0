"""Sales: leads, and opportunities from the need to the win or the loss; before the order."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import IsoDate, LongText, Money, Percent, Personal, ShortText, Sku, ThingId, Token

_Intent = Annotated[ShortText | None, Personal(), Field(description="How much the customer means to buy, in words.")]


class LeadCreated(CustomerTouchpoint):
    """A person became known who may buy; `origin` says whence, such as an exhibition or a bought list."""

    type_name = "lead.created.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "crm_id", "value": "C-1001"}, {"kind": "email", "value": "ann@example.com"}],
        "channel": "event",
        "lead_id": "crm:L-77",
        "origin": "light fair 2026",
    }

    lead_id: Token
    origin: ShortText | None = None


class OpportunityOpened(CustomerTouchpoint):
    """Somebody may buy something. `intent` is here the customer's, not why we made contact."""

    type_name = "opportunity.opened.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "crm_id", "value": "C-1001"}],
        "channel": "field",
        "account": "acme",
        "opportunity_id": "crm:O-310",
        "need": "Light for forty desks.",
        "intent": "compares three offers",
        "sku": "LAMP-1",
        "budget": {"amount": "6000.00", "currency": "EUR"},
        "decision_on": "2026-03-31",
        "probability_percent": 60,
    }

    opportunity_id: ThingId
    need: Annotated[LongText | None, Personal()] = None
    # Another meaning than the common field has, as salespeople use the word.
    intent: _Intent = None  # type: ignore[assignment]
    sku: Sku | None = None
    budget: Money | None = None
    decision_on: Annotated[IsoDate | None, Field(description="When the customer means to decide.")] = None
    probability_percent: Percent | None = None


class OpportunityStageChanged(CustomerTouchpoint):
    """The opportunity moved to another stage of the sales process."""

    type_name = "opportunity.stage_changed.v1"
    who = "system"
    example = {"channel": "crm", "opportunity_id": "crm:O-310", "stage": "offer made"}

    opportunity_id: ThingId
    stage: ShortText


class OpportunityWon(CustomerTouchpoint):
    """The customer decided for us. No revenue by itself: that is `purchase.completed`."""

    type_name = "opportunity.won.v1"
    who = "system"
    example = {
        "channel": "crm",
        "opportunity_id": "crm:O-310",
        "total": {"amount": "5400.00", "currency": "EUR"},
    }

    opportunity_id: ThingId
    total: Money | None = None


class OpportunityLost(CustomerTouchpoint):
    """The customer decided against us, or not at all."""

    type_name = "opportunity.lost.v1"
    who = "system"
    example = {"channel": "crm", "opportunity_id": "crm:O-310", "reason": "too dear"}

    opportunity_id: ThingId
    reason: Annotated[LongText | None, Personal()] = None
