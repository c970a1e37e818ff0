"""Normalisation: the spellings that are one value, and what is no value at all."""

from __future__ import annotations

import hashlib
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from customer_timeline.schemas.identifiers import (
    PLAIN_EMAIL,
    EmptySecret,
    IdentifierSpace,
    email_by_the_book,
    normalise_email,
    normalise_phone,
)
from customer_timeline.schemas.identity_policy import IdentityPolicy, KindPolicy
from customer_timeline.schemas.touchpoint import IdentifierRef

SPACE = IdentifierSpace(IdentityPolicy(), b"secret")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  Ann.Lee+News@Example.COM\n", "ann.lee+news@example.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("ann@例子.test", "ann@xn--fsqu00a.test"),
        ("用户@example.com", "用户@example.com"),
        ("ann@staging.test", "ann@staging.test"),
        ("ann@shop.local", "ann@shop.local"),
        ("o'hara@example.co.uk", "o'hara@example.co.uk"),
        ("ann@example.com.", "ann@example.com"),  # the root of the domain, or the end of a sentence
        ("Ann@BÜCHER.example.", "ann@xn--bcher-kva.example"),
        ('"ann"@example.com', "ann@example.com"),  # RFC 5321, 4.1.2: quotes that nothing needs say nothing
        ('"Ann Lee"@example.com', '"ann lee"@example.com'),
        ('"ann@home"@example.com', '"ann@home"@example.com'),
    ],
)
def test_emails_are_trimmed_lowered_and_their_domain_is_ascii(raw: str, value: str) -> None:
    assert normalise_email(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "ann",
        "ann@",
        "@example.com",
        "ann@localhost",
        "ann@example.com..",
        "ann.@example.com",
        "ann @example.com",
        "ann@@example.com",
        "ann lee@example.com",
        "a..b@example.com",
        "ann@exa mple.com",
        "Ann <ann@example.com>",
        "ann@[192.0.2.1]",
        "ann@example.com\x00",
        "a" * 65 + "@example.com",
    ],
)
def test_what_is_no_email_is_none(raw: str) -> None:
    assert normalise_email(raw) is None


@pytest.mark.parametrize(
    ("raw", "region", "value"),
    [
        ("+1 202 555 0143", "US", "+12025550143"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("202.555.0143", "US", "+12025550143"),
        ("001 202 555 0143", "GB", "+12025550143"),
        ("＋１２０２５５５０１４３", "US", "+12025550143"),  # full-width digits
        ("２０２５５５０１４３", "US", "+12025550143"),
        ("202-555-0143 ext. 12", "US", "+12025550143;ext=12"),
        ("tel:+1-202-555-0143;ext=12", "US", "+12025550143;ext=12"),
        ("+12025550143;ext=12", "US", "+12025550143;ext=12"),
        ("030 901820", "DE", "+4930901820"),
        ("138 0013 8000", "CN", "+8613800138000"),
        ("010-6552 9988", "CN", "+861065529988"),
        ("400 810 0000", "CN", "+864008100000"),
        ("400-810-0000 转 8", "CN", "+864008100000;ext=8"),
        ("０１０－６５５２９９８８转１２３", "CN", "+861065529988;ext=123"),
        ("010-65529988 分机124", "CN", "+861065529988;ext=124"),
        ("+86 10 6552 9988 x123", "US", "+861065529988;ext=123"),
        ("0086 138 0013 8000", "GB", "+8613800138000"),
    ],
)
def test_phones_become_e164(raw: str, region: str, value: str) -> None:
    assert normalise_phone(raw, region) == value


TWELVE_SPELLINGS = (
    "+14155550132",
    "+1 415 555 0132",
    "+1 (415) 555-0132",
    "+1.415.555.0132",
    "1-415-555-0132",
    "(415) 555-0132",
    "415-555-0132",
    "415.555.0132",
    " 4155550132 ",
    "tel:+1-415-555-0132",
    "011 1 415 555 0132",
    "＋１ ４１５ ５５５ ０１３２",
)


@pytest.mark.parametrize("raw", TWELVE_SPELLINGS)
def test_one_telephone_in_twelve_spellings_is_one_identifier(raw: str) -> None:
    assert normalise_phone(raw, "US") == "+14155550132"


@pytest.mark.parametrize(
    ("region", "abroad"), [("US", "011"), ("GB", "00"), ("DE", "00"), ("CN", "00"), ("BR", "0021")]
)
def test_a_number_with_its_country_is_the_same_in_every_region(region: str, abroad: str) -> None:
    """Each region has its own way to dial abroad; a + means the same in all."""
    for raw in ("+49 30 901820", f"{abroad} 49 30 901820"):
        assert normalise_phone(raw, region) == "+4930901820"


@pytest.mark.parametrize(
    ("raw", "region", "value"),
    [
        ("+55 11 98765-4321", "US", "+5511987654321"),
        ("+55 11 8765-4321", "US", "+5511987654321"),  # as it was written before the ninth digit
        ("(11) 8765-4321", "BR", "+5511987654321"),
        ("(68) 9987-6543", "BR", "+5568999876543"),
        ("+55 11 2345-6789", "US", "+551123456789"),  # a landline has eight digits
        ("+55 21 7654-3210", "US", "+552176543210"),  # trunked radio kept its eight
        ("+55 11 1765-4321", "US", None),
    ],
)
def test_a_brazilian_mobile_number_without_its_ninth_digit_gets_it(raw: str, region: str, value: str | None) -> None:
    assert normalise_phone(raw, region) == value


def test_two_extensions_are_two_identifiers() -> None:
    one, other = (SPACE.normalise("phone", f"+86 10 6552 9988 ext {number}") for number in (1, 2))
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    assert one.identifier_id != other.identifier_id


@pytest.mark.parametrize("raw", ["", "0000000", "123", "call me", "+999 123", "+1 202 555 014", "null", "9" * 40])
def test_what_is_no_phone_number_is_none(raw: str) -> None:
    assert normalise_phone(raw, "US") is None


@given(st.from_regex(PLAIN_EMAIL, fullmatch=True))
def test_the_short_way_for_plain_addresses_says_what_the_validator_says(address: str) -> None:
    assert normalise_email(address) == email_by_the_book(address)


@pytest.mark.parametrize("address", ["a" * 64 + "@example.com", "a" * 65 + "@example.com", "a@b--c.example.com"])
def test_the_bounds_of_the_short_way_are_those_of_the_validator(address: str) -> None:
    assert normalise_email(address) == email_by_the_book(address)


@given(st.sampled_from(["ann@bücher.example", " Ann+x@EXAMPLE.com", "用户@example.com"]))
def test_normalising_an_email_twice_changes_nothing(raw: str) -> None:
    once = normalise_email(raw)
    assert once is not None
    assert normalise_email(once) == once


@pytest.mark.parametrize("raw", ["(202) 555-0143 x12", "+44 20 7946 0958", "001 202 555 0143"])
def test_normalising_a_phone_number_twice_changes_nothing(raw: str) -> None:
    once = normalise_phone(raw, "US")
    if once is not None:
        assert normalise_phone(once, "DE") == once


@given(st.sampled_from(["email", "phone", "member_id", "open_id:wechat", "aura"]), st.text(max_size=40))
def test_any_text_is_normalised_or_refused_with_a_reason(kind: str, raw: str) -> None:
    outcome = SPACE.normalise(kind, raw)
    if isinstance(outcome, str):
        assert outcome in ("blocked", "not_normalisable", "unknown_kind")
    else:
        assert len(outcome.value.encode()) <= 512
        assert not any(ord(character) < 32 for character in outcome.value)


def test_other_kinds_are_trimmed_and_otherwise_exact() -> None:
    found = SPACE.normalise("member_id", "  M-4711a ")
    assert not isinstance(found, str)
    assert found.value == "M-4711a"
    assert SPACE.normalise("member_id", "m-4711A") != found


@pytest.mark.parametrize("raw", ["null", "NULL", " Anonymous ", "0000000", "0", "-1", "n/a"])
def test_values_that_mean_nobody_are_blocked_however_written(raw: str) -> None:
    assert SPACE.normalise("crm_id", raw) == "blocked"


def test_a_blocked_value_may_be_listed_as_people_write_it() -> None:
    kinds = {
        "phone": KindPolicy(rank=40, blocked=("(202) 555-0100",)),
        "email": KindPolicy(rank=50, blocked=("Info@Example.com",)),
    }
    space = IdentifierSpace(IdentityPolicy(kinds=kinds), b"secret")
    assert space.normalise("phone", "+1 202 555 0100") == "blocked"
    assert space.normalise("email", "INFO@example.com") == "blocked"
    assert not isinstance(space.normalise("email", "ann@example.com"), str)


def test_values_are_blocked_by_what_they_begin_with_or_by_a_pattern() -> None:
    kinds = {
        "phone": KindPolicy(rank=40, blocked_prefixes=("+1900",)),
        "email": KindPolicy(rank=50, blocked_prefixes=("NoReply@",), blocked_patterns=(r".+@mailinator\.com",)),
    }
    space = IdentifierSpace(IdentityPolicy(kinds=kinds), b"secret")
    assert space.normalise("phone", "(900) 234-5678") == "blocked"
    assert space.normalise("email", "noreply@example.com") == "blocked"
    assert space.normalise("email", "Ann@MAILINATOR.com") == "blocked"
    for kind, raw in (("phone", "(415) 555-0132"), ("email", "ann@mailinator.com.example"), ("email", "no@reply.com")):
        assert not isinstance(space.normalise(kind, raw), str)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"blocked_patterns": ["(unclosed"]}, "'(unclosed' is no regular expression"),
        ({"blocked_patterns": [".*"]}, "describes the empty text too"),
        ({"blocked_prefixes": [""]}, "at least 1 character"),
    ],
)
def test_a_rule_of_blocking_that_cannot_be_meant_is_refused_at_the_start(
    given: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        KindPolicy.model_validate({"rank": 1, **given})


@pytest.mark.parametrize(
    ("raw", "accepted"),
    [("x" * 512, True), ("x" * 513, False), ("é" * 256, True), ("é" * 257, False), ("a\x00b", False)],
)
def test_identifiers_are_at_most_512_bytes_and_hold_no_controls(raw: str, accepted: bool) -> None:
    outcome = SPACE.normalise("crm_id", raw)
    assert (outcome != "not_normalisable") is accepted


def test_a_platform_is_part_of_the_kind_and_a_bare_open_id_is_none() -> None:
    wechat, weibo = SPACE.normalise("open_id:wechat", "u1"), SPACE.normalise("open_id:weibo", "u1")
    assert not isinstance(wechat, str)
    assert not isinstance(weibo, str)
    assert wechat.identifier_id != weibo.identifier_id
    assert SPACE.normalise("open_id", "wechat:u1") == "unknown_kind"
    assert SPACE.normalise("open_id:", "u1") == "unknown_kind"


def test_ids_are_keyed_hashes_and_things_have_a_space_of_their_own() -> None:
    named = hashlib.blake2b(b"crm_id:7", digest_size=16, key=b"secret").digest()
    thing = hashlib.blake2b(b"order:7", digest_size=16, key=b"secret", person=b"thing").digest()
    found = SPACE.normalise("crm_id", "7")
    assert not isinstance(found, str)
    assert found.identifier_id == str(uuid.UUID(bytes=named))
    assert SPACE.thing("order", "7").thing_id == str(uuid.UUID(bytes=thing))


def test_a_secret_of_any_length_counts_as_a_whole_and_none_is_refused() -> None:
    long, longer = IdentifierSpace(IdentityPolicy(), b"x" * 70), IdentifierSpace(IdentityPolicy(), b"x" * 71)
    assert long.thing("order", "7") != longer.thing("order", "7")
    with pytest.raises(EmptySecret, match="CUSTOMER_TIMELINE_IDENTITY_SECRET"):
        IdentifierSpace(IdentityPolicy(), b"")


_REFS = st.lists(
    st.builds(
        IdentifierRef,
        kind=st.sampled_from(["email", "user_id", "device_id", "fax"]),
        value=st.sampled_from(["a@b.example", "A@B.example", "u1", " u1 ", "null", "email", "user_id"]),
    ),
    max_size=5,
)


@given(st.lists(_REFS, max_size=12))
def test_what_is_usable_does_not_depend_on_what_was_asked_before(asked: list[list[IdentifierRef]]) -> None:
    forgetful = IdentifierSpace(IdentityPolicy(), b"secret", cache_size=8)  # two are remembered together
    for refs in (*asked, *reversed(asked)):
        assert forgetful.usable(refs) == IdentifierSpace(IdentityPolicy(), b"secret").usable(refs)
