"""What the positions of acknowledged events come to."""

from __future__ import annotations

from customer_timeline.producers.acknowledged import AcknowledgedPositions
from customer_timeline.schemas.position_token import MAX_EVENTS, EventPosition, PositionToken

TOPIC_ID = "0b8f6a52-3c9f-4a0e-9d0c-7e1d5b2f4a61"


def test_with_nothing_acknowledged_there_is_no_token() -> None:
    assert AcknowledgedPositions().token(TOPIC_ID) is None


def test_few_events_are_named_and_many_are_not() -> None:
    positions = AcknowledgedPositions()
    for offset in range(MAX_EVENTS):
        positions.add(offset % 2, 7 + offset // 2)
    named = [EventPosition(offset % 2, 7 + offset // 2) for offset in range(MAX_EVENTS)]
    assert positions.token(TOPIC_ID) == PositionToken.of_events(TOPIC_ID, named)

    positions.add(1, 100)

    # 16 events lie in two partitions at 7 to 14, the seventeenth at 100 in the second.
    assert positions.token(TOPIC_ID) == PositionToken.of_next_offsets(TOPIC_ID, {0: 15, 1: 101})


def test_an_acknowledgement_out_of_order_takes_nothing_back() -> None:
    positions = AcknowledgedPositions()
    for offset in (5, 3):
        positions.add(0, offset)
    token = positions.token(TOPIC_ID)
    assert token is not None
    assert token.next_offsets == ((0, 6),)


def test_an_offset_that_kafka_forgot_leaves_no_token_until_a_later_one_of_the_partition_is_known() -> None:
    positions = AcknowledgedPositions()
    positions.add(0, 5)
    positions.add(1, -1)
    positions.add(0, 6)
    assert positions.token(TOPIC_ID) is None

    positions.add(1, 3)

    # The forgotten one stands before 3, but nobody knows where: it cannot be named.
    assert positions.token(TOPIC_ID) == PositionToken.of_next_offsets(TOPIC_ID, {0: 7, 1: 4})
