"""The typed functions: they cover the catalogue, say what their models say, and name the field at fault."""

from __future__ import annotations

import inspect
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from published_log import CODEC, NOON

from customer_timeline.producers import touchpoints
from customer_timeline.producers.generate import TARGET, generate
from customer_timeline.producers.touchpoints import (
    Item,
    Traits,
    email,
    event_retracted,
    identifier,
    identity_linked,
    identity_unlinked,
    member_id,
    money,
    open_id,
    page_viewed,
    phone,
    profile_updated,
    purchase_completed,
)
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason


def function_of(type_name: str) -> Any:
    stem, _, _ = type_name.rpartition(".")
    return getattr(touchpoints, stem.replace(".", "_"))


def test_the_generated_module_is_current() -> None:
    assert TARGET.read_text(encoding="utf-8") == generate(), "run python -m customer_timeline.producers.generate"


@pytest.mark.parametrize("type_name", CATALOGUE)
def test_every_type_has_a_function_that_builds_its_example(type_name: str) -> None:
    model = CATALOGUE[type_name]
    example = model.model_validate_json(json.dumps(model.example))
    said = {name: getattr(example, name) for name in example.model_fields_set}

    event = function_of(type_name)(source="/tests", id="1", time=NOON, revision=model.least_revision, **said)

    assert event.data == example
    assert CODEC.parse(CODEC.encode(event)) == event


@pytest.mark.parametrize("type_name", CATALOGUE)
def test_every_function_takes_every_field_of_its_type(type_name: str) -> None:
    function = function_of(type_name)
    parameters = dict(inspect.signature(function).parameters)
    shared = parameters.pop("shared").annotation.removeprefix("Unpack[").removesuffix("]")
    taken = parameters.keys() | getattr(touchpoints, shared).__annotations__.keys()

    assert taken == CATALOGUE[type_name].model_fields.keys() | {"source", "time", "id", "revision"}


def test_a_purchase_as_an_adapter_writes_it() -> None:
    event = purchase_completed(
        source="/shop",
        id="order-1001-paid",
        time=datetime.fromisoformat("2026-03-01T13:00:00+01:00"),
        identifiers=[email("Ann@Example.com "), member_id("M-1")],
        channel="web",
        order_id="shopify:1001",
        total=money("12.50", "USD"),
        items=[Item(sku="LAMP-1", quantity=Decimal(1), amount=Decimal("12.50"))],
    )

    assert json.loads(CODEC.encode(event)) == {
        "specversion": "1.0",
        "id": "order-1001-paid",
        "source": "/shop",
        "type": "purchase.completed.v1",
        "time": "2026-03-01T12:00:00Z",
        "data": {
            "channel": "web",
            "identifiers": [{"kind": "email", "value": "Ann@Example.com "}, {"kind": "member_id", "value": "M-1"}],
            "order_id": "shopify:1001",
            "total": {"amount": "12.50", "currency": "USD"},
            "items": [{"sku": "LAMP-1", "quantity": "1", "amount": "12.50"}],
        },
    }


def test_without_an_id_every_event_gets_its_own() -> None:
    def view() -> str:
        url = "https://shop.example.com/"
        return page_viewed(source="/shop", time=NOON, identifiers=[phone("1")], channel="web", url=url).id

    first, second = view(), view()

    assert first != second
    assert first[14] == second[14] == "7"  # the version's place in a UUID


def test_a_correction_without_the_id_of_what_it_corrects_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="carries the id of the event that it corrects") as caught:
        event_retracted(source="/shop", time=NOON, revision=1, reason="twice", operator="agent-7")
    assert caught.value.field == "id"


def test_a_trait_that_is_none_is_forgotten_and_one_left_out_is_not_said() -> None:
    event = profile_updated(
        source="/crm", time=NOON, identifiers=[email("a@example.com")], channel="crm", traits=Traits(birthday=None)
    )

    assert b'"traits":{"birthday":null}' in CODEC.encode(event)


@pytest.mark.parametrize("decided", [identity_linked, identity_unlinked])
def test_a_decision_names_two_identifiers(decided: Any) -> None:
    event = decided(
        source="/desk", time=NOON, a=open_id("wechat", "o6_bm"), b=member_id("M-1"), reason="asked", operator="agent-7"
    )

    assert event.data.a.kind == "open_id:wechat"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"order_id": ""}, "data.order_id"),
        ({"order_id": None}, "data.order_id"),
        ({"channel": 7}, "data.channel"),
        ({"identifiers": [{"kind": "EMAIL", "value": "secret@example.com"}]}, "data.identifiers.0.kind"),
        ({"time": datetime(2026, 3, 1, 12, 0)}, "time"),  # noqa: DTZ001 - without a zone on purpose
        ({"time": "secret@example.com"}, "time"),
        ({"source": "with a space secret@example.com"}, "source"),
        ({"revision": -1}, "revision"),
        ({"unheard_of": "secret@example.com"}, "data.unheard_of"),
        ({"recurring": "secret@example.com"}, "data.recurring"),
    ],
)
def test_the_field_at_fault_is_named_and_no_value_is_quoted(wrong: dict[str, Any], field: str) -> None:
    good = {
        "source": "/shop",
        "id": "1",
        "time": NOON,
        "identifiers": [email("secret@example.com")],
        "channel": "web",
        "order_id": "shopify:1",
        "total": money(1, "USD"),
    }

    with pytest.raises(InvalidEvent) as caught:
        purchase_completed(**{**good, **wrong})

    assert caught.value.field == field
    assert caught.value.type == "purchase.completed.v1"
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("amount", [12.5, "12,50", "NaN", "1e3", "-1", True, "0.1234567"])
def test_an_amount_that_is_not_exact_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        money(amount, "USD")
    assert caught.value.reason is RejectionReason.INVALID_FIELD
    assert caught.value.field == "money.amount"


def test_a_kind_of_identifier_that_no_setting_could_name_is_refused() -> None:
    with pytest.raises(InvalidEvent) as caught:
        identifier("E-Mail", "ann@example.com")
    assert caught.value.field == "identifierref.kind"
