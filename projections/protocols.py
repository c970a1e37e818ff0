"""What a projection is: a named, versioned fold of events into a state that merges.

The projector drives any projection through this protocol and knows nothing about its content. Implementations are pure:
no I/O, no clock, no random, no logging.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from customer_timeline.schemas.decoded import DecodedEvent

State = TypeVar("State")


class Projection(Protocol[State]):
    """A fold over the set of a customer's events.

    Laws, for disjoint sets of events `a` and `b`, proved by the property tests of each implementation:

    - the order of `apply` does not matter;
    - `combine` is commutative and associative, `initial()` is neutral, and fold(a + b) = combine(fold(a), fold(b));
    - `decode(encode(s))` equals `s`, and equal states are equal bytes.

    Nothing here guards against an event delivered twice: the caller folds each event of a set once.
    """

    @property
    def name(self) -> str:
        """Stable word; part of the projection version."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same events would give another state; a state of another version is never read."""
        ...

    def initial(self) -> State:
        """The state of no events. A new object at each call."""
        ...

    def apply(self, state: State, event: DecodedEvent) -> None:
        """Fold one event into `state`, in place: the accumulator is hot and private to the caller."""
        ...

    def combine(self, into: State, other: State) -> None:
        """Add what `other` holds to `into`, in place. `other` stays as it was, whatever is applied to `into` later."""
        ...

    def encode(self, state: State) -> bytes:
        """Canonical bytes."""
        ...

    def decode(self, encoded: bytes) -> State:
        """The state of `encode`. A new object at each call."""
        ...
