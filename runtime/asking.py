"""What the API would answer, without the API: for commands that ask what a request asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from customer_timeline.api.answering import Answering
from customer_timeline.api.answers import Answer
from customer_timeline.api.config import ApiConfig
from customer_timeline.runtime import wiring
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.settings import Settings, load_settings
from customer_timeline.schemas.decoded import to_micros
from customer_timeline.schemas.errors import CustomerTimelineError

Parameters = TypeVar("Parameters", bound=BaseModel)


class InvalidOptionsError(CustomerTimelineError):
    """Options that the API would refuse as parameters."""

    exit_code = 2


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


def answered(ask: Callable[[Answering], Awaitable[Answer]]) -> Answer:
    """What the API would answer. Raises UnknownCustomerError."""
    return asyncio.run(_asked(load_settings(), ask))


async def _asked(settings: Settings, ask: Callable[[Answering], Awaitable[Answer]]) -> Answer:
    reader, past_reader = wiring.reader(settings), wiring.cut_reader(settings)
    clock = SystemClock()
    config = ApiConfig(
        identifiers=wiring.identifier_space(settings),
        projection=wiring.customer_projection(settings),
        now_us=lambda: to_micros(clock.now()),
        rules=settings.stages,
        alive=settings.alive,
    )
    try:
        return await ask(Answering(reader, past_reader, config))
    finally:
        await reader.aclose()
        await past_reader.aclose()
