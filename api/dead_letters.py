"""Dead letters: what fails for one reason, and single records. Reads only; the content of a record is not shown.

A record that is no event may hold anything of anybody, so there is nobody whose view it could belong to: its bytes are
left to the command line (`customer-timeline dead-letters show`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from customer_timeline.api.answers import Answer, content_hash
from customer_timeline.api.caching import respond
from customer_timeline.api.cursors import DEAD_LETTER_LENGTH, decode_dead_letter_cursor, encode_dead_letter_cursor
from customer_timeline.api.documentation import not_modified, problem_responses
from customer_timeline.api.models import Shape
from customer_timeline.api.parameters import DEFAULT_LIMIT, MAX_LIMIT, Instant, whole_number
from customer_timeline.api.problems import (
    INTERNAL,
    INVALID_CURSOR,
    INVALID_PARAMETER,
    UNKNOWN_DEAD_LETTER,
    VIEWS_UNAVAILABLE,
    ProblemError,
)
from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetterReader,
    DeadLetterState,
    DeadLetterSummary,
)
from customer_timeline.projections.instants import rfc3339
from customer_timeline.schemas.errors import RejectionReason
from customer_timeline.schemas.values import MAX_INT32

_MAX_OFFSET: Final = (1 << 63) - 1
_Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", examples=["8c1f0b52a6d3e947"])]


class DeadLetterFilters(BaseModel):
    """Which dead letters. Unknown parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: RejectionReason | None = Field(default=None, description="Those of one reason.")
    type: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.:/-]{1,100}$",
        description="Those of one type, with or without its version.",
        examples=["purchase.completed"],
    )
    since: Instant | None = Field(default=None, description="Recorded at this instant or later.")
    until: Instant | None = Field(default=None, description="Recorded before this instant.")
    fingerprint: _Fingerprint | None = Field(default=None, description="Those of one group.")
    state: DeadLetterState | None = Field(
        default=None,
        description="Those of one state: `open` (nobody has decided), `discarded`, `replaced` (an edited copy was "
        "published) or `healed` (a retry made it an event). Left out: all but the healed, which are events now.",
    )

    def wanted(self) -> DeadLetterFilter:
        """The filters among them."""
        reason = self.reason.value if self.reason else None
        return DeadLetterFilter(reason, self.type, self.since, self.until, self.fingerprint, self.state)


class DeadLetterParameters(DeadLetterFilters):
    """Query parameters of the list of groups."""

    limit: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=DEFAULT_LIMIT,
        ge=1,
        le=MAX_LIMIT,
        description=f"Groups a page; default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=DEAD_LETTER_LENGTH,
        description="`next_cursor` of the page before, with the same filters.",
    )


class PlaceView(Shape):
    """Where a record stands in the log."""

    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)


class DeadLetterGroupView(Shape):
    """Dead letters of one reason and type that fail at one field in one way."""

    fingerprint: _Fingerprint
    reason: RejectionReason
    type: str | None = Field(description="Null where it could not be read.")
    error: str = Field(description="What is wrong, numbers written as #. It quotes no value.")
    count: int = Field(ge=1)
    open: int = Field(ge=0, description="How many of them nobody has decided about.")
    first_seen_at: AwareDatetime
    last_seen_at: AwareDatetime
    last: PlaceView


class DeadLetterGroupsView(Shape):
    """A page of groups, the one with the newest record first."""

    items: list[DeadLetterGroupView]
    next_cursor: str | None = Field(description="For the page after this one; null on the last.")


class DeadLetterDecisionView(Shape):
    """Who decided what about a record, as the log of operations has it; of a healed one only when."""

    operator: str | None
    reason: str | None
    event_id: UUID | None = Field(description="The event that was published instead of the record.")
    at: AwareDatetime


class DeadLetterView(Shape):
    """One record that could not become an event, without its content."""

    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    recorded_at: AwareDatetime
    reason: RejectionReason
    type: str | None = Field(description="Null where it could not be read.")
    error: str = Field(description="What is wrong, and where. It quotes no value.")
    fingerprint: _Fingerprint
    state: DeadLetterState
    decision: DeadLetterDecisionView | None = Field(description="Null while it is open.")
    sha256: str = Field(description="Of the original bytes.", pattern=r"^[0-9a-f]{64}$")
    size_bytes: int | None = Field(description="Null: the record had no value at all.")


_GROUPS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": DeadLetterGroupsView, "description": "A page."},
    304: not_modified(),
    **problem_responses(INVALID_CURSOR, INVALID_PARAMETER, INTERNAL, VIEWS_UNAVAILABLE),
}
_ONE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": DeadLetterView, "description": "The record."},
    304: not_modified(),
    **problem_responses(UNKNOWN_DEAD_LETTER, INVALID_PARAMETER, INTERNAL, VIEWS_UNAVAILABLE),
}


def dead_letters_router(reader: DeadLetterReader) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], redirect_slashes=False)

    @router.get(
        "",
        operation_id="dead_letters",
        summary="Records that could not become events, grouped by what is wrong with them",
        response_model=None,
        responses=_GROUPS,
    )
    async def groups(request: Request, given: Annotated[DeadLetterParameters, Query()]) -> Response:
        return respond(request, await groups_answer(reader, given))

    @router.get(
        "/{topic}/{partition}/{offset}",
        operation_id="dead_letter",
        summary="One record that could not become an event: where it stands and why it failed",
        response_model=None,
        responses=_ONE,
    )
    async def one(
        request: Request,
        topic: Annotated[str, Path(description="Its topic.", pattern=r"^[a-zA-Z0-9._-]{1,249}$")],
        partition: Annotated[int, Path(description="Its partition.", ge=0, le=MAX_INT32)],
        offset: Annotated[int, Path(description="Its offset.", ge=0, le=_MAX_OFFSET)],
    ) -> Response:
        found = await reader.dead_letter(topic, partition, offset)
        if found is None:
            raise ProblemError(UNKNOWN_DEAD_LETTER, "See /v1/dead-letters for those that are.")
        body = orjson.dumps(_whole(found))
        return respond(request, Answer(body, content_hash(body)))

    return router


async def groups_answer(reader: DeadLetterReader, given: DeadLetterParameters) -> Answer:
    """One page of groups. Raises InvalidCursorError."""
    wanted = given.wanted()
    after = None if given.cursor is None else decode_dead_letter_cursor(given.cursor, wanted)
    page = await reader.dead_letter_groups(wanted, limit=given.limit, after=after)
    cursor = encode_dead_letter_cursor(page.rows[-1].key, wanted) if page.more else None
    body = orjson.dumps({"items": [group_item(group) for group in page.rows], "next_cursor": cursor})
    return Answer(body, content_hash(body))


def group_item(group: DeadLetterGroup) -> dict[str, Any]:
    """What is told of a group, here and on the command line."""
    return {
        "fingerprint": group.fingerprint,
        "reason": group.reason,
        "type": group.type,
        "error": group.error,
        "count": group.records,
        "open": group.open,
        "first_seen_at": rfc3339(group.first_us),
        "last_seen_at": rfc3339(group.last_us),
        "last": group.last._asdict(),
    }


def record_item(letter: DeadLetterSummary) -> dict[str, Any]:
    """What is told of a record, here and on the command line."""
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "recorded_at": rfc3339(letter.recorded_us),
        "reason": letter.reason,
        "type": letter.type,
        "error": letter.error,
        "fingerprint": letter.fingerprint,
        "state": letter.state,
    }


def decision_item(letter: DeadLetter) -> dict[str, Any] | None:
    """What is told of the decision about a record, here and on the command line."""
    decided = letter.decision
    if decided is None:
        return None
    return {
        "operator": decided.operator,
        "reason": decided.reason,
        "event_id": decided.event_id,
        "at": rfc3339(decided.at_us),
    }


def _whole(letter: DeadLetter) -> dict[str, Any]:
    return {
        **record_item(letter.summary),
        "decision": decision_item(letter),
        "sha256": letter.sha256.hex(),
        "size_bytes": None if letter.value is None else len(letter.value),
    }
