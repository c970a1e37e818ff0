"""An object that gives a key twice is refused wherever it stands and however it is written."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_records import CODEC, as_bytes, decode, event, rejection, with_data
from strategies import event_json

from customer_timeline.schemas.duplicate_keys import count_keys

TEXT = json.dumps(event("purchase.completed.v1"))


@pytest.mark.parametrize(
    ("one", "twice"),
    [
        ('"specversion":', '"specversion": "1.0", "specversion":'),
        ('"time":', '"time": "2020-01-01T00:00:00Z", "time":'),
        ('"data":', '"data": {}, "data":'),
        ('"order_id":', '"order_id": "other", "order_id":'),
        ('"currency":', '"currency": "USD", "currency":'),
        ('"kind":', '"kind": "phone", "kind":'),
        ('"quantity":', '"quantity": 5, "quantity":'),
        ('"order_id":', '"order_id" : "other", "order_id":'),
        ('"order_id":', '"order_id"\n: "other", "order_id":'),
        ('"order_id":', '"order_id"\t\r: "other", "order_id":'),
        ('"order_id":', '"order\\u005fid": "other", "order_id":'),
        ('"order_id":', '"attributes": {"a": 1, "b": {"a": 2, "a": 3}}, "order_id":'),
        ('"order_id":', '"attributes": {"a": [{"b": 1, "b": 1}]}, "order_id":'),
        ('"order_id":', '"attributes": {"a": "x\\":", "a": 1}, "order_id":'),
    ],
)
def test_a_key_given_twice_is_refused(one: str, twice: str) -> None:
    assert one in TEXT
    found = rejection(TEXT.replace(one, twice, 1).encode())
    assert (found.reason, found.type) == ("invalid_envelope", "purchase.completed.v1")
    assert "same key twice" in found.detail


def test_a_key_given_twice_in_an_unknown_type_is_refused_too() -> None:
    text = json.dumps(event("page.viewed.v1", type="page.viewed.v0"))
    assert "twice" in rejection(text.replace('"id":', '"id": "x", "id":', 1).encode()).detail


@pytest.mark.parametrize("title", ['say ":', '":":":', ' "a" : 1', '{"a":1,"a":2}', "\n\t", 'x" ', "\\u0022:"])
def test_texts_that_look_like_keys_are_no_keys(title: str) -> None:
    record = with_data("page.viewed.v1", title=title, attributes={title: {title: title}})
    for written in (json.dumps(record), json.dumps(record, indent=2), json.dumps(record, separators=(" , ", "\t: "))):
        assert decode(written.encode()).data.title == title  # type: ignore[attr-defined]


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_keys(inner) for inner in value.values())
    return sum(_keys(inner) for inner in value) if isinstance(value, list) else 0


@given(event_json())
def test_the_keys_of_any_event_are_counted(record: dict[str, Any]) -> None:
    assert count_keys(CODEC.parse(as_bytes(record))) == _keys(record)


@given(event_json(), st.data())
def test_any_member_written_twice_is_found(record: dict[str, Any], data: st.DataObject) -> None:
    record = copy.deepcopy(record)
    separators = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (",", " :"), (",\n", "\n:")]))
    at: Any = record
    while True:  # down to some object of the event
        inner = [
            value for value in (at.values() if isinstance(at, dict) else at) if isinstance(value, dict | list) and value
        ]
        if isinstance(at, dict) and at and (not inner or data.draw(st.booleans())):
            break
        if not inner:
            return
        at = data.draw(st.sampled_from(inner))
    key = data.draw(st.sampled_from(sorted(at)))
    mark = "\ue000"
    original, at[key] = at[key], {mark: at[key]}
    text = json.dumps(record, separators=separators, ensure_ascii=False)
    member = json.dumps(original, separators=separators, ensure_ascii=False)
    wrapped = json.dumps({mark: original}, separators=separators, ensure_ascii=False)
    name = json.dumps(key, ensure_ascii=False)
    doubled = text.replace(wrapped, f"{member}{separators[0]}{name}{separators[1]}{member}", 1)
    assert "twice" in rejection(doubled.encode()).detail
