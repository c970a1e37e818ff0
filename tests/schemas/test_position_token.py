"""Position tokens: what they say, how they combine, and what is refused."""

from __future__ import annotations

import base64
import pickle
import re
import uuid
from collections.abc import Sequence
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.schemas.position_token import (
    LAST_OFFSET,
    LAST_PARTITION,
    MAX_EVENTS,
    MAX_LENGTH,
    MAX_PARTITIONS,
    DifferentLogsError,
    EventPosition,
    InvalidPositionTokenError,
    PositionToken,
)

TOPIC = "0b8f6a52-3c9f-4a0e-9d0c-7e1d5b2f4a61"
OTHER = "11111111-2222-4333-8444-555555555555"
PLACES = st.builds(EventPosition, st.integers(0, LAST_PARTITION), st.integers(0, LAST_OFFSET))
NEAR = st.builds(EventPosition, st.integers(0, 3), st.integers(0, 20))
EXACT = st.lists(PLACES | NEAR, min_size=1, max_size=MAX_EVENTS + 4).map(lambda at: PositionToken.of_events(TOPIC, at))
BULK = st.dictionaries(st.integers(0, 5), st.integers(1, LAST_OFFSET + 1), min_size=1).map(
    lambda found: PositionToken.of_next_offsets(TOPIC, found)
)
TOKENS = EXACT | BULK


def sealed(body: bytes) -> str:
    """A text with a right checksum."""
    check = blake2b(body, digest_size=4, person=b"position token").digest()
    return base64.urlsafe_b64encode(body + check).rstrip(b"=").decode()


def test_a_token_of_few_events_names_them_and_how_far_each_partition_has_to_be() -> None:
    token = PositionToken.of_events(TOPIC, [EventPosition(2, 9), EventPosition(0, 4), EventPosition(2, 7)])
    assert token.topic_id == TOPIC
    assert token.next_offsets == ((0, 5), (2, 10))
    assert token.events == ((0, 4), (2, 7), (2, 9))


def test_a_token_of_many_events_says_only_how_far_each_partition_has_to_be() -> None:
    token = PositionToken.of_events(TOPIC, [EventPosition(number % 3, number) for number in range(MAX_EVENTS + 1)])
    # 17 events at offsets 0 to 16, dealt over three partitions: the last are 15, 16 and 14.
    assert token == PositionToken.of_next_offsets(TOPIC, {0: 16, 1: 17, 2: 15})
    assert token.events is None


@given(TOKENS)
def test_text_and_token_are_one(token: PositionToken) -> None:
    text = str(token)
    assert PositionToken.parse(text) == token
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert len(text) <= MAX_LENGTH


@given(
    st.lists(TOKENS, min_size=1, max_size=5).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found)))
)
def test_combining_does_not_depend_on_order_grouping_or_repetition(
    tokens: tuple[Sequence[PositionToken], Sequence[PositionToken]],
) -> None:
    given_, shuffled = tokens
    together = PositionToken.merged(given_)
    one_by_one = shuffled[0]
    for token in shuffled:
        one_by_one = PositionToken.merged([one_by_one, token])
    assert together == one_by_one == PositionToken.merged([*shuffled, *given_])


@given(st.lists(TOKENS, min_size=1, max_size=5))
def test_a_combined_token_is_passed_exactly_when_all_are(tokens: list[PositionToken]) -> None:
    places = [place for token in tokens for place in token.next_offsets]
    most = {partition: max(n for p, n in places if p == partition) for partition, _ in places}
    assert dict(PositionToken.merged(tokens).next_offsets) == most


@given(st.lists(st.lists(NEAR, min_size=1, max_size=6), min_size=1, max_size=4))
def test_a_combined_token_names_the_events_of_all_as_long_as_they_are_few(events: list[list[EventPosition]]) -> None:
    merged = PositionToken.merged(PositionToken.of_events(TOPIC, some) for some in events)
    named = {at for some in events for at in some}
    assert merged.events == (tuple(sorted(named)) if len(named) <= MAX_EVENTS else None)


def test_tokens_of_different_topics_are_not_combined() -> None:
    tokens = [PositionToken.of_next_offsets(topic, {0: 1}) for topic in (TOPIC, OTHER)]
    with pytest.raises(DifferentLogsError, match=f"{TOPIC}, {OTHER}") as caught:
        PositionToken.merged(tokens)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert again.topic_ids == (TOPIC, OTHER)


def test_no_tokens_make_no_token() -> None:
    with pytest.raises(ValueError, match="no token"):
        PositionToken.merged([])


@pytest.mark.parametrize("next_offsets", [{}, {-1: 1}, {0: 0}, {0: LAST_OFFSET + 2}, {LAST_PARTITION + 1: 1}])
def test_positions_that_no_log_has_are_refused(next_offsets: dict[int, int]) -> None:
    with pytest.raises(ValueError):
        PositionToken.of_next_offsets(TOPIC, next_offsets)


def test_the_longest_token_has_the_length_that_is_documented() -> None:
    farthest = {LAST_PARTITION - number: LAST_OFFSET + 1 for number in range(MAX_PARTITIONS)}
    longest = str(PositionToken.of_next_offsets(TOPIC, farthest))
    assert len(longest) == MAX_LENGTH
    assert len(str(PositionToken.of_events(TOPIC, [EventPosition(0, 0)]))) == 32  # 24 bytes, in base64
    assert len(str(PositionToken.of_events(TOPIC, [EventPosition(LAST_PARTITION, LAST_OFFSET)]))) == 48
    with pytest.raises(InvalidPositionTokenError, match=f"at most {MAX_LENGTH}"):
        PositionToken.parse(longest + "A")


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_other_text_is_refused_in_words_that_do_not_repeat_it(text: str) -> None:
    with pytest.raises(InvalidPositionTokenError) as caught:
        PositionToken.parse(text)
    assert "publishing" in str(caught.value)
    assert len(text) < 20 or text not in str(caught.value)


@given(TOKENS, st.data())
def test_a_token_that_lost_or_changed_a_character_is_refused(token: PositionToken, data: st.DataObject) -> None:
    text = str(token)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([letter for letter in "AQgwZ09-_" if letter != text[at]]))
    for damaged in (text[:at] + text[at + 1 :], text[:at] + other + text[at + 1 :], text[: at + 1], text + other):
        if damaged != text:
            with pytest.raises(InvalidPositionTokenError):
                PositionToken.parse(damaged)


@given(st.binary(min_size=17, max_size=60))
def test_bytes_with_a_right_checksum_are_a_token_or_refused(numbers: bytes) -> None:
    text = sealed(b"\x01" + numbers)
    try:
        assert str(PositionToken.parse(text)) == text
    except InvalidPositionTokenError as refused:
        assert "position token" in str(refused)  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (b"", "no positions"),  # it ends before the count
        (b"\x00\x00", "no positions"),  # none at all
        (b"\x01\x00", "no positions"),  # a partition without its offset
        (b"\x01\x00\x05\x00", "not written"),  # something behind the end
        (b"\x02\x00\x05\x00\x05", "not written"),  # one event twice
        (b"\x02\x00\x05\x00\x04", "not written"),  # not ascending
        (b"\x01\x00\x85\x00", "not written"),  # 5 in two bytes
        (b"\x00\x01\x00\x00", "no positions"),  # everything before 0 is nothing
        (b"\x01\x00" + b"\xff" * 30 + b"\x01", "no positions"),  # no offset is so great
    ],
)
def test_one_token_has_one_text(numbers: bytes, why: str) -> None:
    with pytest.raises(InvalidPositionTokenError, match=why):
        PositionToken.parse(sealed(b"\x01" + uuid.UUID(TOPIC).bytes + numbers))


def test_a_token_of_a_later_version_is_refused_as_such() -> None:
    with pytest.raises(InvalidPositionTokenError, match="version"):
        PositionToken.parse(sealed(b"\x02anything"))


def test_the_refusal_survives_the_way_between_processes() -> None:
    refused = InvalidPositionTokenError("The text is no position token.")
    again = pickle.loads(pickle.dumps(refused))  # noqa: S301 - our own bytes
    assert str(again) == str(refused)
