"""What the API would answer, without the API: for commands that ask what a request asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from customer_timeline.api.answering import Answering
from customer_timeline.api.answers import Answer
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.standing import problem_of
from customer_timeline.api.waiting import PositionWaiter
from customer_timeline.projections.progress import NotYet
from customer_timeline.runtime import wiring
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.position_token import PositionToken

Parameters = TypeVar("Parameters", bound=BaseModel)


class InvalidOptionsError(CustomerTimelineError):
    """Options that the API would refuse as parameters."""

    exit_code = 2


class PositionsNotReadError(CustomerTimelineError):
    """A read that waits for positions cannot be answered, and will not be by asking again."""


class PositionsNotYetError(CustomerTimelineError):
    """The projector has not come to the positions in time."""

    exit_code = 4


class Positions(NamedTuple):
    """What a read waits for, and how long."""

    tokens: Sequence[str]
    wait_s: float

    def parsed(self) -> PositionToken | None:
        """One token of all; None where nobody waits. Raises InvalidPositionTokenError, DifferentLogsError."""
        return PositionToken.merged([PositionToken.parse(text) for text in self.tokens]) if self.tokens else None


NOTHING: Final = Positions((), 0.0)
"""No positions to wait for."""


def parameters(model: type[Parameters], named: Mapping[str, object]) -> Parameters:
    """Options as the API's parameters. Raises InvalidOptionsError."""
    try:
        return model.model_validate({name: value for name, value in named.items() if value is not None})
    except ValidationError as exc:
        told = "; ".join(
            f"--{error['loc'][0]}: {error['msg'].removeprefix('Value error, ')}"
            for error in exc.errors(include_input=False)
        )
        raise InvalidOptionsError(f"Not valid: {told}.") from exc


def answered(ask: Callable[[Answering], Awaitable[Answer]], after: Positions = NOTHING) -> Answer:
    """What the API would answer.

    Raises UnknownCustomerError, PositionsNotYetError, PositionsNotReadError, and what readers raise.
    """
    with shown_step("waiting for the positions" if after.tokens else "reading"):
        return asyncio.run(_asked(load_settings(), ask, after))


async def _asked(settings: Settings, ask: Callable[[Answering], Awaitable[Answer]], after: Positions) -> Answer:
    token = after.parsed()
    reader, past_reader = wiring.reader(settings), wiring.cut_reader(settings)
    config = ApiConfig(
        identifiers=wiring.identifier_space(settings),
        projection=wiring.customer_projection(settings),
        now_us=_now_us,
        rules=settings.stages,
        alive=settings.alive,
        topic=settings.touchpoints_topic,
    )
    try:
        if token is not None:
            await _until_passed(PositionWaiter(reader, settings.touchpoints_topic), token, after.wait_s)
        return await ask(Answering(reader, past_reader, config))
    finally:
        await reader.aclose()
        await past_reader.aclose()


async def _until_passed(waiter: PositionWaiter, token: PositionToken, wait_s: float) -> None:
    """Raises PositionsNotYetError and PositionsNotReadError with what the API would say."""
    verdict = await waiter.wait(token, wait_s)
    problem = problem_of(verdict, waiter.topic, _now_us())
    if problem is not None:
        refusal = PositionsNotYetError if isinstance(verdict, NotYet) else PositionsNotReadError
        raise refusal(problem.detail) from problem


def _now_us() -> int:
    return to_micros(SystemClock().now())
