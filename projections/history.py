"""What an own projection is: a fold over the whole history, written by whoever has a question.

`customer-timeline replay --to python` drives any class of this shape and knows nothing about its content. It is
stricter than the shape of the live view in nothing and looser in one thing: the state need not be stored, so it may be
any Python object that can be pickled.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol, TypeVar

from customer_timeline.schemas.decoded import DecodedEvent

State = TypeVar("State")


class HistoryProjection(Protocol[State]):
    """A fold over a set of events, made in parts: one a partition, each in a process of its own, and then combined.

    Each event comes once: the record that counts, never one that was retracted. Within a part events come in the order
    of the log, which is not the order in which they happened. Laws, for the answer to be the same however the log is
    partitioned:

    - the order of `apply` does not matter;
    - `combine` is commutative and associative, and fold(a + b) = combine(fold(a), fold(b)).

    "First" and "last" keep them by comparing `(occurred_us, event_id)`; sums by being exact: integers, not floats.
    The class is made without arguments.
    """

    @property
    def name(self) -> str:
        """Stable word, shown with the answer."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same events would give another answer. An unfinished replay of another one is refused."""
        ...

    @property
    def handles(self) -> Collection[str]:
        """The types that it wants, as `replay --type` takes them: `purchase.completed.v1`, or `purchase`. Empty: all.

        What it does not want costs least.
        """
        ...

    def initial(self) -> State:
        """The state of no events. A new object at each call, which pickle can carry to another process."""
        ...

    def apply(self, state: State, event: DecodedEvent) -> None:
        """Fold one event into `state`, in place."""
        ...

    def combine(self, into: State, other: State) -> None:
        """Add what `other` holds to `into`, in place."""
        ...

    def finish(self, state: State) -> Any:
        """The answer, as JSON can hold it."""
        ...
