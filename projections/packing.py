"""Sorted sets of records of one size, packed into one string: the form in which long sets lie in a customer's facts.

Called by the facts that keep one record a day, a spell, an answer. Base64 without line breaks, and records of a
multiple of 3 bytes, so that every record begins at a character: an insertion is a splice of the string, and costs a
customer with ten years of history what it costs one with two entries. Records are big-endian, so the order of the
bytes is the order of what they say; equal sets are equal strings.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

# Up to this many records are spliced into the longer set one by one, beyond it both sets are merged as a whole: what a
# batch adds to a long history must not cost the length of the history.
SPLICED_RECORDS = 8


def text_of(records: bytes) -> str:
    """Records as they lie in the string."""
    return b2a_base64(records, newline=False).decode("ascii")


def at(packed: str, width: int, index: int) -> bytes:
    """The record at a position, least first."""
    return a2b_base64(packed[index * width : index * width + width])


def position(packed: str, width: int, least: bytes) -> int:
    """How many records of `width` characters are below `least`, and so the index of the first that is not."""
    low, high = 0, len(packed) // width
    while low < high:
        middle = (low + high) // 2
        if a2b_base64(packed[middle * width : middle * width + width]) < least:
            low = middle + 1
        else:
            high = middle
    return low


def with_record(packed: str, width: int, record: bytes) -> str:
    """The set with one more record; the same set where it holds that record already."""
    text = text_of(record)
    if not packed or a2b_base64(packed[-width:]) < record:
        return packed + text
    start = position(packed, width, record) * width
    if packed.startswith(text, start):
        return packed
    return packed[:start] + text + packed[start:]


def union(packed: str, other: str, width: int) -> str:
    """The records of both sets."""
    if len(packed) < len(other):
        packed, other = other, packed
    theirs = split(other, width)
    if len(theirs) <= SPLICED_RECORDS:
        for record in theirs:
            packed = with_record(packed, width, record)
        return packed
    return text_of(b"".join(sorted({*split(packed, width), *theirs})))


def split(packed: str, width: int) -> list[bytes]:
    """All records, least first."""
    raw = a2b_base64(packed)
    size = width * 3 // 4
    return [raw[start : start + size] for start in range(0, len(raw), size)]
