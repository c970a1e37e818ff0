"""Position tokens: where published events stand in the log, as text that a read can wait for.

Publishing gives one (`producers`), callers carry it, and the API answers once the projector has passed it. A token
holds the topic's id and positions and nothing else: it grants nothing and says nothing about anybody. Its checksum only
tells a damaged one from a real one. Pure.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple, Self

from customer_timeline.schemas.errors import CustomerTimelineError

MAX_EVENTS: Final = 16  # whose exact positions are kept; of more only how far each partition has to be
MAX_PARTITIONS: Final = 1024  # as many as the setting TOPIC_PARTITIONS allows
LAST_PARTITION: Final = (1 << 31) - 1
LAST_OFFSET: Final = (1 << 63) - 2  # so that the next one is a number of Postgres and Kafka

_VERSION: Final = 1
_CHECK_BYTES: Final = 4
_TOPIC_BYTES: Final = 16
_PLACE_BYTES: Final = 5 + 9  # the longest partition and offset
_MAX_BYTES: Final = 1 + _TOPIC_BYTES + 1 + 2 + MAX_PARTITIONS * _PLACE_BYTES + _CHECK_BYTES
MAX_LENGTH: Final = -(-_MAX_BYTES * 4 // 3)
"""Characters of the longest token. That of one event has 32 to 48, a bulk token some 7 for each partition."""


class InvalidPositionTokenError(CustomerTimelineError):
    """The text is no position token. It is not repeated: nobody knows what it is."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"{why} Use a token as publishing gave it, unchanged and whole.")

    def __reduce__(self) -> tuple[object, ...]:
        return (InvalidPositionTokenError, (self.why,))


class DifferentLogsError(CustomerTimelineError):
    """Tokens of different topics (or of one before and after it was created again) have no common meaning."""

    def __init__(self, topic_ids: Iterable[str]) -> None:
        self.topic_ids = tuple(sorted(topic_ids))
        super().__init__(
            f"Position tokens of different logs (topic ids {', '.join(self.topic_ids)}) cannot be combined: keep those "
            "of the topic that is read, and publish again what the others were about."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (DifferentLogsError, (self.topic_ids,))


class EventPosition(NamedTuple):
    """Where one event stands in the topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class PositionToken:
    """Positions in one topic. Made by `of_events`, `of_next_offsets`, `merged` or `parse`; `str` gives the text.

    `next_offsets`: partition and the offset that the projector has to have come to, ascending. `events`: the exact
    positions of all the events that the token is about, ascending; None where they are more than MAX_EVENTS or were
    never told. Then the token speaks of everything before the next offsets and of no event by itself.
    """

    topic_id: str
    next_offsets: tuple[tuple[int, int], ...]
    events: tuple[EventPosition, ...] | None

    @classmethod
    def of_events(cls, topic_id: str, events: Iterable[EventPosition]) -> Self:
        """The token of events in the topic with this id. Raises ValueError for none, or for a position that is none."""
        found = sorted({EventPosition(*at) for at in events})
        # Ascending: of one partition the last one stays.
        next_offsets = {at.partition: at.offset + 1 for at in found}
        _check(next_offsets)
        return cls(_canonical(topic_id), _ascending(next_offsets), tuple(found) if len(found) <= MAX_EVENTS else None)

    @classmethod
    def of_next_offsets(cls, topic_id: str, next_offsets: Mapping[int, int]) -> Self:
        """The bulk token: everything before these offsets. Raises ValueError as `of_events` does."""
        _check(next_offsets)
        return cls(_canonical(topic_id), _ascending(next_offsets), None)

    @classmethod
    def merged(cls, tokens: Iterable[Self]) -> Self:
        """One token that is passed when all of them are: the greatest offset of each partition.

        The order and the grouping do not matter, nor that one comes twice. The exact positions stay as long as all of
        them are known and few enough. Raises DifferentLogsError; ValueError for no token.
        """
        given = list(tokens)
        if not given:
            raise ValueError("there is no token to combine")
        topics = {token.topic_id for token in given}
        if len(topics) > 1:
            raise DifferentLogsError(topics)
        next_offsets: dict[int, int] = {}
        events: set[EventPosition] | None = set()
        for token in given:
            for partition, next_offset in token.next_offsets:
                next_offsets[partition] = max(next_offset, next_offsets.get(partition, 0))
            events = None if events is None or token.events is None else events | set(token.events)
        if events is None or len(events) > MAX_EVENTS:
            return cls.of_next_offsets(given[0].topic_id, next_offsets)
        return cls.of_events(given[0].topic_id, events)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The token that `text` stands for. Raises InvalidPositionTokenError."""
        if len(text) > MAX_LENGTH:
            raise InvalidPositionTokenError(f"A position token has at most {MAX_LENGTH} characters.")
        body = _opened(text)
        if body[0] != _VERSION:
            raise InvalidPositionTokenError("The position token is of a version that this release does not know.")
        try:
            token = cls._read(body)
        except (ValueError, IndexError) as exc:
            raise InvalidPositionTokenError("The position token holds no positions.") from exc
        # One token, one text: what is equal can be compared, cached and counted as text.
        if str(token) != text:
            raise InvalidPositionTokenError("The position token is not written as it should be.")
        return token

    @classmethod
    def _read(cls, body: bytes) -> Self:
        topic_id = str(uuid.UUID(bytes=body[1 : 1 + _TOPIC_BYTES]))
        count, at = _number(body, 1 + _TOPIC_BYTES)
        exact = count > 0
        if not exact:
            count, at = _number(body, at)
        places: list[EventPosition] = []
        for _ in range(min(count, MAX_PARTITIONS + 1)):
            partition, at = _number(body, at)
            offset, at = _number(body, at)
            places.append(EventPosition(partition, offset))
        return cls.of_events(topic_id, places) if exact else cls.of_next_offsets(topic_id, dict(places))

    def __str__(self) -> str:
        """The text: letters, digits, `-` and `_`, so it needs no quoting in a URL or header."""
        places = self.next_offsets if self.events is None else self.events
        numbers = [0, len(places)] if self.events is None else [len(places)]
        for place in places:
            numbers += place
        body = bytes([_VERSION]) + uuid.UUID(self.topic_id).bytes + b"".join(map(_varint, numbers))
        return base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()


def _check(next_offsets: Mapping[int, int]) -> None:
    if not next_offsets or len(next_offsets) > MAX_PARTITIONS:
        raise ValueError(f"a token is about 1 to {MAX_PARTITIONS} partitions, not {len(next_offsets)}")
    for partition, next_offset in next_offsets.items():
        if not 0 <= partition <= LAST_PARTITION or not 1 <= next_offset <= LAST_OFFSET + 1:
            raise ValueError(f"partition {partition} has no position before {next_offset}")


def _canonical(topic_id: str) -> str:
    return str(uuid.UUID(topic_id))


def _ascending(next_offsets: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(next_offsets.items()))


def _opened(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as exc:
        raise InvalidPositionTokenError("The text is no position token.") from exc
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if not body or check != _checksum(body):
        raise InvalidPositionTokenError("The text is no position token, or not all of one.")
    return body


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES, person=b"position token").digest()


def _varint(number: int) -> bytes:
    """Seven bits a byte, the least first; all but the last have the eighth bit."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(body: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it. Raises IndexError where the bytes end before."""
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
