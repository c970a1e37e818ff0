"""Fulfilment: what carriers report. They may know only the order, not the person."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import Instant, LongText, Personal, ShortText, ThingId, Token


class Delivery(CustomerTouchpoint):
    """Names the order, and which of its shipments."""

    who = "system"

    order_id: ThingId
    shipment_id: Token | None = None


class DeliveryPromised(Delivery):
    """The order, or one shipment of it, is to arrive by `due_at`. The last promise counts."""

    type_name = "delivery.promised.v1"
    example = {"channel": "web", "order_id": "shopify:1001", "due_at": "2026-02-03T18:00:00Z"}

    due_at: Annotated[Instant, Field(description="The latest time at which it is to arrive.")]


class DeliveryShipped(Delivery):
    """A shipment of the order left."""

    type_name = "delivery.shipped.v1"
    example = {
        "channel": "partner",
        "order_id": "shopify:1001",
        "shipment_id": "dhl:00340434161094",
        "carrier": "DHL",
        "tracking": "00340434161094",
    }

    carrier: ShortText | None = None
    tracking: Annotated[ShortText | None, Personal()] = None


class DeliveryCompleted(Delivery):
    """A shipment of the order arrived."""

    type_name = "delivery.completed.v1"
    example = {"channel": "partner", "order_id": "shopify:1001", "shipment_id": "dhl:00340434161094"}


class DeliveryFailed(Delivery):
    """A shipment of the order could not be handed over."""

    type_name = "delivery.failed.v1"
    example = {
        "channel": "partner",
        "order_id": "shopify:1001",
        "shipment_id": "dhl:00340434161094",
        "reason": "nobody at home",
    }

    reason: Annotated[LongText | None, Personal()] = None
