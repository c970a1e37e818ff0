"""Two records say the same if and only if their canonical hashes are equal."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_records import CODEC, as_bytes, event, with_data
from strategies import event_json


def content(record: Any) -> bytes:
    return CODEC.canonical_hash(record if isinstance(record, bytes) else as_bytes(record))


def purchase(**fields: Any) -> dict[str, Any]:
    return with_data("purchase.completed.v1", **fields)


def test_the_hash_is_sha256_of_type_source_id_and_data_with_sorted_keys() -> None:
    record = event("delivery.completed.v1", id="1", source="/s", data={"order_id": "o", "channel": "web"})
    written = b'{"data":{"channel":"web","order_id":"o"},"id":"1","source":"/s","type":"delivery.completed.v1"}'
    assert content(record) == hashlib.sha256(written).digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (purchase(total={"amount": "1.5", "currency": "EUR"}), purchase(total={"amount": "1.500", "currency": "EUR"})),
        (
            purchase(items=[{"sku": "A", "quantity": 2, "amount": "1"}]),
            purchase(items=[{"sku": "A", "quantity": "2.0", "amount": "1.00"}]),
        ),
        (purchase(cost=...), purchase(cost=None)),
        (purchase(recurring=...), purchase(recurring=None)),
        (event("page.viewed.v1"), event("page.viewed.v1", time="2020-01-01T00:00:00+01:00")),
        (event("page.viewed.v1"), event("page.viewed.v1", revision=7)),
        (event("page.viewed.v1"), event("page.viewed.v1", recordedtime="2020-01-01T00:00:00Z")),
        (event("delivery.completed.v1"), with_data("delivery.completed.v1", identifiers=[])),
        (
            with_data("page.viewed.v1", attributes={"a": 1, "b": 2}),
            with_data("page.viewed.v1", attributes={"b": 2, "a": 1}),
        ),
    ],
)
def test_what_makes_no_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert content(one) == content(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (purchase(), purchase(total={"amount": "59.91", "currency": "EUR"})),
        (purchase(), purchase(total={"amount": "59.90", "currency": "USD"})),
        (purchase(), purchase(identifiers=[{"kind": "member_id", "value": "M-4711"}])),
        (purchase(recurring=False), purchase(recurring=...)),
        (event("page.viewed.v1"), event("page.viewed.v1", id="other")),
        (event("page.viewed.v1"), event("page.viewed.v1", source="/other")),
        (event("page.viewed.v1"), with_data("page.viewed.v1", automated=True)),
        (with_data("profile.updated.v1", traits={}), with_data("profile.updated.v1", traits={"gender": None})),
        (
            with_data("profile.updated.v1", traits={"emails": []}),
            with_data("profile.updated.v1", traits={"emails": None}),
        ),
        (with_data("page.viewed.v1", attributes={"a": 1}), with_data("page.viewed.v1", attributes={"a": "1"})),
    ],
)
def test_what_makes_a_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert content(one) != content(other)


def _shuffled(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, dict):
        return {key: _shuffled(value[key], data) for key in data.draw(st.permutations(list(value)))}
    return [_shuffled(inner, data) for inner in value] if isinstance(value, list) else value


@given(event_json(), st.data())
def test_notation_never_makes_a_difference(record: dict[str, Any], data: st.DataObject) -> None:
    other = _shuffled(copy.deepcopy(record), data)
    other["time"] = "2020-02-02T02:02:02Z"
    written = json.dumps(other, indent=data.draw(st.sampled_from([None, 1])), ensure_ascii=data.draw(st.booleans()))
    assert content(written.encode()) == content(record)
