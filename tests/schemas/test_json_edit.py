"""Values put at places of a JSON document, and taken out."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from customer_timeline.schemas.json_edit import JsonPointerError, with_value, without

DOCUMENT: dict[str, Any] = {"data": {"items": [{"sku": "a"}, {"sku": "b"}], "a/b": 1, "m~n": 2}}


@pytest.mark.parametrize(
    ("pointer", "value", "data"),
    [
        ("/data/new", [1], {**DOCUMENT["data"], "new": [1]}),
        ("/data/a~1b", 9, {**DOCUMENT["data"], "a/b": 9}),
        ("/data/m~0n", None, {**DOCUMENT["data"], "m~n": None}),
        ("/data/items/1/sku", "c", {**DOCUMENT["data"], "items": [{"sku": "a"}, {"sku": "c"}]}),
        ("/data/items/0", 5, {**DOCUMENT["data"], "items": [5, {"sku": "b"}]}),
        ("/data/items/-", 5, {**DOCUMENT["data"], "items": [{"sku": "a"}, {"sku": "b"}, 5]}),
    ],
)
def test_a_value_is_put_where_the_pointer_leads_and_the_original_stays(pointer: str, value: Any, data: Any) -> None:
    before = repr(DOCUMENT)
    assert with_value(DOCUMENT, pointer, value) == {"data": data}
    assert repr(DOCUMENT) == before


def test_the_empty_pointer_is_the_whole_document() -> None:
    assert with_value(DOCUMENT, "", [1]) == [1]


def test_what_stands_at_a_place_is_taken_out() -> None:
    assert without({"a": [1, 2, 3], "b": 1}, "/a/1") == {"a": [1, 3], "b": 1}
    assert without({"a": 1, "b": 1}, "/b") == {"a": 1}


@pytest.mark.parametrize("pointer", ["data", "/nothing/x", "/data/items/2", "/data/items/01", "/data/a~1b/x"])
def test_a_pointer_that_leads_nowhere_is_refused_by_name(pointer: str) -> None:
    with pytest.raises(JsonPointerError, match="cannot be followed") as caught:
        with_value(DOCUMENT, pointer, 1)
    assert pickle.loads(pickle.dumps(caught.value)).pointer == pointer  # noqa: S301 - our own
    with pytest.raises(JsonPointerError, match="cannot be followed"):
        without(DOCUMENT, pointer)


@pytest.mark.parametrize("pointer", ["", "/data/none", "/data/items/-"])
def test_nothing_cannot_be_taken_out(pointer: str) -> None:
    with pytest.raises(JsonPointerError):
        without(DOCUMENT, pointer)
