"""Purchases: count, first and last, exact sums per currency, and the days on which the customer bought.

Revenue is what `purchase.completed` says; `purchase.refunded` takes from it. Recurring charges are revenue and count,
but no purchase day: a machine that charges every month says nothing about how often somebody buys (design: events.md).
Sums are exact (`projections.amounts`) and days are a set (`projections.days`), so order does not matter.
"""

from __future__ import annotations

from typing import Any, TypedDict

from customer_timeline.projections import amounts, days
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.instants import rfc3339_or_none
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded


class CurrencyFacts(TypedDict):
    """Decimal text, at least two decimals. Net is not held: it is gross - refunds."""

    gross: str
    refunds: str
    cost: str  # of the purchases that told it


class PurchaseFacts(TypedDict, total=False):
    """What `facts->'purchases'` holds: {} before the first purchase or refund, `first_us` and `last_us` with the first
    one."""

    count: int
    first_us: int
    last_us: int
    by_currency: dict[str, CurrencyFacts]
    days: int
    day_set: str  # projections.days


def fold_completed(
    purchases: PurchaseFacts, event: DecodedEvent, data: PurchaseCompleted, calendar: BusinessCalendar
) -> None:
    """Count a purchase. One event is one purchase: one `purchase.completed` an order is the contract of the log."""
    us = event.occurred_us
    _begin(purchases)
    purchases["count"] += 1
    purchases["first_us"] = min(us, purchases.get("first_us", us))
    purchases["last_us"] = max(us, purchases.get("last_us", us))
    total = _currency(purchases, data.total.currency)
    total["gross"] = amounts.added(total["gross"], amounts.to_units(data.total.amount))
    if data.cost is not None:
        cost = _currency(purchases, data.cost.currency)
        cost["cost"] = amounts.added(cost["cost"], amounts.to_units(data.cost.amount))
    if not data.recurring:
        purchases["day_set"] = days.with_instant(purchases["day_set"], calendar.day(us), us)
        purchases["days"] = days.count(purchases["day_set"])


def fold_refunded(purchases: PurchaseFacts, data: PurchaseRefunded) -> None:
    """Take a refund from revenue, whether or not its purchase has arrived yet."""
    _begin(purchases)
    total = _currency(purchases, data.total.currency)
    total["refunds"] = amounts.added(total["refunds"], amounts.to_units(data.total.amount))


def _begin(purchases: PurchaseFacts) -> None:
    if not purchases:
        purchases["count"] = purchases["days"] = 0
        purchases["by_currency"] = {}
        purchases["day_set"] = days.EMPTY


def _currency(purchases: PurchaseFacts, currency: str) -> CurrencyFacts:
    found = purchases["by_currency"].get(currency)
    if found is None:
        found = purchases["by_currency"][currency] = {
            "gross": amounts.ZERO,
            "refunds": amounts.ZERO,
            "cost": amounts.ZERO,
        }
    return found


def combine(into: PurchaseFacts, other: PurchaseFacts) -> None:
    """Add the purchases of other events."""
    if not other:
        return
    _begin(into)
    into["count"] += other["count"]
    if "first_us" in other:
        into["first_us"] = min(other["first_us"], into.get("first_us", other["first_us"]))
        into["last_us"] = max(other["last_us"], into.get("last_us", other["last_us"]))
    for currency, theirs in other["by_currency"].items():
        mine = _currency(into, currency)
        for part in ("gross", "refunds", "cost"):
            mine[part] = amounts.summed(mine[part], theirs[part])
    into["day_set"] = days.union(into["day_set"], other["day_set"])
    into["days"] = days.count(into["day_set"])


def median_gap_days(purchases: PurchaseFacts) -> int | float | None:
    """The median of the days between neighbouring purchase days: whole, or ending in .5 (a float that is exact).

    None below two purchase days.
    """
    twice = days.twice_median_gap(purchases.get("day_set", days.EMPTY))
    if twice is None:
        return None
    return twice // 2 if twice % 2 == 0 else twice / 2


def describe(purchases: PurchaseFacts) -> dict[str, Any]:
    """The purchases as the API shows them: amounts as text, instants RFC 3339 UTC or None, currencies sorted."""
    return {
        "count": purchases.get("count", 0),
        "days": purchases.get("days", 0),
        "first_at": rfc3339_or_none(purchases.get("first_us")),
        "last_at": rfc3339_or_none(purchases.get("last_us")),
        "by_currency": {
            currency: {
                "gross": sums["gross"],
                "refunds": sums["refunds"],
                "net": amounts.difference(sums["gross"], sums["refunds"]),
                "cost": sums["cost"],
            }
            for currency, sums in sorted(purchases.get("by_currency", {}).items())
        },
        "median_gap_days": median_gap_days(purchases),
    }
