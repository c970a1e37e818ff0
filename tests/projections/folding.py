"""Given / when / then for the customer's facts: events made by hand and folded by the pure core.

Events are made as the codec hands them over, with the real models of `schemas/touchpoints`, but with short ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.schemas.decoded import DecodedEvent, Identifier, to_micros
from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.touchpoints.consent import PreferenceStated
from customer_timeline.schemas.touchpoints.profile import AccountUpdated, ProfileUpdated
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded

ANN = "00000000-0000-0000-0000-00000000000a"
ANN_PHONE = "00000000-0000-0000-0000-0000000000a1"


def event_id(number: int) -> str:
    """A canonical id that sorts like its number."""
    return f"00000000-0000-5000-8000-{number:012x}"


def decoded(
    kind: type[TouchpointData],
    at: str | datetime,
    fields: dict[str, Any],
    *,
    number: int = 1,
    identifiers: Iterable[str] = (ANN,),
    source: str = "shop",
) -> DecodedEvent:
    """The event of a type, at an instant (RFC 3339), with `fields` as its data; `number` makes its id."""
    occurred_at = datetime.fromisoformat(at) if isinstance(at, str) else at
    data = kind.model_validate(fields)
    return DecodedEvent(
        event_id=event_id(number),
        type=kind.type_name,
        source=source,
        id=str(number),
        occurred_at=occurred_at,
        occurred_us=to_micros(occurred_at),
        recorded_at=occurred_at,
        revision=0,
        actor=data.acting(),
        sign_of_life=data.is_sign_of_life(),
        channel=getattr(data, "channel", None),
        identifiers=tuple(Identifier(known, "member_id", known) for known in identifiers),
        things=(),
        continues_thing=False,
        listed=kind.listed,
        data_quality=(),
        data=data,
        value=b"",
    )


def purchase(at: str, total: str, *, currency: str = "USD", number: int = 1, **fields: Any) -> DecodedEvent:
    """A purchase on the web; more fields (cost, recurring, channel) by name, money as `("3.10", "USD")`."""
    data: dict[str, Any] = {"channel": "web", "order_id": f"order-{number}", "total": _money(total, currency)}
    if "cost" in fields:
        data["cost"] = _money(*fields.pop("cost"))
    return decoded(PurchaseCompleted, at, data | fields, number=number)


def refund(at: str, total: str, *, currency: str = "USD", number: int = 1) -> DecodedEvent:
    """A refund on the web."""
    data = {"channel": "web", "order_id": "order-1", "refund_id": f"refund-{number}", "total": _money(total, currency)}
    return decoded(PurchaseRefunded, at, data, number=number)


def profile(
    at: str, *, number: int = 1, source: str = "crm", account: str | None = None, **traits: Any
) -> DecodedEvent:
    """What a source says about the person."""
    data = {"channel": "crm", "account": account, "traits": traits}
    return decoded(ProfileUpdated, at, data, number=number, source=source)


def account(at: str, *, number: int = 1, source: str = "erp", **traits: Any) -> DecodedEvent:
    """What a source says about the company of the person, `acme`."""
    data = {"channel": "crm", "account": "acme", "traits": traits}
    return decoded(AccountUpdated, at, data, number=number, source=source)


def preference(at: str, *, number: int = 1, source: str = "app", **stated: Any) -> DecodedEvent:
    """What the person said of themselves."""
    return decoded(PreferenceStated, at, {"channel": "app", **stated}, number=number, source=source)


def _money(amount: str, currency: str) -> dict[str, Any]:
    return {"amount": Decimal(amount), "currency": currency}


class Customer:
    """`given(...)` events, in one zone; `then` are the facts in each of the three forms that readers meet."""

    def __init__(self, *events: DecodedEvent, zone: str = "UTC") -> None:
        self.projection = CustomerProjection(BusinessCalendar(zone))
        self.facts = self.projection.initial()
        for event in events:
            self.projection.apply(self.facts, event)

    def when(self, *events: DecodedEvent) -> Customer:
        """Fold more events, after the facts went through the table and back."""
        self.facts = self.projection.decode(self.projection.encode(self.facts))
        for event in events:
            self.projection.apply(self.facts, event)
        return self

    def merged_with(self, other: Customer) -> Customer:
        """The other customer's facts are combined into this one's."""
        self.projection.combine(self.facts, other.facts)
        return self

    def then(self) -> dict[str, Any]:
        """What the API shows."""
        return self.projection.describe(self.facts)


def given(*events: DecodedEvent, zone: str = "UTC") -> Customer:
    """A customer with these events, business days cut in `zone`."""
    return Customer(*events, zone=zone)


def folded(projection: CustomerProjection, events: Iterable[DecodedEvent]) -> CustomerFacts:
    """The facts of the events, in the order given."""
    facts = projection.initial()
    for event in events:
        projection.apply(facts, event)
    return facts
