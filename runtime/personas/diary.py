"""How a persona's events are written: times in days before the end, ids that depend on the order of writing alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from customer_timeline.producers import touchpoints as made
from customer_timeline.producers.touchpoints import Campaign, Event, IdentifierRef, Item, Money

AnyEvent = Event[Any]

SHOP: Final = "https://shop.example.com"
PRODUCTS: Final = (
    ("LAMP-1", "Desk lamp", "lighting", "39.90"),
    ("LAMP-2", "Floor lamp", "lighting", "129.00"),
    ("MUG-3", "Mug", "kitchen", "9.50"),
    ("KETTLE-1", "Kettle", "kitchen", "54.00"),
    ("CHAIR-7", "Office chair", "furniture", "249.00"),
    ("SHELF-2", "Shelf", "furniture", "89.00"),
    ("RUG-5", "Rug", "textiles", "149.00"),
)
Basket = Sequence[tuple[str, str, str, str]]
Who = Sequence[IdentifierRef]


def usd(amount: Decimal | str) -> Money:
    """So many US dollars."""
    return made.money(amount, "USD")


class Diary:
    """Writes one person's events, told in days before `until`."""

    def __init__(self, key: str, until: datetime) -> None:
        self._key = key
        self._until = until
        self._written = 0

    def ago(self, days: float) -> datetime:
        """The instant so many days before the end, to the second."""
        return self._until - timedelta(seconds=round(days * 86_400))

    def day(self, days: float) -> date:
        """The day so many days before the end; negative: after it."""
        return self.ago(days).date()

    def id(self) -> str:
        """The next id."""
        self._written += 1
        return f"{self._key}-{self._written:04}"

    def tell(
        self,
        build: Callable[..., AnyEvent],
        source: str,
        days: float,
        channel: str | None = None,
        who: Who = (),
        **said: Any,
    ) -> AnyEvent:
        """The event that `build` (a function of `producers.touchpoints`) makes of what is said; its id is the next."""
        shared: dict[str, Any] = {"source": source, "id": self.id(), "time": self.ago(days), "channel": channel}
        if who:
            shared["identifiers"] = list(who)
        return build(**{**shared, **said})

    def page(self, days: float, who: Who, sku: str = "LAMP-1") -> AnyEvent:
        """A look at a product's page."""
        dwell_ms = 1000 * (8 + self._written % 60)
        return self.tell(
            made.page_viewed, "web", days, "web", who, url=f"{SHOP}/p/{sku.lower()}", sku=sku, dwell_ms=dwell_ms
        )

    def purchase(self, days: float, who: Who, order: str, basket: Basket, **said: Any) -> AnyEvent:
        """An order that became revenue."""
        total = total_of(basket)
        cost = usd((total * Decimal("0.6")).quantize(Decimal("0.01")))
        # The shop's own id of the event is that of the order: whatever is told again about it is the same event.
        return self.tell(
            made.purchase_completed, "shop", days, "web", who,
            **{"id": order, "order_id": order, "total": usd(total), "cost": cost, "items": items_of(basket), **said},
        )  # fmt: skip

    def delivery(self, days: float, order: str) -> AnyEvent:
        """What the carrier says: it knows the order, not the person."""
        return self.tell(
            made.delivery_completed, "carrier", days, "partner",
            id=f"{order}-delivered", order_id=order, shipment_id=f"S-{order}",
        )  # fmt: skip

    def newsletter(self, days: float, to: IdentifierRef, campaign: str) -> tuple[AnyEvent, str]:
        """A mail that we sent, and its id."""
        message = self.id()
        mail = self.tell(
            made.email_sent, "mailer", days, "email", [to], id=message, message_id=message, subject="What is new",
            campaign=Campaign(id=campaign, medium="newsletter"), intent="nurture",
        )  # fmt: skip
        return mail, message


def total_of(basket: Basket) -> Decimal:
    """The price of everything in it."""
    return sum((Decimal(price) for *_, price in basket), Decimal(0))


def items_of(basket: Basket) -> list[Item]:
    """The lines of an order, one of each."""
    return [Item(sku=s, name=n, category=c, quantity=1, amount=Decimal(p)) for s, n, c, p in basket]
