"""What the codec makes of a valid record."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from sample_records import APPENDED, CODEC, SECRET, as_bytes, decode, event, rejection, with_data
from strategies import event_json

from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import Identifier, QualityNote, to_micros
from customer_timeline.schemas.envelope import EVENT_NAMESPACE, event_id, make_event
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted


def blake(name: str, domain: bytes = b"") -> str:
    digest = hashlib.blake2b(name.encode(), digest_size=16, key=SECRET, person=domain).digest()
    return str(uuid.UUID(bytes=digest))


def test_a_record_is_decoded_with_every_id_computed() -> None:
    record = event("purchase.completed.v1", source="/shop", id="o-1", time="2026-05-01T10:00:00.25+02:00", revision=3)
    found = decode(record)
    assert found.event_id == str(uuid.uuid5(EVENT_NAMESPACE, "/shop\no-1"))
    assert (found.type, found.source, found.id, found.revision) == ("purchase.completed.v1", "/shop", "o-1", 3)
    assert found.occurred_at == datetime(2026, 5, 1, 8, 0, 0, 250_000, tzinfo=UTC)
    assert found.occurred_at.tzinfo is UTC
    assert found.occurred_us == to_micros(found.occurred_at)
    assert found.recorded_at == APPENDED
    assert found.channel == "web"
    # member_id is the stronger kind, so it stands first.
    assert found.identifiers == (
        Identifier(blake("member_id:M-4711"), "member_id", "M-4711"),
        Identifier(blake("email:ann@example.com"), "email", "ann@example.com"),
    )
    assert [(thing.thing_id, thing.kind, thing.value) for thing in found.things] == [
        (blake("order:shopify:1001", b"thing"), "order", "shopify:1001")
    ]
    assert found.anchor_id == found.strongest_id == blake("member_id:M-4711")
    assert found.value == as_bytes(record)
    assert found.data_quality == ()
    assert found.decides is None


@given(event_json())
def test_every_valid_event_is_decoded_and_published_bytes_say_the_same(record: dict[str, object]) -> None:
    value = as_bytes(record)
    found = decode(value)
    published = CODEC.encode(CODEC.parse(value))
    again = decode(published)
    assert again._replace(value=value) == found
    assert CODEC.canonical_hash(published) == CODEC.canonical_hash(value) == CODEC.canonical_hash(found)
    assert CODEC.encode(CODEC.parse(published)) == published


@given(event_json())
def test_the_record_key_is_the_anchor_or_the_decided_identifier(record: dict[str, object]) -> None:
    found = decode(record)
    key = CODEC.partition_key(CODEC.parse(as_bytes(record)))
    anchor = found.decides[0].identifier_id if found.decides else found.anchor_id
    assert key == (anchor.encode() if anchor else None)


def test_event_ids_are_those_of_uuid5() -> None:
    for source, name in (("/a", "1"), ("urn:x:ü", "π"), ("/shop", "x" * 500)):
        assert event_id(source, name) == str(uuid.uuid5(EVENT_NAMESPACE, f"{source}\n{name}"))


def test_ids_depend_on_the_secret() -> None:
    other = Codec(IdentityPolicy(), b"another secret of the tests")
    record = event("purchase.completed.v1")
    assert decode(record).strongest_id != decode(record, other).strongest_id
    assert decode(record).event_id == decode(record, other).event_id


def test_the_same_identifier_in_two_spellings_is_one() -> None:
    record = with_data(
        "email.opened.v1",
        identifiers=[{"kind": "email", "value": " ANN@Example.com"}, {"kind": "email", "value": "ann@example.com"}],
    )
    assert [identifier.value for identifier in decode(record).identifiers] == ["ann@example.com"]


def test_equal_ranks_are_ordered_by_id() -> None:
    emails = [{"kind": "email", "value": f"p{number}@example.com"} for number in range(8)]
    found = [
        identifier.identifier_id for identifier in decode(with_data("email.opened.v1", identifiers=emails)).identifiers
    ]
    assert found == sorted(found)


def test_an_unusable_identifier_is_dropped_and_noted_without_its_value() -> None:
    record = with_data(
        "email.opened.v1",
        identifiers=[
            {"kind": "member_id", "value": "NULL"},
            {"kind": "email", "value": "ann@example.com"},
            {"kind": "email", "value": "ann at example"},
            {"kind": "aura", "value": "blue"},
            {"kind": "open_id", "value": "wx1"},
        ],
    )
    found = decode(record)
    assert [identifier.kind for identifier in found.identifiers] == ["email"]
    assert found.data_quality == (
        QualityNote("identifiers[0]", "member_id", "blocked"),
        QualityNote("identifiers[2]", "email", "not_normalisable"),
        QualityNote("identifiers[3]", "aura", "unknown_kind"),
        QualityNote("identifiers[4]", "open_id", "unknown_kind"),
    )


def test_an_event_that_knows_only_its_order_stands_at_the_order() -> None:
    found = decode(event("delivery.completed.v1"))
    assert found.identifiers == ()
    assert found.anchor_id == blake("order:shopify:1001", b"thing")


def test_an_event_that_continues_a_thing_stands_there_though_it_names_a_person() -> None:
    found = decode(event("purchase.refunded.v1"))
    assert found.strongest_id == blake("member_id:M-4711")
    assert found.anchor_id == blake("order:shopify:1001", b"thing")


def test_things_stand_in_the_order_of_their_kinds() -> None:
    found = decode(event("complaint.opened.v1"))
    assert [thing.kind for thing in found.things] == ["order", "case"]


def test_a_decision_names_no_identifiers_of_its_own_but_the_pair_it_decides() -> None:
    found = decode(event("identity.linked.v1"))
    assert (found.identifiers, found.channel, found.anchor_id) == ((), None, None)
    assert not found.listed
    assert found.decides == (
        Identifier(blake("member_id:M-4711"), "member_id", "M-4711"),
        Identifier(blake("phone:+12025550143"), "phone", "+12025550143"),
    )


def test_a_decision_about_one_identifier_twice_is_refused() -> None:
    record = with_data(
        "identity.linked.v1",
        a={"kind": "email", "value": "a@example.com"},
        b={"kind": "email", "value": "A@example.com "},
    )
    found = rejection(record)
    assert (found.reason, found.field) == ("invalid_field", "data.b")


def test_a_retraction_carries_the_id_of_the_event_it_retracts_and_a_revision() -> None:
    purchase = decode(event("purchase.completed.v1", id="o-1", source="/shop"))
    retraction = decode(event("event.retracted.v1", id="o-1", source="/shop", revision=1))
    assert retraction.event_id == purchase.event_id
    assert not retraction.listed
    found = rejection(event("event.retracted.v1", revision=0))
    assert (found.reason, found.field) == ("invalid_envelope", "revision")


# Times


def test_recorded_at_is_the_header_then_the_attribute_then_the_append_time() -> None:
    header, attribute = "2026-02-01T00:00:00Z", "2026-03-01T00:00:00+01:00"
    plain, marked = event("page.viewed.v1"), event("page.viewed.v1", recordedtime=attribute)
    assert decode(marked, recorded_header=header).recorded_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert decode(marked).recorded_at == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert decode(plain, recorded_header=header).recorded_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert decode(plain).recorded_at == APPENDED


@pytest.mark.parametrize("ahead", ["2026-06-01T12:00:00.001Z", "2099-01-01T00:00:00Z"])
def test_recorded_after_the_append_time_is_refused(ahead: str) -> None:
    assert rejection(event("page.viewed.v1", recordedtime=ahead)).reason == "recorded_ahead"
    assert rejection(event("page.viewed.v1"), recorded_header=ahead).reason == "recorded_ahead"
    at_once = "2026-06-01T12:00:00Z"
    assert decode(event("page.viewed.v1", recordedtime=at_once)).recorded_at == APPENDED


@pytest.mark.parametrize("header", ["", "yesterday", "1700000000", "2026-02-01T00:00:00", '2026"', "\ud800"])
def test_a_header_that_is_no_instant_is_refused(header: str) -> None:
    found = rejection(event("page.viewed.v1"), recorded_header=header)
    assert (found.reason, found.field) == ("invalid_envelope", "recordedtime")


def test_five_minutes_ahead_of_the_recording_is_the_last_instant_that_is_accepted() -> None:
    # Appended at 12:00:00, so 12:05:00 is the bound, included.
    assert decode(event("page.viewed.v1", time="2026-06-01T12:05:00Z")).occurred_at == APPENDED + timedelta(minutes=5)
    found = rejection(event("page.viewed.v1", time="2026-06-01T12:05:00.000001Z"))
    assert (found.reason, found.field) == ("future", "time")


def test_the_bound_of_the_future_follows_recorded_at_not_the_append_time() -> None:
    record = event("page.viewed.v1", time="2026-03-01T00:00:00Z")
    assert rejection(record, recorded_header="2026-02-01T00:00:00Z").reason == "future"


def test_the_bound_of_the_future_is_a_setting() -> None:
    strict = Codec(IdentityPolicy(), SECRET, max_future=timedelta(0))
    assert rejection(event("page.viewed.v1", time="2026-06-01T12:00:00.001Z"), strict).reason == "future"


def test_1970_is_the_first_year() -> None:
    assert decode(event("page.viewed.v1", time="1970-01-01T00:00:00Z")).occurred_us == 0
    assert rejection(event("page.viewed.v1", time="1969-12-31T23:59:59.999999Z")).reason == "before_1970"
    assert rejection(event("page.viewed.v1", time="1970-01-01T00:30:00+01:00")).reason == "before_1970"


@pytest.mark.parametrize(
    ("time", "reason"), [("9999-12-31T23:59:59-14:00", "future"), ("0001-01-01T00:00:00+14:00", "before_1970")]
)
def test_instants_without_a_form_in_utc_are_refused_like_others(time: str, reason: str) -> None:
    record = event("page.viewed.v1", time=time)
    assert rejection(record).reason == reason
    # Publishing checks no times, so it must be able to write them down.
    assert json.loads(CODEC.encode(CODEC.parse(as_bytes(record))))["time"] == time


def test_parse_checks_everything_but_the_times() -> None:
    CODEC.parse(as_bytes(event("page.viewed.v1", time="2099-01-01T00:00:00Z")))
    assert rejection(with_data("page.viewed.v1", identifiers=[])).reason == "no_usable_identifier"


# Building


def test_an_event_built_in_code_is_the_event_that_is_read() -> None:
    data = PurchaseCompleted.model_validate(dict(PurchaseCompleted.example))
    made = make_event(data, id="o-1", source="/shop", time=datetime(2026, 5, 1, tzinfo=UTC))
    found = decode(CODEC.encode(made))
    assert found.data == data
    assert CODEC.canonical_hash(made) == CODEC.canonical_hash(found)


def test_extra_channels_are_accepted_where_the_setting_names_them() -> None:
    record = with_data("page.viewed.v1", channel="kiosk")
    found = rejection(record)
    assert (found.reason, found.field) == ("invalid_field", "data.channel")
    kiosks = Codec(IdentityPolicy(), SECRET, extra_channels=frozenset({"kiosk"}))
    assert decode(record, kiosks).channel == "kiosk"


def test_of_a_key_given_twice_the_last_counts_as_it_does_in_jsonb() -> None:
    text = as_bytes(event("survey.answered.v1")).decode()
    twice = decode(text.replace('"data"', '"source": "another", "data"', 1).encode())
    assert twice.source == "another"
    assert twice.source != decode(text.encode()).source
