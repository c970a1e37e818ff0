"""Exact decimals, instants and bounded texts: what enters the log, and what does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sample_records import decode, rejection, with_data

from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted
from customer_timeline.schemas.values import Amount, Instant, IsoDate, Latitude, Money, Quantity, SignedAmount

AMOUNT, SIGNED, QUANTITY = TypeAdapter(Amount), TypeAdapter(SignedAmount), TypeAdapter(Quantity)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("12", "12.00"),
        ("1.5", "1.50"),
        ("1.50", "1.50"),
        ("1.500000", "1.50"),
        ("1.000001", "1.000001"),
        ("007", "7.00"),
        ("0", "0.00"),
        ("999999999999999.999999", "999999999999999.999999"),
    ],
)
def test_equal_amounts_have_one_text(text: str, canonical: str) -> None:
    value = AMOUNT.validate_json(f'"{text}"')
    assert value == Decimal(text)
    assert AMOUNT.dump_python(value, mode="json") == canonical


def test_minus_zero_is_zero() -> None:
    assert str(SIGNED.validate_json('"-0.00"')) == "0.00"
    assert str(SIGNED.validate_json('"-1.5"')) == "-1.50"


@pytest.mark.parametrize(
    "given_json",
    [
        "12",
        "12.5",
        "1e3",
        "null",
        "true",
        "[]",
        "{}",
        '""',
        '" 1"',
        '"1."',
        '".5"',
        '"1,5"',
        '"+1"',
        '"1e3"',
        '"NaN"',
        '"Infinity"',
        '"-1"',
        '"1.0000001"',
        '"1000000000000000"',
        '"１２"',
        '"0x1f"',
        '"1_000"',
        '"1\\n"',
    ],
)
def test_what_is_no_exact_amount_is_refused(given_json: str) -> None:
    with pytest.raises(ValidationError):
        AMOUNT.validate_json(given_json)


@pytest.mark.parametrize(
    "value", [12.5, True, float("nan"), Decimal("NaN"), Decimal("1.0000001"), Decimal("1e15"), None, b"1"]
)
def test_code_cannot_hand_over_what_is_not_exact(value: Any) -> None:
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(value)


def test_a_number_of_too_many_digits_is_refused_not_crashed_on() -> None:
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(10**5000)


@pytest.mark.parametrize(
    ("value", "canonical"),
    [(12, "12.00"), (Decimal("12.500000000"), "12.50"), (Decimal("1E+2"), "100.00"), ("3.1", "3.10")],
)
def test_code_may_hand_over_exact_numbers(value: Any, canonical: str) -> None:
    assert str(AMOUNT.validate_python(value)) == canonical


@given(st.decimals(0, 10**15 - 1, places=6, allow_nan=False, allow_infinity=False))
def test_every_amount_of_six_decimals_keeps_its_value(value: Decimal) -> None:
    text = AMOUNT.dump_python(AMOUNT.validate_python(value), mode="json")
    assert Decimal(text) == value
    assert AMOUNT.validate_json(f'"{text}"') == value


@pytest.mark.parametrize(
    ("given_json", "canonical"), [("2", "2"), ('"2"', "2"), ('"2.0"', "2"), ('"0.750"', "0.75"), ("0", "0")]
)
def test_quantities_are_integers_or_decimals(given_json: str, canonical: str) -> None:
    value = QUANTITY.validate_json(given_json)
    assert QUANTITY.dump_python(value, mode="json") == canonical


@pytest.mark.parametrize("given_json", ["2.0", "-1", '"-1"', "true", "1e3", "1000000000000000", "null", '"x"', "[]"])
def test_what_is_no_quantity_is_refused(given_json: str) -> None:
    with pytest.raises(ValidationError):
        QUANTITY.validate_json(given_json)


def test_a_wrong_quantity_is_reported_at_its_field() -> None:
    items = [{"sku": "A", "quantity": 1, "amount": "1"}, {"sku": "B", "quantity": 0.5, "amount": "1"}]
    assert rejection(with_data("purchase.completed.v1", items=items)).field == "data.items[1].quantity"


def test_a_discount_is_a_negative_line_but_no_total_is_negative() -> None:
    items = [{"sku": "A", "quantity": 1, "amount": "-5.00"}]
    assert decode(with_data("purchase.completed.v1", items=items)).data.items[0].amount == Decimal(-5)  # type: ignore[attr-defined]
    total = {"amount": "-5.00", "currency": "EUR"}
    assert rejection(with_data("purchase.completed.v1", total=total)).field == "data.total.amount"


@pytest.mark.parametrize("currency", ["usd", "US", "USDT", "", "€€€", 840])
def test_a_currency_is_three_capital_letters(currency: object) -> None:
    total = {"amount": "5.00", "currency": currency}
    assert rejection(with_data("purchase.completed.v1", total=total)).field == "data.total.currency"


def test_coordinates_lie_on_the_earth() -> None:
    latitude = TypeAdapter(Latitude)
    assert str(latitude.validate_json('"-90"')) == "-90"
    with pytest.raises(ValidationError):
        latitude.validate_json('"90.000001"')


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T09:30:00Z",
        "2026-01-31t09:30:00z",
        "2026-01-31 09:30:00+00:00",
        "2026-01-31T11:30:00.000+02:00",
        "2026-01-31T09:30:00.000000000Z",
        "2026-01-31T04:00:00-05:30",
    ],
)
def test_spellings_of_one_instant_are_equal(text: str) -> None:
    instant = TypeAdapter(Instant)
    found = instant.validate_json(f'"{text}"')
    assert found == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert instant.dump_python(found, mode="json") == "2026-01-31T09:30:00Z"


@pytest.mark.parametrize(
    "given_json",
    [
        "1700000000",
        '"1700000000"',
        "1.5",
        "null",
        '""',
        '"2026-01-31"',
        '"2026-01-31T09:30:00"',
        '"2026-01-31T09:30Z"',
        '"2026-02-29T00:00:00Z"',
        '"2026-01-31T24:00:00Z"',
        '"2026-01-31T09:30:60Z"',
        '"now"',
        '"2026-01-31T09:30:00+25:00"',
    ],
)
def test_what_is_no_instant_with_a_zone_is_refused(given_json: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_json(given_json)


def test_code_hands_over_aware_instants_only() -> None:
    instant = TypeAdapter(Instant)
    zone = timezone(timedelta(hours=2))
    assert instant.dump_python(datetime(2026, 1, 31, 11, 30, tzinfo=zone), mode="json") == "2026-01-31T09:30:00Z"
    with pytest.raises(ValidationError):
        instant.validate_python(datetime(2026, 1, 31))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize(
    "given_json", ["1", '"1988"', '"1988-5-7"', '"1988-02-30"', '"1988-05-17T00:00:00Z"', '"0"', "true"]
)
def test_what_is_no_date_is_refused(given_json: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(IsoDate).validate_json(given_json)


def test_a_date_may_be_a_date_in_code() -> None:
    assert TypeAdapter(IsoDate).validate_python(date(1988, 5, 17)) == date(1988, 5, 17)


def test_data_built_in_code_is_immutable() -> None:
    data = PurchaseCompleted(channel="web", order_id="o-1", total=Money(amount=Decimal("9.9"), currency="EUR"))
    with pytest.raises(ValidationError, match="frozen"):
        data.order_id = "o-2"  # type: ignore[misc]


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("attributes", "accepted"),
    [
        ({}, True),
        ({"a": {"b": [1, 2.5, None, True, "x"]}}, True),
        ({"a": 2**63 - 1, "b": -(2**63)}, True),
        ({"a": 2**63}, False),
        ({"a": _nested(7)}, True),
        ({"a": _nested(8)}, False),
        ({"a": list(range(997))}, True),
        ({"a": list(range(1000))}, False),
        ({"k" * 256: 1}, True),
        ({"k" * 257: 1}, False),
        ([], False),
        ("text", False),
    ],
)
def test_attributes_are_any_bounded_json(attributes: Any, accepted: bool) -> None:
    record = with_data("page.viewed.v1", attributes=attributes)
    if accepted:
        assert decode(record).data.attributes == attributes
    else:
        assert rejection(record).field == "data.attributes"


@pytest.mark.parametrize("order_id", ["", " o-1", "o-1 ", "o\n1", "o\x001", "x" * 257, 1001, None])
def test_the_id_of_a_thing_is_a_bounded_text_without_blanks_around_it(order_id: object) -> None:
    assert rejection(with_data("delivery.completed.v1", order_id=order_id)).field == "data.order_id"


@pytest.mark.parametrize("order_id", ["1", "shopify:1001", "Auftrag 7/ä", "x" * 256])
def test_the_id_of_a_thing_may_hold_any_letters(order_id: str) -> None:
    assert decode(with_data("delivery.completed.v1", order_id=order_id)).things[0].value == order_id
