"""Does the log still hold the position at which Postgres goes on? Where it does not, say so instead of skipping."""

from __future__ import annotations

from customer_timeline.projections.journal import RefusedError

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
