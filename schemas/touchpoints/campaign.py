"""Marketing: whom a campaign reached, who responded, coupons, and what it cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customer_timeline.schemas.field_rules import at_least_one, not_before, required_without
from customer_timeline.schemas.touchpoint import Campaign, CompanyTouchpoint, CustomerTouchpoint
from customer_timeline.schemas.values import IsoDate, LongText, Money, Personal, ThingId, Token


class CampaignExposed(CustomerTouchpoint):
    """We showed or sent the customer something of a campaign."""

    type_name = "campaign.exposed.v1"
    who = "company"
    example = {
        "identifiers": [{"kind": "device_id", "value": "5f0c1d52-7f0e-4f0b-9d51-0a6f7d1c9b11"}],
        "channel": "web",
        "campaign": {"id": "spring-2026", "medium": "banner", "content": "banner-2"},
    }

    campaign: Campaign


class CampaignResponded(CustomerTouchpoint):
    """The customer responded to a campaign."""

    type_name = "campaign.responded.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "mail",
        "campaign": {"id": "spring-2026", "medium": "letter"},
        "response": "asked for the catalogue",
    }

    campaign: Campaign
    response: Annotated[LongText | None, Personal()] = None


class CouponRedeemed(CustomerTouchpoint):
    """The customer used a coupon, mostly with an order."""

    type_name = "coupon.redeemed.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "web",
        "coupon_id": "SPRING10",
        "order_id": "shopify:1001",
        "value": {"amount": "5.00", "currency": "EUR"},
    }

    coupon_id: Token
    order_id: ThingId | None = None
    value: Money | None = None


class CampaignCostRecorded(CompanyTouchpoint):
    """What a campaign, a channel, or a campaign on a channel cost from `from_on` to `until_on`, both days included."""

    model_config = at_least_one("channel", "campaign")

    type_name = "campaign.cost_recorded.v1"
    who = "system"
    example = {
        "channel": "web",
        "campaign": {"id": "spring-2026"},
        "cost_id": "ads:2026-03",
        "cost": {"amount": "1800.00", "currency": "EUR"},
        "from_on": "2026-03-01",
        "until_on": "2026-03-31",
    }

    campaign: Annotated[
        Campaign | None,
        Field(validate_default=True, description="Required where no channel is given."),
        required_without("channel"),
    ] = None
    cost_id: Token
    cost: Money
    from_on: IsoDate
    until_on: Annotated[IsoDate, not_before("from_on")]
