"""Revenue: orders that became revenue, what was paid of them, and what was given back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import (
    Flag,
    LongText,
    Money,
    Part,
    Personal,
    Quantity,
    ShortText,
    SignedAmount,
    Sku,
    ThingId,
    Token,
)

MAX_ITEMS = 1000


class Item(Part):
    """A line of an order. `amount` is the line's total in the order's currency; a discount is a negative line."""

    sku: Sku
    name: ShortText | None = None
    category: ShortText | None = None
    quantity: Quantity
    amount: SignedAmount


Items = Annotated[tuple[Item, ...], Field(max_length=MAX_ITEMS)]


class PurchaseCompleted(CustomerTouchpoint):
    """An order became revenue; one an order. A recurring charge is revenue but no sign of life: nobody did anything."""

    type_name = "purchase.completed.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}, {"kind": "email", "value": "ann@example.com"}],
        "channel": "web",
        "order_id": "shopify:1001",
        "total": {"amount": "59.90", "currency": "EUR"},
        "cost": {"amount": "31.20", "currency": "EUR"},
        "items": [
            {"sku": "LAMP-1", "name": "Desk lamp", "category": "lighting", "quantity": 1, "amount": "49.90"},
            {"sku": "BULB-7", "quantity": 2, "amount": "10.00"},
        ],
        "coupon_id": "SPRING10",
    }

    order_id: ThingId
    total: Money
    cost: Money | None = None
    items: Items | None = None
    coupon_id: Token | None = None
    recurring: Flag | None = None

    def _would_be_life(self) -> bool:
        return not self.recurring


class PaymentReceived(CustomerTouchpoint):
    """Money for an order came in, whole or as an instalment. Not revenue again: the purchase is."""

    type_name = "payment.received.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "web",
        "order_id": "shopify:1001",
        "payment_id": "stripe:pi-301",
        "total": {"amount": "29.95", "currency": "EUR"},
    }

    order_id: ThingId
    payment_id: Token
    total: Money


class PurchaseRefunded(CustomerTouchpoint):
    """Money of an order was given back, in part or whole."""

    type_name = "purchase.refunded.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "web",
        "order_id": "shopify:1001",
        "refund_id": "shopify:r-77",
        "total": {"amount": "10.00", "currency": "EUR"},
        "items": [{"sku": "BULB-7", "quantity": 2, "amount": "10.00"}],
        "reason": "broken on arrival",
    }

    order_id: ThingId
    refund_id: Token
    total: Money
    items: Items | None = None
    reason: Annotated[LongText | None, Personal()] = None
