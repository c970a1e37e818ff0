"""What a worker says when it cannot go on: the log lost the position where Postgres stands, or nobody foresaw why."""

from __future__ import annotations

from collections.abc import Mapping

from customer_timeline.projections.journal import RefusedError, UnforeseenError

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


def unforeseen(error: BaseException, topic: str, next_offsets: Mapping[int, int]) -> UnforeseenError:
    """What to say of an error that nobody thought of: where the worker stands, and how to go on. Nothing of its text,
    which may quote an event.
    """
    at = ", ".join(f"{partition}: {position}" for partition, position in sorted(next_offsets.items()))
    stopped = UnforeseenError(
        f"An error that the worker does not know ({type(error).__name__}) stopped it; the log line before this says "
        f"where in the code. Nothing of the batch in hand was written, and nothing is lost: Postgres goes on in "
        f"{topic} at {{{at}}} (partition: position). Start the worker again; if it stops at the same place, it is a "
        f"fault of this version: run the one before, or one that mends it, on the same tables, and report the line."
    )
    stopped.__cause__ = error
    return stopped
