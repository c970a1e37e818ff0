"""Purchases: count, first and last, exact sums per currency, and the days on which the customer bought.

Revenue is what `purchase.completed` says; `purchase.refunded` takes from it. Recurring charges are revenue and count,
but no purchase day: a machine that charges every month says nothing about how often somebody buys. Their days are a
set of their own.
A *passive* purchase is no sign of life (a machine made it, or somebody on the customer's behalf), yet a purchase day.
What wins a customer back must be told to the instant, and a day that began with a passive purchase hides when the
customer bought on purpose: so from the first passive purchase on, those and the days of deliberate ones are kept apart.
Sums are exact (`projections.amounts`) and days are a set (`projections.days`), so order does not matter.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, TypedDict

from customer_timeline.projections import amounts, days, packing
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.instants import rfc3339_or_none
from customer_timeline.schemas.decoded import EPOCH, DecodedEvent
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded

_INSTANT_BYTES: Final = 9  # a multiple of 3: 12 characters
_INSTANT_WIDTH: Final = 12


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
    # Each absent where there is nothing to keep in it:
    recurring_day_set: str  # the days of recurring charges
    passive_instants: str  # projections.packing: 9 bytes each, microseconds since 1970
    deliberate_day_set: str  # absent without a passive purchase: `day_set` is the same set then


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
    day = calendar.day(us)
    if data.recurring:
        recurring = purchases.get("recurring_day_set", days.EMPTY)
        purchases["recurring_day_set"] = days.with_instant(recurring, day, us)
        return
    if not event.sign_of_life:
        _fold_passive(purchases, us)
    elif "deliberate_day_set" in purchases:
        purchases["deliberate_day_set"] = days.with_instant(purchases["deliberate_day_set"], day, us)
    purchases["day_set"] = days.with_instant(purchases["day_set"], day, us)
    purchases["days"] = days.count(purchases["day_set"])


def _fold_passive(purchases: PurchaseFacts, us: int) -> None:
    purchases.setdefault("deliberate_day_set", purchases["day_set"])
    purchases["passive_instants"] = packing.with_record(
        purchases.get("passive_instants", ""), _INSTANT_WIDTH, us.to_bytes(_INSTANT_BYTES, "big")
    )


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
    if "passive_instants" in into or "passive_instants" in other:
        into["deliberate_day_set"] = days.union(deliberate_day_set(into), deliberate_day_set(other))
        into["passive_instants"] = packing.union(
            into.get("passive_instants", ""), other.get("passive_instants", ""), _INSTANT_WIDTH
        )
    if "recurring_day_set" in other:
        recurring = into.get("recurring_day_set", days.EMPTY)
        into["recurring_day_set"] = days.union(recurring, other["recurring_day_set"])
    into["day_set"] = days.union(into["day_set"], other["day_set"])
    into["days"] = days.count(into["day_set"])


def deliberate_day_set(purchases: PurchaseFacts) -> str:
    """The days on which the customer bought on purpose, a packed set (`projections.days`)."""
    return purchases.get("deliberate_day_set", purchases.get("day_set", days.EMPTY))


def came_back_us(purchases: PurchaseFacts, us: int) -> int | None:
    """The first purchase at or after an instant that no recurring charge made.

    Passive purchases are known to the instant. Of deliberate ones the first of each day is looked at: exact for an
    instant that does not lie within a day after a deliberate purchase.
    """
    deliberate_us = days.first_from(deliberate_day_set(purchases), us)
    passive = purchases.get("passive_instants", "")
    index = packing.position(passive, _INSTANT_WIDTH, us.to_bytes(_INSTANT_BYTES, "big"))
    found = packing.split(passive[index * _INSTANT_WIDTH : (index + 1) * _INSTANT_WIDTH], _INSTANT_WIDTH)
    passive_us = int.from_bytes(found[0], "big") if found else None
    return min((one for one in (deliberate_us, passive_us) if one is not None), default=None)


def bought_from_us(purchases: PurchaseFacts, us: int) -> int | None:
    """The first or last purchase of a day, recurring charges included, that is the earliest at or after an instant."""
    found = (
        days.bound_from(packed, us)
        for packed in (purchases.get("day_set", days.EMPTY), purchases.get("recurring_day_set", days.EMPTY))
    )
    return min((one for one in found if one is not None), default=None)


def median_gap_days(purchases: PurchaseFacts) -> int | float | None:
    """The median of the days between neighbouring purchase days: whole, or ending in .5 (a float that is exact).

    None below two purchase days.
    """
    twice = days.twice_median_gap(purchases.get("day_set", days.EMPTY))
    if twice is None:
        return None
    return twice // 2 if twice % 2 == 0 else twice / 2


def next_due_on(purchases: PurchaseFacts) -> str | None:
    """The day, `YYYY-MM-DD` in the business zone, on which the next purchase is due if the customer goes on as before:
    the last purchase day and the median gap, half a day rounded up. None below two purchase days.
    """
    packed = purchases.get("day_set", days.EMPTY)
    twice = days.twice_median_gap(packed)
    if twice is None:
        return None
    return date.fromordinal(EPOCH.toordinal() + days.day_numbers(packed)[-1] + (twice + 1) // 2).isoformat()


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
