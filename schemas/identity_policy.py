"""Settings of identity: which kinds of identifier exist, how strong each is, and what it may glue.

Pure values. `runtime.settings` fills them, the codec normalises by them, `projections.identity` decides by them. They
are part of the projection version: two workers with different policies never write one table.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

PLATFORM_KIND = "open_id"
THING_KINDS = ("order", "contract", "opportunity", "case", "followup")


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a blocked pattern. Raises re.error."""
    return re.compile(pattern, re.IGNORECASE)


class KindPolicy(BaseModel):
    """How one kind of identifier takes part in identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(ge=1, le=1000, description="Strength: the event is anchored at its highest rank.")
    max_per_customer: int | None = Field(
        default=None,
        ge=1,
        description="An automatic link that would give one customer more values than this is refused.",
    )
    share_limit: int = Field(
        default=5, ge=1, description="A value seen with more identifiers of one stronger kind than this glues nobody."
    )
    links: bool = Field(default=True, description="False: values of this kind never glue two identifiers.")
    blocked: tuple[str, ...] = Field(
        default=(), description="Values that mean nobody, written in any way; upper and lower case are one."
    )
    blocked_prefixes: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = Field(
        default=(),
        description="Values that begin so, once normalised, mean nobody: `noreply@`, `+1900`; either case.",
    )
    blocked_patterns: tuple[str, ...] = Field(
        default=(),
        description=(
            "Regular expressions (Python's `re`, either case): values that one of them describes whole, once "
            "normalised, mean nobody."
        ),
    )

    @field_validator("blocked_patterns")
    @classmethod
    def _patterns_compile(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        # Here and not where the first event comes: a worker must not start with a rule that it cannot follow.
        for pattern in given:
            try:
                described = compiled(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is no regular expression: {exc}") from None
            if described.fullmatch(""):
                raise ValueError(
                    f"{pattern!r} describes the empty text too, so it says nothing: write what it must hold"
                )
        return given


_NOBODY = (
    "null",
    "none",
    "undefined",
    "nil",
    "n/a",
    "na",
    "unknown",
    "anonymous",
    "test",
    "0",
    "-1",
    "0000000",
    "00000000",
)


def _default_kinds() -> dict[str, KindPolicy]:
    # Ranks: what a company issues itself beats what a platform issues, beats what a household or a device shares.
    return {
        "member_id": KindPolicy(rank=100, max_per_customer=1, blocked=_NOBODY),
        "user_id": KindPolicy(rank=90, max_per_customer=1, blocked=_NOBODY),
        "crm_id": KindPolicy(rank=80, max_per_customer=1, blocked=_NOBODY),
        PLATFORM_KIND: KindPolicy(rank=60, blocked=_NOBODY),
        "email": KindPolicy(rank=50),
        "phone": KindPolicy(rank=40),
        "device_id": KindPolicy(rank=20, blocked=(*_NOBODY, "00000000-0000-0000-0000-000000000000")),
    }


class IdentityPolicy(BaseModel):
    """All settings of identity. `open_id:<platform>` kinds take the policy of `open_id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: dict[str, KindPolicy] = Field(default_factory=_default_kinds)
    default_phone_region: str = Field(default="US", pattern=r"^[A-Z]{2}$", description="Region of numbers without a +.")

    def of(self, kind: str) -> KindPolicy | None:
        """The policy of `kind`, or None where the kind is unknown."""
        found = self.kinds.get(kind)
        if found is None and kind.startswith(PLATFORM_KIND + ":") and len(kind) > len(PLATFORM_KIND) + 1:
            return self.kinds.get(PLATFORM_KIND)
        return found
