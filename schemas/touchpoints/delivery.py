"""Fulfilment: what carriers report. They may know only the order, not the person."""

from __future__ import annotations

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import ThingId, Token


class DeliveryCompleted(CustomerTouchpoint):
    """A shipment of the order arrived."""

    type_name = "delivery.completed.v1"
    who = "system"
    example = {"channel": "partner", "order_id": "shopify:1001", "shipment_id": "dhl:00340434161094"}

    order_id: ThingId
    shipment_id: Token | None = None
