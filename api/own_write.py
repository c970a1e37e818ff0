"""Reading one's own write: how a read asks to wait for positions, and what it is told where it may not go on.

One dependency of the router, so every read of customers takes them, those added later too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Final

from fastapi import Header, Query, Request
from pydantic import Field

from customer_timeline.api.problems import (
    BECAME_DEAD_LETTER,
    INVALID_PARAMETER,
    INVALID_POSITION_TOKEN,
    NOT_YET,
    POSITION_OF_ANOTHER_LOG,
    ProblemError,
)
from customer_timeline.api.standing import DEFAULT_WAIT_S, MAX_WAIT_S, problem_of
from customer_timeline.api.waiting import PositionWaiter
from customer_timeline.schemas.position_token import MAX_LENGTH, PositionToken

MAX_TOKENS: Final = 16
AFTER_HEADER: Final = "Timeline-After"
OWN_WRITE_PROBLEMS: Final = (INVALID_POSITION_TOKEN, NOT_YET, BECAME_DEAD_LETTER, POSITION_OF_ANOTHER_LOG)
"""What every read that takes the parameters may answer."""

_WAIT_PREFERENCE = re.compile(r"wait[ \t]*=[ \t]*\"?([0-9]{1,9})\"?", re.IGNORECASE)

After = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]],
    Query(
        default_factory=list,
        max_length=MAX_TOKENS,
        description="Answer only when the projector has passed these positions: tokens as publishing gave them; given "
        f"several times, all of them; at most {MAX_TOKENS}.",
    ),
]
WaitS = Annotated[
    float | None,
    Query(
        ge=0,
        le=MAX_WAIT_S,
        allow_inf_nan=False,
        description="Seconds to wait for the positions before answering 409; 0 only looks. Default "
        f"{DEFAULT_WAIT_S:g}, at most {MAX_WAIT_S:g}. Without positions it means nothing.",
    ),
]
TimelineAfter = Annotated[
    list[str],
    Header(
        default_factory=list,
        alias=AFTER_HEADER,
        description="The same as `after`, for callers that set headers: tokens separated by commas. Given both, all "
        "count.",
    ),
]
Prefer = Annotated[
    list[str],
    Header(
        default_factory=list,
        alias="Prefer",
        description="`wait=N` (RFC 7240): whole seconds, the same as `wait_s`, which goes first; more than "
        f"{MAX_WAIT_S:g} means {MAX_WAIT_S:g}. Other preferences are passed over.",
    ),
]


def own_write(waiter: PositionWaiter, now_us: Callable[[], int]) -> Callable[..., Awaitable[None]]:
    """The dependency: returns when the read may begin. Raises ProblemError, and what reading the progress raises."""

    async def passed(
        request: Request, after: After, timeline_after: TimelineAfter, prefer: Prefer, wait_s: WaitS = None
    ) -> None:
        texts = [*after, *_listed(timeline_after)]
        if not texts:
            return
        if len(texts) > MAX_TOKENS:
            raise ProblemError(INVALID_PARAMETER, f"At most {MAX_TOKENS} position tokens: combine them first.")
        token = PositionToken.merged([PositionToken.parse(text) for text in texts])
        began = time.perf_counter()
        try:
            verdict = await waiter.wait(token, _patience_s(wait_s, prefer))
        finally:
            request.scope["waited_s"] = time.perf_counter() - began  # api.observing leaves it out
        problem = problem_of(verdict, waiter.topic, now_us())
        if problem is not None:
            raise problem

    return passed


def _listed(headers: Iterable[str]) -> list[str]:
    return [text for header in headers for part in header.split(",") if (text := part.strip())]


def _patience_s(wait_s: float | None, prefer: Iterable[str]) -> float:
    if wait_s is not None:
        return wait_s
    for preference in _listed(prefer):
        found = _WAIT_PREFERENCE.fullmatch(preference.partition(";")[0].strip())
        if found:
            return min(float(found[1]), MAX_WAIT_S)
    return DEFAULT_WAIT_S
