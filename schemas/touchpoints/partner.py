"""Third parties: partners who send us customers, marketplaces that list us, advertisements."""

from __future__ import annotations

from typing import Annotated

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, Token


class PartnerTouchpoint(CustomerTouchpoint):
    """Happened at a third party, and names it."""

    partner: Token
    listing: Token | None = None
    ad: Token | None = None
    note: Annotated[LongText | None, Personal()] = None


class PartnerReferred(PartnerTouchpoint):
    """A partner sent us the person."""

    type_name = "partner.referred.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "partner",
        "partner": "interiors-guild",
        "note": "Furnishes an office in spring.",
    }


class ListingViewed(PartnerTouchpoint):
    """The customer looked at our listing on a marketplace."""

    type_name = "listing.viewed.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "device_id", "value": "5f0c1d52-7f0e-4f0b-9d51-0a6f7d1c9b11"}],
        "channel": "marketplace",
        "platform": "tmall",
        "partner": "tmall",
        "listing": "tmall:55012",
    }


class AdClicked(PartnerTouchpoint):
    """The customer clicked an advertisement."""

    type_name = "ad.clicked.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "device_id", "value": "5f0c1d52-7f0e-4f0b-9d51-0a6f7d1c9b11"}],
        "channel": "web",
        "campaign": {"id": "spring-2026", "medium": "cpc", "content": "banner-2"},
        "partner": "google",
        "ad": "ad-7781",
    }
