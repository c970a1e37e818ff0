"""What a type demands beyond the shape of single fields: common fields, dates in order, channels, other people."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from sample_records import CODEC, SECRET, as_bytes, decode, event, rejection, with_data

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.json_schema import json_schema

ANN = {"kind": "email", "value": "ann@example.com"}


@pytest.mark.parametrize(
    ("type_name", "field"),
    [
        ("social.commented.v1", "platform"),
        ("social.posted.v1", "platform"),
        ("social.mentioned.v1", "platform"),
        ("campaign.exposed.v1", "campaign"),
        ("campaign.responded.v1", "campaign"),
        ("location.checked_in.v1", "location"),
        ("location.entered.v1", "location"),
        ("location.left.v1", "location"),
        ("quality.reviewed.v1", "staff"),
        ("account.updated.v1", "account"),
    ],
)
def test_some_types_require_a_common_field(type_name: str, field: str) -> None:
    for missing in (..., None):
        found = rejection(with_data(type_name, **{field: missing}))
        assert (found.reason, found.field) == ("invalid_field", f"data.{field}")


@pytest.mark.parametrize(
    ("type_name", "first", "last"),
    [("contract.signed.v1", "starts_on", "ends_on"), ("campaign.cost_recorded.v1", "from_on", "until_on")],
)
def test_a_span_of_dates_does_not_end_before_it_begins(type_name: str, first: str, last: str) -> None:
    found = rejection(with_data(type_name, **{first: "2026-02-01", last: "2026-01-31"}))
    assert (found.reason, found.field) == ("invalid_field", f"data.{last}")
    assert found.detail == f"expected a date not earlier than {first}"
    assert decode(with_data(type_name, **{first: "2026-02-01", last: "2026-02-01"})).type == type_name


def test_a_date_that_is_none_is_told_before_what_it_is_compared_with() -> None:
    assert rejection(with_data("contract.signed.v1", starts_on="2026-02-30")).field == "data.starts_on"


@pytest.mark.parametrize(
    ("type_name", "field", "value"),
    [("content.published.v1", "platform", "wechat"), ("campaign.cost_recorded.v1", "campaign", {"id": "spring"})],
)
def test_one_of_two_common_fields_is_enough_and_none_is_refused(type_name: str, field: str, value: Any) -> None:
    schema = jsonschema.Draft202012Validator(json_schema(CATALOGUE[type_name]))
    for channel, given in (("web", value), ("web", ...), (..., value)):
        record = with_data(type_name, **{"channel": channel, field: given})
        assert decode(record).anchor_id is None
        assert schema.is_valid(record)
    neither = with_data(type_name, **{"channel": ..., field: ...})
    found = rejection(neither)
    assert (found.reason, found.field) == ("invalid_field", f"data.{field}")
    assert found.detail == "expected this field or channel, or both"
    assert not schema.is_valid(neither)


def test_what_concerns_no_customer_carries_no_identifiers() -> None:
    silent = {name for name, data in CATALOGUE.items() if data.listed and not data.concerns_customer}
    assert silent == {
        "content.published.v1",
        "improvement.started.v1",
        "improvement.completed.v1",
        "campaign.cost_recorded.v1",
        "article.published.v1",
        "article.retired.v1",
    }
    for name in silent:
        assert decode(event(name)).anchor_id is None
        assert rejection(with_data(name, identifiers=[ANN])).field == "data.identifiers"


# What is learnt about a company, of nobody in particular


def test_news_of_a_company_may_name_nobody_and_then_have_no_anchor() -> None:
    nobody: tuple[Any, ...] = (..., [])
    for identifiers in nobody:
        found = decode(with_data("account.updated.v1", identifiers=identifiers, channel=...))
        assert (found.anchor_id, found.identifiers, found.channel, found.listed) == (None, (), None, True)
        assert CODEC.partition_key(CODEC.parse(found.value)) is None


def test_news_of_a_company_may_name_a_person_and_then_needs_a_channel() -> None:
    found = decode(with_data("account.updated.v1", identifiers=[ANN]))
    assert found.anchor_id == found.identifiers[0].identifier_id
    missing = with_data("account.updated.v1", identifiers=[ANN], channel=...)
    refused = rejection(missing)
    assert (refused.reason, refused.field) == ("invalid_field", "data.channel")
    assert not jsonschema.Draft202012Validator(json_schema(CATALOGUE["account.updated.v1"])).is_valid(missing)


def test_news_of_a_company_are_kept_though_the_person_cannot_be_made_out() -> None:
    found = decode(with_data("account.updated.v1", identifiers=[{"kind": "crm_id", "value": "NULL"}]))
    assert found.anchor_id is None
    assert [note.reason for note in found.data_quality] == ["blocked"]


def test_null_forgets_a_trait_of_a_company() -> None:
    record = with_data("account.updated.v1", traits={"size": None, "name": "Acme"})
    assert decode(record).data.traits.forgotten == {"size"}  # type: ignore[attr-defined]
    assert b'"traits":{"name":"Acme","size":null}' in CODEC.encode(CODEC.parse(as_bytes(record)))


# Identifiers that name nobody of this event


@pytest.mark.parametrize(
    ("type_name", "field"), [("referral.made.v1", "referred"), ("consent.granted.v1", "identifier")]
)
def test_an_identifier_in_a_field_of_its_own_names_nobody_of_the_event(type_name: str, field: str) -> None:
    named = [{"kind": "member_id", "value": "M-1"}]
    other = {"kind": "phone", "value": "+442079460958"}
    found = decode(with_data(type_name, identifiers=named, **{field: other}))
    assert [(one.kind, one.value) for one in found.identifiers] == [("member_id", "M-1")]
    assert found.decides is None
    assert rejection(with_data(type_name, **{field: {"kind": "phone"}})).field == f"data.{field}.value"
    assert rejection(with_data(type_name, identifiers=[], **{field: other})).reason == "no_usable_identifier"


# Channels in fields of their own


@pytest.mark.parametrize(
    ("type_name", "field"),
    [
        ("consent.granted.v1", "on_channel"),
        ("consent.withdrawn.v1", "on_channel"),
        ("preference.stated.v1", "preferred_channel"),
    ],
)
def test_a_channel_that_there_is_not_is_refused_wherever_it_stands(type_name: str, field: str) -> None:
    found = rejection(with_data(type_name, **{field: "e-mail"}))
    assert (found.reason, found.field) == ("invalid_field", f"data.{field}")
    assert "expected one of app, chat" in found.detail
    kiosk = Codec(IdentityPolicy(), SECRET, extra_channels=frozenset({"kiosk"}))
    assert decode(with_data(type_name, **{field: "kiosk"}), kiosk).type == type_name
    assert decode(with_data(type_name, **{field: ...})).type == type_name


@pytest.mark.parametrize("percent", [0, 100, "87.5", "100"])
def test_a_percentage_is_an_integer_or_an_exact_decimal(percent: Any) -> None:
    assert decode(with_data("quality.reviewed.v1", score_percent=percent)).type == "quality.reviewed.v1"


@pytest.mark.parametrize("percent", [-1, 101, "100.5", 87.5, "many", True])
def test_a_percentage_beyond_a_hundred_or_inexact_is_refused(percent: Any) -> None:
    assert rejection(with_data("opportunity.opened.v1", probability_percent=percent)).reason == "invalid_field"
