"""Records that are no events, each with the reason that its dead letter must give. No producer writes such bytes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "good",
    "source": "shop",
    "type": "survey.answered.v1",
    "time": "2024-05-01T10:00:00Z",
    "data": {
        "survey_id": "s1",
        "csat": 4,
        "via": "online",
        "channel": "web",
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
    },
}
PURCHASE: dict[str, Any] = {
    **GOOD,
    "type": "purchase.completed.v1",
    "data": {
        "order_id": "shop:1",
        "total": {"amount": "12.50", "currency": "USD"},
        "channel": "web",
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
    },
}
DECISION: dict[str, Any] = {
    **GOOD,
    "type": "identity.linked.v1",
    "data": {
        "a": {"kind": "email", "value": "ann@example.com"},
        "b": {"kind": "phone", "value": "+14155552671"},
        "reason": "same",
        "operator": "ops",
    },
}


@dataclass(frozen=True)
class Poison:
    """`value` None is a record without a value (a tombstone)."""

    name: str
    value: bytes | None
    reason: str
    headers: tuple[tuple[str, bytes], ...] = ()


def _json(event: Any) -> bytes:
    return json.dumps(event).encode()


def _event(name: str, base: dict[str, Any] = GOOD, /, **changes: Any) -> dict[str, Any]:
    event = {**copy.deepcopy(base), "id": f"poison-{name}", **changes}
    return {key: value for key, value in event.items() if value is not ...}


def _broken(name: str, reason: str, base: dict[str, Any] = GOOD, /, **changes: Any) -> Poison:
    return Poison(name, _json(_event(name, base, **changes)), reason)


def _data(name: str, reason: str, base: dict[str, Any] = GOOD, /, **changes: Any) -> Poison:
    data = {key: value for key, value in {**base["data"], **changes}.items() if value is not ...}
    return _broken(name, reason, base, data=data)


def _text(name: str, reason: str, edit: Callable[[str], str], base: dict[str, Any] = GOOD) -> Poison:
    """Where Python's JSON cannot write it: the text of a good event, edited."""
    return Poison(name, edit(json.dumps(_event(name, base))).encode(), reason)


def _attribute(literal: str) -> Callable[[str], str]:
    return lambda text: text.replace('"csat": 4', f'"csat": 4, "attributes": {{"x": {literal}}}')


POISONS: tuple[Poison, ...] = (
    Poison("tombstone", None, "not_json"),
    Poison("empty", b"", "not_json"),
    Poison("plain text", b"hello", "not_json"),
    Poison("binary", bytes(range(256)), "not_json"),
    Poison("truncated", _json(GOOD)[:90], "not_json"),
    Poison("trailing garbage", _json(_event("trailing")) + b" {}", "not_json"),
    Poison("not UTF-8", _json(_event("latin")).replace(b"shop", b"sh\xf6p"), "not_json"),
    Poison("UTF-16", json.dumps(GOOD).encode("utf-16"), "not_json"),
    Poison("single quotes", str(GOOD).encode(), "not_json"),
    _text("lone surrogate", "not_json", _attribute('"\\ud800"')),
    _text("nested ten thousand deep", "not_json", _attribute("[" * 10_000 + "]" * 10_000)),
    Poison("more than a megabyte", _json(_event("big", data={"text": "x" * 1_100_000})), "too_large"),
    Poison("array", b"[]", "invalid_envelope"),
    Poison("string", b'"event"', "invalid_envelope"),
    Poison("null", b"null", "invalid_envelope"),
    Poison("number", b"42", "invalid_envelope"),
    Poison("empty object", b"{}", "invalid_envelope"),
    _broken("no id", "invalid_envelope", id=...),
    _broken("id is a number", "invalid_envelope", id=7),
    _broken("empty id", "invalid_envelope", id=""),
    _broken("id with NUL", "invalid_envelope", id="a\x00b"),
    _broken("id longer than an index row", "invalid_envelope", id="x" * 10_000),
    _broken("no source", "invalid_envelope", source=...),
    _broken("old specversion", "invalid_envelope", specversion="0.3"),
    _broken("no time", "invalid_envelope", time=...),
    _broken("time without a zone", "invalid_envelope", time="2024-05-01T10:00:00"),
    _broken("time is a number", "invalid_envelope", time=1714557600),
    _broken("time is no day", "invalid_envelope", time="2024-02-30T10:00:00Z"),
    _broken("negative revision", "invalid_envelope", revision=-1),
    _broken("revision beyond 32 bits", "invalid_envelope", revision=2**31),
    _broken("revision is text", "invalid_envelope", revision="1"),
    _broken("misspelt attribute", "invalid_envelope", tiem="2024-05-01T10:00:00Z"),
    _broken("no type", "invalid_envelope", type=...),
    _broken("unknown type", "unknown_type", type="content.invented.v1"),
    _broken("a version to come", "unknown_type", type="survey.answered.v99"),
    _broken("no data", "invalid_envelope", data=...),
    _broken("data is an array", "invalid_envelope", data=[1]),
    _data("unknown field", "invalid_field", smell="nice"),
    _data("wrong type of field", "invalid_field", csat="four"),
    _data("out of range", "invalid_field", csat=9),
    _data("required field missing", "invalid_field", survey_id=...),
    _data("no channel", "invalid_field", channel=...),
    _data("unknown channel", "invalid_field", channel="telepathy"),
    _data("identifiers are an object", "invalid_field", identifiers={"email": "ann@example.com"}),
    _data("21 identifiers", "invalid_field", identifiers=[{"kind": "crm_id", "value": str(n)} for n in range(21)]),
    _data("amount is a float", "invalid_field", PURCHASE, total={"amount": 12.5, "currency": "USD"}),
    _data("amount is NaN", "invalid_field", PURCHASE, total={"amount": "NaN", "currency": "USD"}),
    _data("amount of 400 digits", "invalid_field", PURCHASE, total={"amount": "9" * 400, "currency": "USD"}),
    _data("no such currency form", "invalid_field", PURCHASE, total={"amount": "1", "currency": "dollars"}),
    _text("bare NaN", "invalid_field", _attribute("NaN")),
    _text("bare Infinity", "invalid_field", _attribute("-Infinity")),
    _text("1e400", "invalid_field", _attribute("1e400")),
    _text("integer of 5000 digits", "not_json", _attribute("9" * 5000)),
    _broken("far future", "future", time="9999-12-31T23:59:59Z"),
    _broken("1969", "before_1970", time="1969-12-31T23:59:59.999999Z"),
    _data("no identifier and no thing", "no_usable_identifier", identifiers=[]),
    _data("only blocked identifiers", "no_usable_identifier", identifiers=[{"kind": "crm_id", "value": "NULL"}]),
    _data("over-long identifier", "no_usable_identifier", identifiers=[{"kind": "crm_id", "value": "é" * 300}]),
    _data("unknown kind of identifier", "no_usable_identifier", identifiers=[{"kind": "aura", "value": "blue"}]),
    _data("decision about a blocked value", "no_usable_identifier", DECISION, b={"kind": "crm_id", "value": "null"}),
    _broken("recorded ahead (attribute)", "recorded_ahead", recordedtime="2099-01-01T00:00:00Z"),
    Poison(
        "recorded ahead (header)",
        _json(_event("ahead-header")),
        "recorded_ahead",
        (("recordedtime", b"2099-01-01T00:00:00Z"),),
    ),
    _text("NUL in a text", "unstorable", _attribute('"a\\u0000b"')),
    _text("NUL in a key", "unstorable", lambda text: text.replace('"csat"', '"attributes": {"a\\u0000": 1}, "csat"')),
)
