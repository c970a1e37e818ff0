"""What a worker says when it cannot go on: the log lost the position where Postgres stands, is damaged, or nobody
foresaw why.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import Final

import cramjam

from customer_timeline.projections.journal import RefusedError, UnforeseenError

# What unpacking compressed records raises: gzip, and what aiokafka brings for lz4, snappy and zstd. The checksum of the
# batch was right, or Kafka's client would have said so: what it covers was broken before.
DAMAGED: Final = (zlib.error, gzip.BadGzipFile, EOFError, cramjam.DecompressionError)

_WAY_ON = (
    "Restore the log, or start over from what it holds: `customer-timeline projection reset`, "
    "then start the worker again."
)


def check_position(topic: str, partition: int, at: int, first: int, end: int) -> None:
    """Raise RefusedError unless position `at` lies within `first` (the oldest record) and `end` (the next to come)."""
    if first <= at <= end:
        return
    what = "were deleted from the log before they were applied" if at < first else "are no longer in the log"
    raise RefusedError(
        f"Partition {partition} of {topic} holds positions {first} to {end}, but Postgres goes on at {at}: "
        f"records {what}. {_WAY_ON}"
    )


def lost_position(topic: str, error: Exception) -> RefusedError:
    """The refusal for a consumer that was told its position does not exist."""
    return RefusedError(
        f"{topic} no longer holds the position at which Postgres goes on: it was truncated or created again "
        f"({type(error).__name__}). {_WAY_ON}"
    )


def damaged(error: BaseException, topic: str, next_offsets: Mapping[int, int]) -> RefusedError:
    """The refusal for records that cannot be unpacked: to try again does not help, and to skip them would lose them."""
    return RefusedError(
        f"Compressed records of {topic} cannot be unpacked ({type(error).__module__}.{type(error).__name__}): they are "
        f"damaged in the log, or were by the producer that packed them. They lie in one of the partitions, soon after "
        f"{{{_at(next_offsets)}}} (partition: position), where Postgres goes on; nothing is skipped. Find the batch by "
        f"reading on from there with Kafka's own tools, restore its segment from a replica or a backup, then start the "
        f"worker again."
    )


def unforeseen(error: BaseException, topic: str, next_offsets: Mapping[int, int]) -> UnforeseenError:
    """What to say of an error that nobody thought of: where the worker stands, and how to go on. Nothing of its text,
    which may quote an event.
    """
    stopped = UnforeseenError(
        f"An error that the worker does not know ({type(error).__name__}) stopped it; the log line before this says "
        f"where in the code. Nothing of the batch in hand was written, and nothing is lost: Postgres goes on in "
        f"{topic} at {{{_at(next_offsets)}}} (partition: position). Start the worker again; if it stops at the same "
        f"place, it is a fault of this version: run the one before, or one that mends it, on the same tables, and "
        f"report the line."
    )
    stopped.__cause__ = error
    return stopped


def _at(next_offsets: Mapping[int, int]) -> str:
    return ", ".join(f"{partition}: {position}" for partition, position in sorted(next_offsets.items()))
