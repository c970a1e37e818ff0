"""What the API is given when it is built. Values and callables only: nothing here reads the environment or connects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from customer_timeline.projections.alive import AliveParameters
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.identifiers import IdentifierSpace


class PartitionLag(NamedTuple):
    """How far the views are behind one partition of the log.

    `events` = records appended and not yet applied; `seconds` = how long the oldest of them has waited (0.0 with none).
    """

    topic: str
    partition: int
    events: int
    seconds: float


Lag = tuple[PartitionLag, ...]


class LagUnknownError(CustomerTimelineError):
    """The log could not be asked how far it goes. Reads need no log, so the API is no less ready for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Everything that `create_app` needs beside the reader.

    `lag_probe` (raises LagUnknownError) and `migrations_probe` (names of migrations not yet applied) may block; they
    are called in a thread, seldom. `topic`: the log that the views are made from. `local_only` = listening on loopback:
    requests whose Host header names anything else are refused, so that no web page can read customers through a name
    that it points at this machine. `ready_max_lag_s`: with a longer lag `/readyz` says no; with more
    than `dead_letters_warn_above` dead letters it warns, and with one older than `dead_letters_oldest_days`, where
    workers remove such (None: they do not). `now_us`: the present, microseconds since 1970, UTC.
    """

    identifiers: IdentifierSpace
    projection: CustomerProjection
    now_us: Callable[[], int]
    rules: StageRules = field(default_factory=StageRules)
    topic: str = "touchpoints"
    alive: AliveParameters = field(default_factory=AliveParameters)
    lag_probe: Callable[[], Lag] | None = None
    migrations_probe: Callable[[], Sequence[str]] | None = None
    local_only: bool = True
    ready_max_lag_s: float = 60.0
    dead_letters_warn_above: int = 1000
    dead_letters_oldest_days: int | None = None
