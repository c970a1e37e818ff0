"""Hypothesis strategies of the values that events are made of, drawn from small pools so that events meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Json = dict[str, Any]

FROM, UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)

# Several spellings of one value stand beside each other on purpose.
IDENTIFIERS: tuple[Json, ...] = (
    {"kind": "member_id", "value": "M-1"},
    {"kind": "member_id", "value": "M-2"},
    {"kind": "user_id", "value": "u1"},
    {"kind": "crm_id", "value": " C-1 "},
    {"kind": "open_id:wechat", "value": "wx1"},
    {"kind": "email", "value": "ann@example.com"},
    {"kind": "email", "value": " Ann@Example.COM "},
    {"kind": "email", "value": "bob@example.com"},
    {"kind": "email", "value": "cy@bücher.example"},
    {"kind": "phone", "value": "+12025550143"},
    {"kind": "phone", "value": "(202) 555-0143"},
    {"kind": "phone", "value": "+442079460958"},
    {"kind": "device_id", "value": "d-1"},
    {"kind": "device_id", "value": "d-2"},
)
# Dropped with a note: a blocked value, one that is no address, a kind that nobody knows.
UNUSABLE: tuple[Json, ...] = (
    {"kind": "member_id", "value": "NULL"},
    {"kind": "email", "value": "not an address"},
    {"kind": "aura", "value": "blue"},
)
ORDERS = ("shop:1", "shop:2", "shop:3")
CASES = ("desk:1", "desk:2")
CONTRACTS = ("sap:1", "sap:2")
OPPORTUNITIES = ("crm:1", "crm:2")
FOLLOWUPS = ("crm:1", "crm:2")

# No surrogates and no controls: what is refused or left to the storage has tests of its own.
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
seconds = st.integers(0, 7200)
amounts = st.builds(
    lambda units, places: f"{units}.{places}" if places else str(units),
    st.integers(0, 9999),
    st.sampled_from(("", "5", "50", "05", "999999")),
)
signed_amounts = st.builds(lambda sign, amount: sign + amount, st.sampled_from(("", "-")), amounts)
money = st.fixed_dictionaries({"amount": amounts, "currency": st.sampled_from(("USD", "EUR"))})
dates = st.dates().map(lambda day: day.isoformat())
orders, cases, contracts = st.sampled_from(ORDERS), st.sampled_from(CASES), st.sampled_from(CONTRACTS)
opportunities, followups = st.sampled_from(OPPORTUNITIES), st.sampled_from(FOLLOWUPS)
percents = st.one_of(st.integers(0, 100), st.sampled_from(("0", "87.5", "100")))
items = st.lists(
    st.fixed_dictionaries(
        {
            "sku": st.sampled_from(("LAMP-1", "BULB-7")),
            "quantity": st.one_of(st.integers(0, 20), amounts),
            "amount": signed_amounts,
        },
        optional={"name": words, "category": st.sampled_from(("lighting", "garden"))},
    ),
    max_size=3,
)
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        words,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=5,
)


def instants(least: datetime = FROM, greatest: datetime = UNTIL) -> SearchStrategy[str]:
    """RFC 3339 texts between two aware instants, in whole milliseconds and in various zones."""
    span = (greatest - least) // timedelta(milliseconds=1)

    def written(millis: int, zone_minutes: int | None) -> str:
        at = least + timedelta(milliseconds=millis)
        if zone_minutes is None:
            return at.isoformat().replace("+00:00", "Z")
        return at.astimezone(timezone(timedelta(minutes=zone_minutes))).isoformat()

    return st.builds(written, st.integers(0, span), st.sampled_from((None, 0, 120, -330, 765)))


def date_span(first: str, last: str) -> SearchStrategy[Json]:
    """Two dates in order."""
    return st.lists(st.dates(), min_size=2, max_size=2).map(
        lambda days: {first: min(days).isoformat(), last: max(days).isoformat()}
    )
