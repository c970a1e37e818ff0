"""What is no event: every record is refused with a reason, a type and a field, and never by another exception."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_records import APPENDED, CODEC, as_bytes, decode, event, rejection, with_data
from strategies import event_json

from customer_timeline.schemas.envelope import MAX_EVENT_BYTES
from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent, RejectionReason


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("specversion", ...),
        ("id", ""),
        ("id", 7),
        ("id", "a\nb"),
        ("id", "a\x00b"),
        ("id", "x" * 513),
        ("id", ...),
        ("source", ""),
        ("source", "a b"),
        ("source", "a\nb"),
        ("source", ...),
        ("time", None),
        ("time", "2026-01-31T09:30:00"),
        ("time", ...),
        ("revision", -1),
        ("revision", 2**31),
        ("revision", 1.0),
        ("revision", "1"),
        ("revision", True),
        ("revision", None),
        ("datacontenttype", "text/xml"),
        ("subject", ""),
        ("recordedtime", 1),
        ("data", None),
        ("data", []),
        ("data", ...),
        ("Subject", "x"),
        ("comment", "x"),
        ("data_base64", "e30="),
    ],
)
def test_a_wrong_attribute_of_the_envelope_is_named(attribute: str, value: Any) -> None:
    found = rejection(event("page.viewed.v1", **{attribute: value}))
    assert (found.reason, found.type, found.field) == ("invalid_envelope", "page.viewed.v1", attribute)


def test_the_optional_attributes_of_cloudevents_are_accepted() -> None:
    optional = dict.fromkeys(
        ("dataschema", "subject", "partitionkey", "sequence", "traceparent", "tracestate", "dataref"), "x"
    )
    assert decode(event("page.viewed.v1", **optional, datacontenttype="application/json; charset=utf-8"))


@pytest.mark.parametrize(
    ("type_name", "reason"),
    [
        ("page.viewed", "unknown_type"),
        ("page.viewed.v2", "unknown_type"),
        ("PAGE.VIEWED.V1", "unknown_type"),
        ("order.dreamt.v1", "unknown_type"),
        ("", "unknown_type"),
        (7, "invalid_envelope"),
        (None, "invalid_envelope"),
        (["page.viewed.v1"], "invalid_envelope"),
        ({}, "invalid_envelope"),
        (True, "invalid_envelope"),
        (..., "invalid_envelope"),
    ],
)
def test_a_type_that_is_not_known_is_told_from_one_that_is_no_type(type_name: Any, reason: str) -> None:
    found = rejection(event("page.viewed.v1", type=type_name))
    assert (found.reason, found.field) == (reason, "type")


def test_a_type_that_cannot_be_shown_is_not_repeated() -> None:
    for type_name in ("x" * 101, "a\x00b", "ann@example.com", "a b"):
        found = rejection(event("page.viewed.v1", type=type_name))
        assert found.type is None
        assert type_name not in str(found)


@pytest.mark.parametrize(
    ("type_name", "fields", "path"),
    [
        ("purchase.completed.v1", {"total": {"currency": "EUR"}}, "data.total.amount"),
        ("purchase.completed.v1", {"total": {"amount": 5, "currency": "EUR"}}, "data.total.amount"),
        ("purchase.completed.v1", {"items": [{"sku": "A"}]}, "data.items[0].quantity"),
        ("purchase.completed.v1", {"recurring": "yes"}, "data.recurring"),
        ("purchase.completed.v1", {"recurring": 1}, "data.recurring"),
        ("call.completed.v1", {"duration_s": 1.5}, "data.duration_s"),
        ("call.completed.v1", {"duration_s": 2**31}, "data.duration_s"),
        ("call.completed.v1", {"duration_s": -1}, "data.duration_s"),
        ("call.completed.v1", {"direction": "sideways"}, "data.direction"),
        ("survey.answered.v1", {"csat": 6}, "data.csat"),
        ("survey.answered.v1", {"nps": -1}, "data.nps"),
        ("survey.answered.v1", {"nps": "9"}, "data.nps"),
        ("page.viewed.v1", {"identifiers": [{"kind": "Email", "value": "x"}]}, "data.identifiers[0].kind"),
        ("page.viewed.v1", {"identifiers": [{"kind": "email"}]}, "data.identifiers[0].value"),
        ("page.viewed.v1", {"identifiers": [{"kind": "email", "value": 5}]}, "data.identifiers[0].value"),
        ("page.viewed.v1", {"identifiers": None}, "data.identifiers"),
        ("page.viewed.v1", {"actor": "robot"}, "data.actor"),
        ("page.viewed.v1", {"automated": "no"}, "data.automated"),
        ("page.viewed.v1", {"staff": {"id": "x", "phone": "y"}}, "data.staff.phone"),
        ("profile.updated.v1", {"traits": {"shoe_size": "44"}}, "data.traits.shoe_size"),
        ("profile.updated.v1", {"traits": {"emails": "a@example.com"}}, "data.traits.emails"),
        ("profile.updated.v1", {"traits": {"addresses": [{"city": "x"}]}}, "data.traits.addresses[0].kind"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(type_name: str, fields: dict[str, Any], path: str) -> None:
    found = rejection(with_data(type_name, **fields))
    assert (found.reason, found.type, found.field) == ("invalid_field", type_name, path)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"{'a': 1}",
        b'{"a": 01}',
        b"\x00",
        b"[" * 100000,
        b'{"a":' * 300,
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\x01"}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_told_so(value: bytes | None) -> None:
    with pytest.raises(InvalidEvent) as caught:
        CODEC.decode(value, appended_at=APPENDED)
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize("value", [b"[]", b"null", b"1", b"true", b'"x"', b"NaN", b"[{}]", b"-Infinity", b"1e400"])
def test_json_that_is_no_object_is_no_envelope(value: bytes) -> None:
    assert rejection(value).reason == "invalid_envelope"


def test_one_mebibyte_is_the_greatest_event() -> None:
    record = as_bytes(event("page.viewed.v1"))
    assert decode(record + b" " * (MAX_EVENT_BYTES - len(record)))
    assert rejection(record + b" " * (MAX_EVENT_BYTES - len(record) + 1)).reason == "too_large"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400])
def test_numbers_that_no_store_can_hold_are_refused(literal: str) -> None:
    record = json.dumps(with_data("page.viewed.v1", attributes={"a": "HERE"})).replace('"HERE"', literal)
    found = rejection(record.encode())
    assert (found.reason, found.field) == ("invalid_field", "data.attributes")


def test_nul_in_a_text_is_left_to_the_storage() -> None:
    assert decode(with_data("page.viewed.v1", title="a\x00b")).data.title == "a\x00b"  # type: ignore[attr-defined]


SECRETS = ("ann.secret@example.com", "+12025550199", "Geheim")


@pytest.mark.parametrize(
    "record",
    [
        with_data("page.viewed.v1", identifiers=[{"kind": "Geheim", "value": "ann.secret@example.com"}]),
        with_data("page.viewed.v1", identifiers=[{"kind": "member_id", "value": ["ann.secret@example.com"]}]),
        with_data("page.viewed.v1", identifiers=[{"kind": "email", "value": "ann.secret@example.com Geheim"}]),
        with_data("page.viewed.v1", identifiers="ann.secret@example.com"),
        with_data("page.viewed.v1", **{"ann.secret@example.com": 1}),
        with_data("page.viewed.v1", attributes={"ann.secret@example.com": 10**30}),
        with_data("profile.updated.v1", traits={"birthday": "Geheim", "phones": "+12025550199"}),
        with_data("identity.linked.v1", b={"kind": "phone", "value": "ann.secret@example.com"}),
        event("ann.secret@example.com" and "page.viewed.v1", type="ann.secret@example.com"),
        event("page.viewed.v1", time="ann.secret@example.com"),
    ],
)
def test_no_error_quotes_what_the_record_says(record: dict[str, Any]) -> None:
    told = str(rejection(record))
    assert not [secret for secret in SECRETS if secret in told]


def test_an_error_is_one_sentence_with_its_parts_as_fields() -> None:
    found = rejection(with_data("survey.answered.v1", csat=6))
    assert isinstance(found, InvalidEvent)
    assert isinstance(found, CustomerTimelineError)
    assert found.reason is RejectionReason.INVALID_FIELD
    assert str(found) == "invalid_field (survey.answered.v1 at data.csat): Input should be less than or equal to 5"
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own bytes
    assert (again.reason, again.type, again.field, str(again)) == (found.reason, found.type, found.field, str(found))


# Fuzzing: only InvalidEvent, whatever the bytes

_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)),
    max_leaves=10,
)


def _never_crashes(value: bytes) -> None:
    # Any other exception fails the test by itself.
    with contextlib.suppress(InvalidEvent):
        decode(value)


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(value: bytes) -> None:
    _never_crashes(value)


@given(_json)
def test_any_json_is_decoded_or_refused(value: Any) -> None:
    _never_crashes(json.dumps(value).encode())


@given(event_json(), st.data())
def test_an_event_with_one_value_replaced_is_decoded_or_refused(record: dict[str, Any], data: st.DataObject) -> None:
    changed = copy.deepcopy(record)
    at: Any = changed
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(_json)
        break
    _never_crashes(json.dumps(changed).encode())


@given(event_json(), st.integers(0, 2000), st.binary(max_size=4))
def test_an_event_with_bytes_overwritten_is_decoded_or_refused(record: dict[str, Any], at: int, noise: bytes) -> None:
    value = as_bytes(record)
    at %= len(value)
    _never_crashes(value[:at] + noise + value[at + len(noise) :])
