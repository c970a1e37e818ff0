"""A new type is one class: what it declares is all that the codec needs."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from sample_records import SECRET, decode, event, rejection

from customer_timeline.schemas import touchpoints
from customer_timeline.schemas.catalogue import CATALOGUE, AmbiguousType, discover_types
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.touchpoint import CompanyTouchpoint, CustomerTouchpoint
from customer_timeline.schemas.touchpoints.call import CallMissed
from customer_timeline.schemas.values import ThingId


class WindowDressed(CompanyTouchpoint):
    """We put something in the shop window."""

    type_name = "window.dressed.v1"
    who = "company"

    display: str


class GiftPacked(CustomerTouchpoint):
    """A gift is ready."""

    type_name = "gift.packed.v1"
    who = "company"

    followup_id: ThingId
    case_id: ThingId | None = None


NEW = (WindowDressed, GiftPacked)
CODEC = Codec(IdentityPolicy(), SECRET, catalogue={**CATALOGUE, **{data.type_name: data for data in NEW}})


def new_event(type_name: str, **data: Any) -> dict[str, Any]:
    return event("page.viewed.v1", type=type_name, data=data)


def test_what_concerns_no_customer_has_no_anchor_and_stands_in_the_timeline() -> None:
    found = decode(new_event("window.dressed.v1", display="spring"), CODEC)
    assert (found.anchor_id, found.identifiers, found.channel, found.listed) == (None, (), None, True)
    assert (found.actor, found.direction, found.sign_of_life) == ("company", "outbound", False)
    parsed = CODEC.parse(CODEC.encode(CODEC.parse(found.value)))
    assert CODEC.partition_key(parsed) is None


def test_what_concerns_no_customer_carries_no_identifiers() -> None:
    named = [{"kind": "email", "value": "ann@example.com"}]
    found = rejection(new_event("window.dressed.v1", display="spring", identifiers=named), CODEC)
    assert (found.reason, found.field) == ("invalid_field", "data.identifiers")


def test_a_channel_is_checked_even_where_it_may_be_left_out() -> None:
    found = rejection(new_event("window.dressed.v1", display="spring", channel="telepathy"), CODEC)
    assert found.field == "data.channel"


def test_a_new_type_that_names_things_continues_the_first_of_them() -> None:
    record = new_event("gift.packed.v1", channel="phone", followup_id="f-1", case_id="desk:1")
    found = decode(record, CODEC)
    assert [(thing.kind, thing.value) for thing in found.things] == [("case", "desk:1"), ("followup", "f-1")]
    assert found.continues_thing
    assert found.anchor_id == found.things[0].thing_id


def test_types_that_tests_define_are_none_of_the_product() -> None:
    assert discover_types() == dict(CATALOGUE)
    assert rejection(new_event("window.dressed.v1", display="spring")).reason == "unknown_type"


def test_one_type_declared_by_two_classes_is_told() -> None:
    twin = type("CallMissedTwin", (CallMissed,), {"__module__": f"{touchpoints.__name__}.twin"})
    with pytest.raises(AmbiguousType, match=r"call\.missed\.v1"):
        discover_types()
    del twin
    gc.collect()
    assert discover_types() == dict(CATALOGUE)
