"""Loyalty: members of a programme, their points, and whom they bring."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint, IdentifierRef
from customer_timeline.schemas.values import Money, Personal, Quantity, Token


class LoyaltyTouchpoint(CustomerTouchpoint):
    """Names the programme."""

    program: Token


class LoyaltyJoined(LoyaltyTouchpoint):
    """The customer became a member."""

    type_name = "loyalty.joined.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}, {"kind": "email", "value": "ann@example.com"}],
        "channel": "store",
        "program": "bright",
    }


class LoyaltyPointsEarned(LoyaltyTouchpoint):
    """Points were credited. No sign of life: what earned them is."""

    type_name = "loyalty.points_earned.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "store",
        "program": "bright",
        "points": 59,
    }

    points: Quantity


class LoyaltyPointsSpent(LoyaltyTouchpoint):
    """The customer paid with points."""

    type_name = "loyalty.points_spent.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "web",
        "program": "bright",
        "points": 500,
    }

    points: Quantity


class ReferralMade(CustomerTouchpoint):
    """The customer recommended us. `referred` names the other person: it links nobody and is no sighting of them."""

    type_name = "referral.made.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "app",
        "referred": {"kind": "email", "value": "bob@example.com"},
        "code": "ANN-FRIENDS",
    }

    referred: IdentifierRef | None = None
    code: Annotated[Token | None, Personal(), Field(description="The code that the other person may use.")] = None


class ReferralRewarded(CustomerTouchpoint):
    """We rewarded the customer for a recommendation."""

    type_name = "referral.rewarded.v1"
    who = "company"
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "app",
        "code": "ANN-FRIENDS",
        "value": {"amount": "10.00", "currency": "EUR"},
    }

    code: Annotated[Token | None, Personal()] = None
    value: Money | None = None
