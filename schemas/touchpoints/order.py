"""Orders: placed and cancelled, before they become revenue."""

from __future__ import annotations

from typing import Annotated

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.touchpoints.purchase import Items
from customer_timeline.schemas.values import LongText, Money, Personal, ThingId


class OrderPlaced(CustomerTouchpoint):
    """The customer ordered. No revenue yet: that is `purchase.completed`."""

    type_name = "order.placed.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "web",
        "order_id": "shopify:1001",
        "total": {"amount": "59.90", "currency": "EUR"},
        "items": [{"sku": "LAMP-1", "name": "Desk lamp", "quantity": 1, "amount": "59.90"}],
    }

    order_id: ThingId
    total: Money
    items: Items | None = None


class OrderCancelled(CustomerTouchpoint):
    """The order was called off. A contact, but no sign of life."""

    type_name = "order.cancelled.v1"
    who = "customer"
    example = {"channel": "phone", "order_id": "shopify:1002", "reason": "found it cheaper"}

    order_id: ThingId
    reason: Annotated[LongText | None, Personal()] = None
