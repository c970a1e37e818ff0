"""The parameters of requests for pages, their defaults and maxima."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from customer_timeline.api.cursors import LATEST_US, LENGTH, LIST_LENGTH, REVIEW_LENGTH
from customer_timeline.api.references import MAX_LENGTH
from customer_timeline.projections.identity_review import ReviewFilter, ReviewList
from customer_timeline.projections.lifecycle import Flag, Stage
from customer_timeline.projections.reading import CustomerFilter, Order, TimelineFilter
from customer_timeline.schemas.decoded import to_micros

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
DEFAULT_SIZE: Final = 20
MAX_SIZE: Final = 100_000

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


def _instant_us(value: Any) -> int:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("use RFC 3339 with an offset, such as 2026-03-01T00:00:00Z (a + is written %2B in a URL)")
    try:
        micros = to_micros(datetime.fromisoformat(value.upper()))
    except ValueError as exc:
        raise ValueError("there is no such date or time of day") from exc
    return min(max(micros, 0), LATEST_US)  # no event lies outside


def _limit(value: Any) -> int:
    if not isinstance(value, int) and not re.fullmatch(r"[0-9]{1,9}", str(value)):
        raise ValueError("use a whole number")
    return int(value)


Instant = Annotated[
    int,
    BeforeValidator(_instant_us),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T00:00:00Z"]}),
]


class TimelineParameters(BaseModel):
    """Query parameters of a timeline. Unknown ones are refused: a mistyped filter must not list everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, BeforeValidator(_limit)] = Field(
        default=DEFAULT_LIMIT,
        ge=1,
        le=MAX_LIMIT,
        description=f"Events a page; default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=LENGTH,
        description="`next_cursor` of the page before, with the same filters. Stays valid when customers are merged.",
    )
    type: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*(\.v[1-9][0-9]{0,3})?$",
        description="Events of one type, with or without its version.",
        examples=["purchase.completed"],
    )
    channel: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="Events of one channel.",
        examples=["email"],
    )
    from_: Instant | None = Field(default=None, alias="from", description="Events at this instant or later.")
    until: Instant | None = Field(default=None, description="Events before this instant.")

    def wanted(self) -> TimelineFilter:
        """The filters among them."""
        return TimelineFilter(self.type, self.channel, self.from_, self.until)


class WhyParameters(BaseModel):
    """Query parameters of `why`. Unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LENGTH,
        description="An identifier, as `ref` names one; the one in the path where it is not given.",
        examples=["email:ann@example.com"],
    )
    b: str = Field(
        min_length=1,
        max_length=MAX_LENGTH,
        description="The other identifier, of this customer or another.",
        examples=["phone:+14155550123"],
    )


class ListParameters(BaseModel):
    """Query parameters of a list of customers. Unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage | None = Field(default=None, description="Customers of one stage.")
    flag: Flag | None = Field(default=None, description="Customers with this flag, whichever stage won.")
    order: Order = Field(
        default="customer_id",
        description="By id, by the last event, or by since when the stage and flags hold; a minus: latest first.",
    )
    limit: Annotated[int, BeforeValidator(_limit)] = Field(
        default=DEFAULT_LIMIT,
        ge=1,
        le=MAX_LIMIT,
        description=f"Customers a page; default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=LIST_LENGTH,
        description="`next_cursor` of the page before, with the same filters and order.",
    )

    def wanted(self) -> CustomerFilter:
        """The filters and the order among them."""
        return CustomerFilter(self.stage, self.flag, self.order)


class ReviewParameters(BaseModel):
    """Query parameters of the review of identity. Unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: ReviewList = Field(
        description=(
            "`shared_values`: values that glue nobody. `refused_links`: links that limits, or decisions about others, "
            "skipped. `large_customers`: those of many identifiers. `recent_changes`: customers under another id."
        )
    )
    size: Annotated[int, BeforeValidator(_limit)] = Field(
        default=DEFAULT_SIZE,
        ge=2,
        le=MAX_SIZE,
        description=f"Identifiers from which on a customer is large; default {DEFAULT_SIZE}, at most {MAX_SIZE:,}.",
    )
    limit: Annotated[int, BeforeValidator(_limit)] = Field(
        default=DEFAULT_LIMIT,
        ge=1,
        le=MAX_LIMIT,
        description=f"Items a page; default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=REVIEW_LENGTH,
        description="`next_cursor` of the page before, with the same `of` and `size`.",
    )

    def wanted(self) -> ReviewFilter:
        """The list that is asked for."""
        return ReviewFilter(self.of, self.size)
