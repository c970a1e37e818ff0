"""What operators decide about dead letters, and why they correct events, as it stands in the topic of operations.

One record is one operation about at most MAX_PLACES records of the log. It holds no byte of these records: workers have
them. Written by the command line, applied by workers, read again by every rebuild. Pure.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.values import MAX_INT32

MAX_PLACES: Final = 1000
"""Records that one operation names; it is applied in one transaction."""

_MAX_OFFSET: Final = (1 << 63) - 2

OperationKind = Literal["retried", "discarded", "edited", "removed", "corrected"]
Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
Operator = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class InvalidOperationError(CustomerTimelineError):
    """A record of the topic of operations is none; `problem` quotes nothing of it."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"The record is no operation: {problem}.")

    def __reduce__(self) -> tuple[object, ...]:
        return (InvalidOperationError, (self.problem,))


class OperationPlace(BaseModel):
    """A record of the log that was a dead letter when the operator decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str = Field(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")
    partition: int = Field(ge=0, le=MAX_INT32)
    offset: int = Field(ge=0, le=_MAX_OFFSET)


class Operation(BaseModel):
    """One decision: who, when, why, and about which records.

    `retried`: read them again with the code that applies this. `discarded`: they are to be no events, and nobody need
    look at them any more. `edited`: the event `event_id` was published instead. `removed`: exported, and not kept here.
    `corrected`: the record at the place is a correction of the accepted event `event_id`; nothing else follows from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    operation_id: uuid.UUID
    kind: OperationKind
    operator: Operator
    reason: Reason
    decided_at: AwareDatetime
    places: tuple[OperationPlace, ...] = Field(min_length=1, max_length=MAX_PLACES)
    event_id: uuid.UUID | None = None

    def encode(self) -> bytes:
        """The bytes to publish."""
        return self.model_dump_json(exclude_none=True).encode()


def decode_operation(value: bytes | None) -> Operation:
    """The operation in a record. Raises InvalidOperationError."""
    try:
        return Operation.model_validate_json(value or b"")
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidOperationError(f"{where}: {first['msg']}" if where else first["msg"]) from exc


def chunks(places: Iterable[OperationPlace]) -> Iterator[Sequence[OperationPlace]]:
    """The places in as many parts as operations are needed for them."""
    left = iter(places)
    while part := tuple(islice(left, MAX_PLACES)):
        yield part
